from dataclasses import replace

import pytest

from hw.spec.config import named_config
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Engine, Op
from hw.spec.isa.tiles import NO_FENCE
from qnn.compiler import compile_graph
from qnn.compiler.check_program import ProgramError, check_program
from qnn.errors import DeviceError
from sim import functional
from tests.compiler import small_graphs
from tests.graphs import images
from tests.programs import with_members, with_program

LOAD, COMPUTE, STORE = (frozenset({engine}) for engine in Engine)


def without(image, index, **engines):
    """``image`` with some waits or signals of one instruction left out."""
    old = image.program[index]
    assert all(getattr(old, name) & gone for name, gone in engines.items())
    left = {name: getattr(old, name) - gone for name, gone in engines.items()}
    return with_members(image, index, **left)


def first(image, op, having=lambda instruction: True):
    """Index of the first instruction of that kind for which ``having`` is true."""
    return next(i for i, each in enumerate(image.program) if each.op is op and having(each))


CASES = {
    "tokens from store to load are never taken": (Op.STORE, {"signals": LOAD}),
    "output_address must keep all words within the 2048 of FEATURES": (
        Op.CONV,
        {"output_address": 2047},
    ),
    "outside its region": (Op.STORE, {"offset": 1 << 20}),
    "offset must be a multiple of 8 bytes, which a beat has, not 4": (Op.LOAD, {"offset": 4}),
    "reads unwritten words of FEATURES": (Op.CONV, {"input_address": 1500}),
    "reads unwritten words of WEIGHTS": (Op.CONV, {"weight_address": 400}),
    "reads unwritten words of PARAMETERS": (Op.CONV, {"parameter_address": 40}),
    "two columns must not read one bank in one step": (
        Op.CONV,
        {"column_address": (4, 0, 0, 0)},
    ),
    "interval must be at least 2, not 1": (Op.CONV, {"interval": 1}),
}


@pytest.mark.parametrize("rule", CASES)
def test_a_broken_program_is_caught(rule):
    image = compile_graph(small_graphs.network(), named_config("test"))
    op, members = CASES[rule]
    with pytest.raises(ProgramError, match=rule):
        check_program(with_members(image, first(image, op), **members))


def test_a_broken_rule_names_the_layer_of_its_instruction():
    image = compile_graph(small_graphs.network(), named_config("test"))
    index = first(image, Op.CONV)
    name = image.layers[image.program[index].tag].name
    broken = with_members(image, index, input_address=1500)
    with pytest.raises(ProgramError) as caught:
        check_program(broken)
    text = f"instruction {index} of layer '{name}': reads unwritten words of FEATURES"
    assert (str(caught.value), caught.value.layer) == (text, name)
    assert caught.value.image is broken


def test_a_rule_of_the_whole_program_names_no_layer():
    image = compile_graph(small_graphs.network(), named_config("test"))
    with pytest.raises(ProgramError) as caught:
        check_program(with_program(image, ()))
    assert str(caught.value) == "instruction 0: the program must stop in END"
    assert caught.value.layer is None


def test_a_signal_that_is_missing_is_a_deadlock():
    image = compile_graph(small_graphs.network(), named_config("test"))
    load = first(image, Op.LOAD, lambda load: Engine.COMPUTE in load.signals)
    with pytest.raises(ProgramError, match="no token comes from load: a deadlock"):
        check_program(without(image, load, signals=COMPUTE))


def test_a_fence_that_is_too_large_is_caught():
    image = compile_graph(small_graphs.network(), named_config("test"))
    conv = first(image, Op.CONV, lambda conv: conv.skip)
    rule = "the fence lets it read words that have not landed"
    with pytest.raises(ProgramError, match=rule):
        check_program(with_members(image, conv, fence=4000))


def overtaking():
    """A program whose layer without a table writes while the one before it still does."""
    image = compile_graph(small_graphs.table_beside(), named_config("test"))
    plain = first(image, Op.CONV, lambda conv: not conv.table)
    return with_members(image, plain, fence=NO_FENCE)


def test_a_fence_that_lets_writes_overtake_those_of_a_table_is_caught():
    image = overtaking()
    with pytest.raises(ProgramError, match="the fence lets it write before an earlier one has"):
        check_program(image)
    with pytest.raises(DeviceError) as refusal:
        functional.run(image, images(small_graphs.table_beside(), 1))
    behind = first(image, Op.CONV, lambda conv: not conv.table)
    assert str(refusal.value) == (
        f"instruction {behind} of layer 'b' writes before, or while, an earlier one does; compile "
        f"the model again"
    )


def test_a_table_overwritten_while_in_use_is_caught():
    config = replace(named_config("test"), table_words=256)
    image = compile_graph(small_graphs.tabled(), config)
    load = first(
        image, Op.LOAD, lambda load: load.buffer is Buffer.TABLES and Engine.COMPUTE in load.waits
    )
    giver = max(
        i
        for i, f in enumerate(image.program)
        if i < load and f.op is Op.CONV and Engine.LOAD in f.signals
    )
    loose = without(without(image, load, waits=COMPUTE), giver, signals=LOAD)
    with pytest.raises(ProgramError, match="overwrites TABLES that compute still reads"):
        check_program(loose)


