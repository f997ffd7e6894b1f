"""What must hold between two passes, as code that says what is wrong."""

from collections import Counter
from itertools import combinations, pairwise

import numpy as np

from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.end import End
from hw.spec.isa.header import INSTRUCTION_BYTES, Engine
from hw.spec.isa.program import Program
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer
from qnn.compiler.compilation import Compilation
from qnn.compiler.place_buffers import requests
from qnn.compiler.shared_values import shared_values
from qnn.errors import CompileError
from qnn.ir.check import check
from qnn.ir.ops import Concat


def graph_is_legal(state: Compilation) -> None:
    """Every operator obeys its own rules."""
    try:
        check(state.graph)
    except CompileError as error:
        raise AssertionError(str(error)) from None


def every_node_is_used(state: Compilation) -> None:
    """Every node but an input is an output, or is read by a later node."""
    graph = state.graph
    read = {name for node in graph.nodes for name in node.inputs}
    read |= {output.name for output in graph.outputs}
    for node in graph.nodes:
        assert node in graph.inputs or node.name in read, f"nothing reads '{node.name}'"


def each_tensor_has_one_place(state: Compilation) -> None:
    """No tensor lies in two others, and what lies in an interleaving is computed for it alone."""
    concats_keep_apart(state)
    graph = state.graph
    outputs = {output.name for output in graph.outputs}
    for node in (n for n in graph.nodes if n.interleaves):
        assert len(set(node.inputs)) == len(node.inputs), f"'{node.name}' has one operand twice"
        for name in node.inputs:
            assert graph[name].is_computed, f"'{name}' is not computed in '{node.name}'"
            alone = graph.users(name) == (node,) and name not in outputs
            assert alone, f"'{name}' in '{node.name}' is read elsewhere"


def concats_keep_apart(state: Compilation) -> None:
    """No tensor is an operand of two concatenations, or of one twice."""
    operands = Counter(
        name for node in state.graph.nodes if isinstance(node, Concat) for name in node.inputs
    )
    for name, count in operands.items():
        assert count == 1, f"'{name}' has {count} places in concatenations"


def shared_values_are_computed(state: Compilation) -> None:
    """No input has to be in every lane, as the host writes each channel into its own."""
    inputs = {node.name for node in state.graph.inputs}
    assert not inputs & shared_values(state.graph), "an input's one channel is read in every lane"


def orders_keep_channels(state: Compilation) -> None:
    """An order names each channel of its tensor once."""
    for name, order in state.orders.items():
        channels = list(range(state.graph[name].shape[0]))
        assert sorted(order) == channels, f"the order of '{name}' is {order}"


def parts_are_the_network(state: Compilation) -> None:
    """Each part is legal, and every node but what lies between two of them is in one."""
    names = []
    for part in state.parts:
        try:
            check(part.graph)
        except CompileError as error:
            raise AssertionError(str(error)) from None
        names += [node.name for node in part.graph.nodes if node.name != part.takes]
        turns = f"{part.turns} turns of {part.images} images, not {state.batch}"
        assert part.images * part.turns == state.batch, turns
    wanted = [node.name for node in state.graph.nodes]
    assert names == wanted, f"the parts have {names}, not {wanted}"


def parts_meet(state: Compilation) -> None:
    """What a part takes lies in memory as the one before it gives it."""
    for one, other in pairwise(state.parts):
        assert one.gives == other.takes, f"'{one.gives}' is given, and '{other.takes}' taken"
        found = [part.network.place[one.gives].segments for part in (one, other)]
        assert found[0] == found[1], f"'{one.gives}' has channels in {found[0]} and {found[1]}"


def every_layer_runs_once(state: Compilation) -> None:
    """Each layer that is computed belongs to one run, in the order of the graph."""
    for part in state.parts:
        planned = [n.name for run in part.plan.runs for n in run.nodes if n.is_computed]
        wanted = [node.name for node in part.network.graph.nodes if node.is_computed]
        assert planned == wanted, f"the runs compute {planned}, not {wanted}"


