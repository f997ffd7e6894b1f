from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from hw.spec.config import named_config
from hw.spec.isa.header import Op
from qnn.compiler import GRAPH_PASSES, PASSES, compile_graph, conditions, run_passes
from qnn.compiler.compilation import Compilation
from qnn.compiler.identity import weight_bits
from qnn.compiler.listing import listing
from qnn.compiler.passes import Pass
from qnn.compiler.place_concats import place_concats
from qnn.compiler.place_interleaves import place_interleaves
from qnn.compiler.remove_unused import remove_unused
from qnn.compiler.segments import segments
from qnn.ir.check import check
from qnn.ir.ops import Concat
from qnn.ir.reference import reference
from qnn.ir.text import parse, text
from tests.compiler import small_graphs
from tests.graphs import graphs, images
from tests.programs import with_members


def same_tensors(before, after, x):
    want, got = reference(before, x), reference(after, x)
    for name in want.keys() & got.keys():
        np.testing.assert_array_equal(got[name], want[name], err_msg=name)
    return {output.name for output in before.outputs} <= got.keys()


@pytest.mark.parametrize("transform", GRAPH_PASSES, ids=lambda p: p.__name__)
@settings(max_examples=25)
@given(graph=graphs())
def test_a_pass_keeps_every_tensor_that_stays(transform, graph):
    after = transform(graph)
    check(after)
    assert after.outputs == graph.outputs
    assert same_tensors(graph, after, images(graph, 2))


def test_each_tensor_has_one_place_after_the_passes():
    graph = run_passes(small_graphs.spread())
    operands = [name for n in graph.nodes if isinstance(n, Concat) for name in n.inputs]
    assert len(operands) == len(set(operands))
    assert same_tensors(small_graphs.spread(), graph, images(graph, 3))


def test_a_second_place_in_a_concatenation_is_a_copy():
    before = parse("""
x: s8e-4 1x2x2 = input()
a: s8e-4 1x2x2 = maxpool(x) 1x1
p: s8e-4 2x2x2 = concat(a, x)
q: s8e-4 3x2x2 = concat(x, a, a)
r: s8e-4 3x1x1 = conv(q) 2x2 w4 bias=0 >>2 clamp -128..127 codes=3
return r 3, p 8
""")
    assert (
        text(place_concats(before), full=True)
        == """\
x: s8e-4 1x2x2 = input()
a: s8e-4 1x2x2 = maxpool(x) 1x1
p: s8e-4 2x2x2 = concat(a, x)
x_copy: s8e-4 1x2x2 = conv(x) 1x1 w4 bias=0 >>0 clamp -128..127 codes=1
a_copy: s8e-4 1x2x2 = conv(a) 1x1 w4 bias=0 >>0 clamp -128..127 codes=1
a_copy_2: s8e-4 1x2x2 = conv(a) 1x1 w4 bias=0 >>0 clamp -128..127 codes=1
q: s8e-4 3x2x2 = concat(x_copy, a_copy, a_copy_2)
r: s8e-4 3x1x1 = conv(q) 2x2 w4 bias=0 >>2 clamp -128..127 codes=3
return r 3, p 8"""
    )


def test_a_copy_of_several_channels_keeps_each_apart():
    before = parse("""
x: u8e-4 2x1x1 = input()
p: u8e-4 4x1x1 = concat(x, x)
return p 4
""")
    assert (
        text(place_concats(before), full=True)
        == """\
x: u8e-4 2x1x1 = input()
x_copy: u8e-4 2x1x1 = depthwise(x) 1x1 w2 bias=0 >>0 clamp 0..255 codes=1
p: u8e-4 4x1x1 = concat(x, x_copy)
return p 4"""
    )


def test_a_concatenation_in_a_concatenation_stays_in_its_place():
    before = parse("""
x: u8e-4 2x1x1 = input()
y: u8e-4 1x1x1 = input()
p: u8e-4 3x1x1 = concat(x, y)
z: u8e-4 3x1x1 = maxpool(p) 1x1
q: u8e-4 6x1x1 = concat(z, p)
return q 6
""")
    assert text(place_concats(before)) == text(before)


def test_what_reaches_no_output_goes_and_inputs_stay():
    before = parse("""
x: u8e-4 2x4x4 = input()
y: u8e-4 2x4x4 = input() table=7
p: u8e-4 2x2x2 = maxpool(x) 2x2 stride=2x2
q: u8e-4 2x2x2 = maxpool(p) 1x1
r: u8e-4 4x2x2 = concat(q, p)
return p 8
""")
    assert (
        text(remove_unused(before), full=True)
        == """\
x: u8e-4 2x4x4 = input()
y: u8e-4 2x4x4 = input() table=7
p: u8e-4 2x2x2 = maxpool(x) 2x2 stride=2x2
return p 8"""
    )


def test_a_network_that_needs_no_pass_stays_as_it_is():
    graph = small_graphs.network()
    assert text(run_passes(graph), full=True) == text(graph, full=True)


UPSAMPLED = """
x: s8e-4 2x2x2 = input()
a: s8e-4 2x2x2 = maxpool(x) 1x1
b: s8e-4 2x2x2 = maxpool(a) 1x1
c: s8e-4 2x2x2 = maxpool(x) 3x3 pad=1,1,1,1
up: s8e-4 2x4x4 = interleave(b, x, c, c) step=2x2 at=0x0,0x1,1x0,1x1
return up 2x4x4, a 2x2x2
"""


