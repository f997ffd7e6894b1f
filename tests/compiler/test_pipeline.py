"""The compiler's passes: their order, and what must hold before and after each."""

from dataclasses import replace

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from hw.spec.config import named_config
from hw.spec.isa.end import End
from hw.spec.isa.header import Engine, Op
from hw.spec.isa.tiles import Tiles
from qnn.compiler import PASSES, compile_graph, conditions
from qnn.compiler.compilation import Compilation
from qnn.compiler.passes import Pass
from qnn.compiler.task import Task
from qnn.errors import CompileError
from qnn.ir.graph import Graph
from tests.compiler import large_graphs, small_graphs
from tests.compiler.test_order_channels import chain, pool
from tests.graphs import graphs

TEST = named_config("test", weight_bits=4)


def states(graph, config=TEST, batch=2):
    """The state behind every pass, by the pass's name."""
    state = Compilation(graph=graph, config=config, batch=batch, bytes_per_cycle=config.bus_bytes)
    found = {}
    for each in PASSES:
        state = found[each.name] = each(state)
    return found


def test_the_passes_read_as_the_story_of_a_compilation():
    assert [each.name for each in PASSES] == [
        "remove_unused",
        "copy_factors",
        "place_concats",
        "place_interleaves",
        "copy_shared",
        "lower_products",
        "check_limits",
        "recode_weights",
        "prove_bounds",
        "order_channels",
        "stack_images",
        "check_counts",
        "choose_plan",
        "map_memory",
        "build_tasks",
        "share_weights",
        "lay_out_data",
        "place_tables",
        "stream_weights",
        "hoist_loads",
        "link",
        "add_tokens",
        "set_fences",
        "assemble",
    ]


@settings(max_examples=40)
@given(graph=graphs(), words=st.sampled_from((128, 2048)), batch=st.sampled_from((1, 2)))
def test_every_pass_keeps_its_promises(graph, words, batch):
    try:
        compile_graph(graph, replace(TEST, feature_words=words), batch, checked=True)
    except CompileError:  # one row of a layer has more words than the smaller chip
        assert words == 128
        reject()


@pytest.mark.parametrize("make", [*small_graphs.ALL, *large_graphs.ALL], ids=lambda m: m.__name__)
def test_every_pass_keeps_its_promises_to_the_graphs_made_by_hand(make):
    compile_graph(make(), named_config("reference", weight_bits=4), checked=True)


def broken(condition, state):
    with pytest.raises(AssertionError) as error:
        condition(state)
    return str(error.value)


def swapped(program, place, **changes):
    return (*program[:place], replace(program[place], **changes), *program[place + 1 :])


def test_a_broken_promise_names_the_pass_and_the_condition():
    def drop_end(state):
        return replace(state, program=state.program[:-1])

    state = states(small_graphs.network())["link"]
    faulty = Pass(drop_end, after=(conditions.program_ends,))
    with pytest.raises(AssertionError, match=r"^after drop_end: END stands at \[\] of \d+$"):
        faulty(state, checked=True)
    assert faulty(state).program == state.program[:-1]  # unchecked
    cut = drop_end(state)
    picky = Pass(drop_end, before=(conditions.program_ends,))
    with pytest.raises(AssertionError, match=r"^before drop_end: END stands at \[\] of \d+$"):
        picky(cut, checked=True)
    assert picky(cut).program == cut.program[:-1]


def test_a_graph_against_the_rules_is_found():
    graph = small_graphs.network()
    wrong = replace(graph.nodes[1], inputs=("nobody",))
    state = states(graph)["place_concats"]
    state = replace(state, graph=Graph((graph.nodes[0], wrong, *graph.nodes[2:]), graph.outputs))
    assert broken(conditions.graph_is_legal, state).startswith("conv 'a' needs 'nobody' before it")


def test_a_node_that_nothing_reads_is_found():
    graph = small_graphs.network()
    more = replace(graph.nodes[1], name="more")
    state = replace(
        states(graph)["place_concats"], graph=Graph((*graph.nodes, more), graph.outputs)
    )
    assert broken(conditions.every_node_is_used, state) == "nothing reads 'more'"