def buffers_keep_apart(state: Compilation) -> None:
    """Buffers that live in one run share no word, and all are on the chip."""
    size = state.config.feature_words
    for part in state.parts:
        needs = requests(part.network, part.plan)
        for spot, need in needs.items():
            stop = part.chip[spot] + need.words
            assert stop <= size, f"{spot} ends at word {stop}, behind the buffer's {size}"
        for one, other in combinations(needs.values(), 2):
            a, b = part.chip[one.name], part.chip[other.name]
            apart = a + one.words <= b or b + other.words <= a
            assert apart or not one.meets(other), f"{one.name} and {other.name} share words"


def memory_keeps_apart(state: Compilation) -> None:
    """Inputs of all images share no word of memory, and outputs neither."""
    for kind, images in (("inputs", state.memory.inputs), ("outputs", state.memory.outputs)):
        end = 0
        for layout in sorted(sum(images, ()), key=lambda each: each.address):
            assert layout.address >= end, f"{kind}: '{layout.name}' begins before word {end}"
            end = layout.address + layout.words(state.config.lanes)


def tags_name_layers(state: Compilation) -> None:
    """The tag of every computation is the number of its layer."""
    assert [layer.tag for layer in state.layers] == list(range(len(state.layers))), "tags in order"
    for task in state.tasks:
        tag = task.instruction.tag
        computes = isinstance(task.instruction, Tiles)
        assert not computes or tag < len(state.layers), f"no layer has the tag {tag}"


def tasks_have_weights(state: Compilation) -> None:
    """Every key of a task names a group of its layer."""
    for task in state.tasks:
        if task.weights is not None:
            name, number = task.weights
            count = len(state.packed.get(name, ()))
            assert number < count, f"'{name}' has {count} groups, and none of number {number}"


def tables_have_slots(state: Compilation) -> None:
    """Each instruction with a table finds it in its slot, as the newest load put it there."""
    entries, held = 1 << state.config.table_bits, {}
    offsets = {key: state.data.table_offsets[table] for key, table in state.data.tables.items()}
    for task in state.tasks:
        instruction = task.instruction
        if isinstance(instruction, Transfer) and instruction.buffer is Buffer.TABLES:
            held[instruction.address // entries] = instruction.offset
        if isinstance(instruction, Tiles) and instruction.table:
            found = held.get(instruction.table_address)
            assert found == offsets[task.weights], f"the table of {task.weights} is not there"


def reads_follow_writes(state: Compilation) -> None:
    """Executed one after the other, every instruction finds in its buffers what it reads."""
    written = {buffer: np.zeros(buffer.words(state.config), bool) for buffer in Buffer}
    for index, instruction in enumerate(state.program):
        for memory, start, stop in instruction.reads(state.config):
            if isinstance(memory, Region):
                continue
            # Words between rows and blocks belong to nobody: the ends are surely read.
            found = written[memory][start] and written[memory][stop - 1]
            assert found, (
                f"instruction {index} reads words {start} to {stop} of {memory.name} "
                f"that nothing has written"
            )
        for memory, start, stop in instruction.writes(state.config):
            if isinstance(memory, Buffer):
                written[memory][start:stop] = True


def program_ends(state: Compilation) -> None:
    """The last instruction is END, and no other one is."""
    ends = [index for index, each in enumerate(state.program) if isinstance(each, End)]
    assert ends == [len(state.program) - 1], f"END stands at {ends} of {len(state.program)}"


def tokens_are_taken(state: Compilation) -> None:
    """Each engine takes as many tokens from each other as it is given, and none too early."""
    tokens = Counter()
    for index, instruction in enumerate(state.program):
        engine = instruction.engine
        for other in instruction.waits:
            assert tokens[other, engine], f"instruction {index} waits for {other.name} for ever"
            tokens[other, engine] -= 1
        for other in instruction.signals:
            tokens[engine, other] += 1
    for (giver, taker), count in tokens.items():
        assert not count, f"{count} tokens of {Engine(giver).name} wait for {Engine(taker).name}"


def image_holds_program(state: Compilation) -> None:
    """The image's bytes decode to the program, and its data lie behind them."""
    image = state.image
    code = image.payload[: len(state.program) * INSTRUCTION_BYTES]
    assert Program.decode(code).instructions == tuple(state.program), "the program's bytes differ"
    assert image.payload.endswith(state.data.content), "the data are not at the image's end"