def test_words_outside_the_buffer_are_caught_where_columns_do_not_lie_as_their_pixels_do():
    image = compile_graph(small_graphs.network(), named_config("test"))
    conv = first(image, Op.CONV)
    with pytest.raises(ProgramError, match="outside buffer FEATURES"):
        check_program(with_members(image, conv, column_address=(2045, 0, 0, 0)))


def test_tiles_that_end_closer_than_the_array_has_columns_are_caught():
    x = small_graphs.image(8, 1, 1)
    config = named_config("test", columns=8)
    image = compile_graph(small_graphs.graph(x, small_graphs.conv("c", x, 8)), config)
    index = first(image, Op.CONV, lambda conv: conv.columns == conv.passes == 1)
    check_program(with_members(image, index, interval=8))
    with pytest.raises(ProgramError, match="interval must be at least 8, not 7"):
        check_program(with_members(image, index, interval=7))


def test_a_store_that_waits_for_nothing_is_caught():
    image = compile_graph(small_graphs.one_conv(), named_config("test"))
    conv = max(i for i, f in enumerate(image.program) if f.op is Op.CONV)
    loose = without(image, conv, signals=STORE)
    loose = without(loose, first(image, Op.STORE), waits=COMPUTE)
    with pytest.raises(ProgramError, match="touches FEATURES that compute still writes"):
        check_program(loose)


def test_weights_overwritten_while_in_use_are_caught():
    config = replace(named_config("test"), weight_words=64, parameter_words=4)
    image = compile_graph(small_graphs.concat(), config)
    load = first(
        image, Op.LOAD, lambda load: load.buffer is Buffer.WEIGHTS and Engine.COMPUTE in load.waits
    )
    giver = max(
        i
        for i, f in enumerate(image.program)
        if i < load and f.op is Op.CONV and Engine.LOAD in f.signals
    )
    loose = without(without(image, load, waits=COMPUTE), giver, signals=LOAD)
    with pytest.raises(ProgramError, match="overwrites WEIGHTS that compute still reads"):
        check_program(loose)


def test_more_tokens_than_a_counter_holds_are_caught():
    image = compile_graph(small_graphs.one_conv(), named_config("test"))
    *program, end = image.program
    load = next(each for each in program if each.op is Op.LOAD)
    give = replace(load, signals=load.signals | STORE)
    plain = replace(load, signals=load.signals - STORE)
    store = next(each for each in program if each.op is Op.STORE)
    take = replace(store, waits=LOAD)
    flooded = with_program(image, [give] * 256 + program + [take] * 256 + [plain, end])
    with pytest.raises(ProgramError, match="more than 8 bits of tokens for store"):
        check_program(flooded)


def from_scratch(transfer):
    return transfer.region is Region.SCRATCH


def in_strips(batch=1, make=small_graphs.network):
    """A program whose strips go through memory."""
    config = replace(named_config("test"), feature_words=64)
    return compile_graph(make(), config, batch)


def test_a_strip_that_is_loaded_before_it_is_stored_is_caught():
    image = in_strips(make=small_graphs.spread)
    load = first(image, Op.LOAD, lambda load: from_scratch(load) and Engine.STORE in load.waits)
    takers = [i for i, f in enumerate(image.program) if Engine.STORE in f.waits and f.op is Op.LOAD]
    givers = [
        i for i, f in enumerate(image.program) if Engine.LOAD in f.signals and f.op is Op.STORE
    ]
    giver = givers[takers.index(load)]
    loose = without(without(image, giver, signals=LOAD), load, waits=STORE)
    with pytest.raises(ProgramError, match="touches SCRATCH that store still writes"):
        check_program(loose)


def test_a_strip_that_is_stored_over_one_still_to_be_loaded_is_caught():
    image = in_strips()
    load = first(image, Op.LOAD, lambda load: from_scratch(load) and not load.waits & STORE)
    store = next(i for i, f in enumerate(image.program) if i > load and f.op is Op.STORE)
    over = with_members(image, store, offset=image.program[load].offset)
    with pytest.raises(ProgramError, match="overwrites SCRATCH that load still reads"):
        check_program(over)


def test_rows_of_scratch_that_nothing_stored_are_caught():
    image = in_strips()
    load = first(image, Op.LOAD, from_scratch)
    with pytest.raises(ProgramError, match="reads unwritten words of SCRATCH"):
        check_program(with_members(image, load, offset=image.program[load].offset + 400))


def test_a_transfer_past_the_end_of_scratch_is_caught():
    image = in_strips()
    store = first(image, Op.STORE, from_scratch)
    with pytest.raises(ProgramError, match="outside its region"):
        check_program(with_members(image, store, offset=image.scratch_bytes))