def test_what_is_computed_for_an_interleaving_alone_stands_before_it_and_the_rest_is_copied():
    before = parse(UPSAMPLED)
    after = place_interleaves(before)
    copy = "1x1 w2 bias=0 >>0 clamp -128..127"
    assert (
        text(after)
        == f"""\
x: s8e-4 2x2x2 = input()
a: s8e-4 2x2x2 = maxpool(x) 1x1
c: s8e-4 2x2x2 = maxpool(x) 3x3 pad=1,1,1,1
b: s8e-4 2x2x2 = maxpool(a) 1x1
x_copy: s8e-4 2x2x2 = depthwise(x) {copy}
c_copy: s8e-4 2x2x2 = depthwise(c) {copy}
c_copy_2: s8e-4 2x2x2 = depthwise(c) {copy}
up: s8e-4 2x4x4 = interleave(b, x_copy, c_copy, c_copy_2) step=2x2 at=0x0,0x1,1x0,1x1
return up 2x4x4, a 2x2x2"""
    )
    assert same_tensors(before, after, images(before, 2))


def test_operands_whose_channels_lie_in_other_lanes_are_copied_in_order():
    before = parse("""
x: s8e-4 2x2x2 = input()
y: s8e-4 1x2x2 = input()
a: s8e-4 3x2x2 = concat(x, y)
b: s8e-4 3x2x2 = maxpool(a) 1x1
c: s8e-4 3x2x2 = conv(x) 1x1 w3 bias=0 >>0 clamp -128..127 codes=1
up: s8e-4 3x4x2 = interleave(b, c) step=2x1 at=0x0,1x0
return up 3x4x2
""")
    after = place_interleaves(before)
    assert [node.name for node in after.nodes] == ["x", "y", "a", "b", "b_copy", "c", "up"]
    assert after["up"].inputs == ("b_copy", "c")
    assert after["b_copy"].window.groups == 1
    assert {segments(after)[name] for name in ("b_copy", "c", "up")} == {(3,)}
    assert same_tensors(before, after, images(before, 2))


def test_an_operand_that_another_layer_reads_is_found_between_the_passes():
    state = Compilation(graph=parse(UPSAMPLED), config=None, batch=1, bytes_per_cycle=8)
    with pytest.raises(AssertionError, match=r"^'up' has one operand twice$"):
        conditions.each_tensor_has_one_place(state)
    before = parse(UPSAMPLED)
    one = replace(before["up"], inputs=("b", "x", "c", "a"))
    state = replace(state, graph=replace(before, nodes=(*before.nodes[:-1], one)))
    with pytest.raises(AssertionError, match=r"^'x' is not computed in 'up'$"):
        conditions.each_tensor_has_one_place(state)
    one = replace(one, inputs=("a", "b", "c"), step=(1, 2), offsets=((0, 0), (0, 1), (2, 0)))
    state = replace(state, graph=replace(before, nodes=(*before.nodes[:-1], one)))
    with pytest.raises(AssertionError, match=r"^'a' in 'up' is read elsewhere$"):
        conditions.each_tensor_has_one_place(state)


def refused(_state):
    raise AssertionError("it does not hold")


def test_conditions_are_tried_where_that_is_asked_for_and_nowhere_else(monkeypatch):
    state = Compilation(graph=None, config=None, batch=1, bytes_per_cycle=8)
    for where in ("before", "after"):
        each = Pass(lambda given: given, **{where: (refused,)})
        assert each(state) is state
        with pytest.raises(AssertionError, match=rf"^{where} <lambda>: it does not hold$"):
            each(state, checked=True)
    monkeypatch.setattr(
        "qnn.compiler.PASSES", (*PASSES[:-1], replace(PASSES[-1], after=(refused,)))
    )
    graph, config = small_graphs.one_conv(), named_config("test")
    assert compile_graph(graph, config).layers
    with pytest.raises(AssertionError, match=r"^after assemble: it does not hold$"):
        compile_graph(graph, config, checked=True)


def test_an_order_names_every_channel_of_its_tensor_and_no_other():
    graph = small_graphs.graph(small_graphs.image(3, 6, 5))
    state = Compilation(graph=graph, config=None, batch=1, bytes_per_cycle=8)
    conditions.orders_keep_channels(replace(state, orders={"x": (2, 0, 1)}))
    for wrong in ((0, 1), (1, 2, 3), (0, 1, 1), (0, 1, 2, 3, 4, 5)):
        with pytest.raises(AssertionError) as caught:
            conditions.orders_keep_channels(replace(state, orders={"x": wrong}))
        assert str(caught.value) == f"the order of 'x' is {wrong}"


def test_copies_have_weights_as_wide_as_the_widest_of_the_network():
    x = small_graphs.image()
    narrow = small_graphs.conv("a", x, 4, weight_bits=2, codes=np.ones((1, 4, 3, 3, 3), np.int8))
    wide = small_graphs.conv("b", narrow, 4, weight_bits=4)
    assert weight_bits(small_graphs.graph(x, narrow, wide)) == 4
    assert weight_bits(small_graphs.graph(x)) == 2


def test_an_instruction_of_no_layer_is_listed_without_one():
    made = compile_graph(small_graphs.one_conv(), named_config("test"))
    index = next(n for n, each in enumerate(made.program) if each.op is Op.CONV)
    plain = listing(made).splitlines()
    other = listing(with_members(made, index, tag=len(made.layers))).splitlines()
    assert plain[index].endswith("  # c")
    assert "#" not in other[index]
    assert len(plain) == len(other) == len(made.program)