def test_a_tensor_with_two_places_is_found():
    state = replace(states(small_graphs.network())["place_concats"], graph=small_graphs.spread())
    text = broken(conditions.each_tensor_has_one_place, state)
    assert text == "'a' has 3 places in concatenations"


def test_an_order_that_names_a_channel_twice_is_found():
    state = states(chain(pool), named_config("test", accumulator_bits=40))["order_channels"]
    name, order = "pool", state.orders["pool"]
    assert len(order) == state.graph[name].shape[0] != state.graph[name].shape[1]
    conditions.orders_keep_channels(state)
    twice = (order[0], *order[:-1])
    text = broken(conditions.orders_keep_channels, replace(state, orders={name: twice}))
    assert text == f"the order of '{name}' is {twice}"


def test_a_layer_that_no_run_computes_is_found():
    state = states(small_graphs.network())["choose_plan"]
    (part,) = state.parts
    fewer = replace(part, plan=replace(part.plan, runs=part.plan.runs[1:]))
    text = broken(conditions.every_layer_runs_once, replace(state, parts=(fewer,)))
    assert text.startswith("the runs compute [")


def test_buffers_that_meet_or_leave_the_chip_are_found():
    state = states(small_graphs.residual())["choose_plan"]
    (part,) = state.parts

    def at(word):
        return replace(state, parts=(replace(part, chip=dict.fromkeys(part.chip, word)),))

    assert broken(conditions.buffers_keep_apart, at(0)).endswith(" share words")
    outside = at(TEST.feature_words)
    assert broken(conditions.buffers_keep_apart, outside).endswith(" behind the buffer's 2048")


def test_images_that_meet_in_memory_are_found():
    state = states(small_graphs.residual())["map_memory"]
    first, _ = state.memory.inputs
    memory = replace(state.memory, inputs=(first, first))
    text = broken(conditions.memory_keeps_apart, replace(state, memory=memory))
    assert text.startswith("inputs: 'x' begins before word ")


def test_a_tag_without_a_layer_is_found():
    state = states(small_graphs.residual())["build_tasks"]
    last = state.tasks[-1]
    stray = Task(Tiles(op=Op.CONV, tag=99))
    text = broken(conditions.tags_name_layers, replace(state, tasks=(stray, last)))
    assert text == "no layer has the tag 99"


def test_weights_that_no_layer_has_are_found():
    state = states(small_graphs.residual())["build_tasks"]
    stray = Task(state.tasks[0].instruction, weights=("a", 99))
    text = broken(conditions.tasks_have_weights, replace(state, tasks=(stray,)))
    assert text.startswith("'a' has ")


def test_a_word_that_is_read_before_it_is_written_is_found():
    state = states(small_graphs.residual())["stream_weights"]
    late = replace(state, program=(*state.program[1:], state.program[0]))
    assert "that nothing has written" in broken(conditions.reads_follow_writes, late)


def test_a_program_that_ends_twice_is_found():
    state = states(small_graphs.residual())["link"]
    twice = replace(state, program=(End(), *state.program))
    assert broken(conditions.program_ends, twice).startswith("END stands at [0, ")


def test_tokens_without_a_taker_or_a_giver_are_found():
    state = states(small_graphs.residual())["add_tokens"]
    program = state.program
    giver = next(n for n, each in enumerate(program) if each.signals)
    lost = replace(state, program=swapped(program, giver, signals=frozenset()))
    assert broken(conditions.tokens_are_taken, lost).endswith(" for ever")
    taker = next(n for n, each in enumerate(program) if each.waits)
    (other, *_) = program[taker].waits
    left = replace(state, program=swapped(program, taker, waits=frozenset()))
    text = broken(conditions.tokens_are_taken, left)
    assert text.endswith(f"tokens of {Engine(other).name} wait for {program[taker].engine.name}")


def test_an_image_of_another_program_is_found():
    state = states(small_graphs.residual())["assemble"]
    other = replace(state, program=swapped(state.program, 0, tag=7))
    assert broken(conditions.image_holds_program, other) == "the program's bytes differ"
