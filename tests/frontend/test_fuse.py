import pytest
import torch

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.ops.batch_norm import BatchNorm, Statistics
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.flatten import Flatten
from qnn.frontend.ops.input import FloatInput
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.frontend.ops.pad import Pad
from qnn.frontend.ops.slice import Slice
from qnn.frontend.run import run
from qnn.ir.graph import Output
from qnn.ir.window import Window
from tests.random_networks.campaign import drawn
from tests.random_networks.chain import check_floats

SHAPE = (2, 6, 6)


def graph(*nodes, shape=SHAPE):
    """A graph from the image ``x``; the last node is its output."""
    last = nodes[-1]
    return FloatGraph((FloatInput(name="x", shape=shape), *nodes), (Output(last.name, last.shape),))


def conv(name, source, shape=SHAPE, inputs=2, kernel=1, **more):
    generator = torch.Generator().manual_seed(len(name))
    weight = torch.randn(shape[0], inputs, kernel, kernel, generator=generator)
    parts = {part: more.pop(part) for part in ("stride", "padding") if part in more}
    window = Window(kernel=(kernel, kernel), **parts)
    return FloatConv(name=name, inputs=(source,), shape=shape, window=window, weight=weight, **more)


def relu(name, source, shape=SHAPE):
    return Clamp(name=name, inputs=(source,), shape=shape, low=0.0, high=None)


def add(name, *sources):
    return Add(name=name, inputs=sources, shape=SHAPE)


def norm(name, source, channels=2):
    ramp = torch.arange(channels) + 1.0
    statistics = Statistics(ramp, -ramp, ramp / 2, ramp, 1e-5)
    return BatchNorm(name=name, inputs=(source,), shape=SHAPE, statistics=statistics)


def fused(before):
    """The fused graph's text, after a test that it computes the same."""
    after = fuse(before, checked=True)
    x = torch.randn(3, *before.nodes[0].shape, generator=torch.Generator().manual_seed(0))
    old, new = run(before, x), run(after, x)
    for was, now in zip(before.outputs, after.outputs, strict=True):
        torch.testing.assert_close(
            new[now.name].reshape(old[was.name].shape), old[was.name], atol=1e-5, rtol=1e-5
        )
    return str(after)


def test_normalisation_and_relu_join_their_convolution():
    before = graph(conv("c", "x"), norm("b", "c"), relu("r", "b"), conv("d", "r"))
    assert (
        fused(before)
        == """\
x = input() 2x6x6
c = conv(x) 2x6x6 1x1 low=0.0 batchnorm
d = conv(c) 2x6x6 1x1
return d"""
    )


def test_a_normalisation_alone_becomes_a_diagonal_convolution():
    assert (
        fused(graph(norm("b", "x"), conv("d", "b")))
        == """\
x = input() 2x6x6
b = conv(x) 2x6x6 1x1 groups=2 batchnorm fixed
d = conv(b) 2x6x6 1x1
return d"""
    )


def test_a_relu_of_a_tensor_that_others_read_becomes_a_copy():
    before = graph(conv("c", "x"), relu("r", "c"), add("s", "c", "r"))
    assert (
        fused(before)
        == """\
x = input() 2x6x6
c = conv(x) 2x6x6 1x1
r = conv(c) 2x6x6 1x1 groups=2 low=0.0 fixed
s = conv(r, c) 2x6x6 1x1 groups=2 fixed
return s"""
    )


def test_two_clamps_in_a_row_become_one():
    again = Clamp(name="h", inputs=("r",), shape=SHAPE, low=-1.0, high=0.5)
    assert (
        fused(graph(conv("c", "x"), relu("r", "c"), again))
        == """\
x = input() 2x6x6
c = conv(x) 2x6x6 1x1 low=0.0 high=0.5
return c"""
    )


def test_a_sum_is_taken_by_the_last_convolution_that_only_it_reads():
    before = graph(conv("c", "x"), conv("d", "x"), add("s", "c", "d"), relu("r", "s"))
    assert (
        fused(before)
        == """\
x = input() 2x6x6
c = conv(x) 2x6x6 1x1
d = conv(x, c) 2x6x6 1x1 low=0.0
return d"""
    )


def test_a_sum_is_taken_by_what_computes_before_what_copies():
    half = Slice(name="h", inputs=("x",), shape=(2, 3, 3), stride=(2, 2))
    wide = Pad(name="w", inputs=("h",), shape=(4, 3, 3), padding=(0, 0, 0, 0), channels=(1, 1))
    total = Add(name="s", inputs=("w", "c"), shape=(4, 3, 3))
    before = graph(conv("c", "x", (4, 3, 3), stride=(2, 2)), half, wide, total)
    assert (
        fused(before)
        == """\
x = input() 2x6x6
w = conv(x) 4x3x3 1x1 stride=(2,2) fixed
c = conv(x, w) 4x3x3 1x1 stride=(2,2)
return c"""
    )


def test_a_tensor_added_to_itself_is_copied_with_itself_as_skip():
    assert (
        fused(graph(conv("c", "x"), add("s", "c", "c")))
        == """\
x = input() 2x6x6
c = conv(x) 2x6x6 1x1
s = conv(c, c) 2x6x6 1x1 groups=2 fixed
return s"""
    )


def test_the_second_of_two_sums_does_not_go_into_the_first_ones_convolution():
    before = graph(conv("c", "x"), add("s", "c", "x"), add("t", "s", "x"))
    assert (
        fused(before)
        == """\
x = input() 2x6x6
c = conv(x, x) 2x6x6 1x1
t = conv(c, x) 2x6x6 1x1 groups=2 fixed
return t"""
    )


def test_padding_joins_the_convolutions_and_stays_for_others():
    pad = Pad(name="p", inputs=("x",), shape=(2, 7, 8), padding=(1, 0, 0, 2))
    pool = FloatMaxPool(name="m", inputs=("p",), shape=SHAPE, window=Window(kernel=(2, 3)))
    taken = conv("c", "p", (2, 7, 8), kernel=3, padding=(1, 1, 1, 1))
    assert (
        str(fuse(graph(pad, taken)))
        == """\
x = input() 2x6x6
c = conv(x) 2x7x8 3x3 padding=(2,1,1,3)
return c"""
    )
    assert (
        fused(graph(pad, pool, conv("d", "m")))
        == """\
x = input() 2x6x6
p = conv(x) 2x7x8 1x1 padding=(1,0,0,2) groups=2 fixed
m = maxpool(p) 2x6x6 2x3
d = conv(m) 2x6x6 1x1
return d"""
    )


def test_a_linear_layer_takes_the_image_as_its_kernel():
    flat = Flatten(name="f", inputs=("r",), shape=(72, 1, 1))
    before = graph(conv("c", "x"), relu("r", "c"), flat, conv("l", "f", (3, 1, 1), 72))
    assert (
        fused(before)
        == """\
x = input() 2x6x6
c = conv(x) 2x6x6 1x1 low=0.0
l = conv(c) 3x1x1 6x6
return l"""
    )


def test_a_flatten_that_is_joined_with_others_is_a_convolution():
    flat = Flatten(name="f", inputs=("x",), shape=(72, 1, 1))
    both = FloatConcat(name="j", inputs=("f", "f"), shape=(144, 1, 1))
    assert (
        fused(graph(flat, both, conv("l", "j", (3, 1, 1), 144)))
        == """\
x = input() 2x6x6
f = conv(x) 72x1x1 6x6 groups=2 fixed
j = concat(f, f) 144x1x1
l = conv(j) 3x1x1 1x1
return l"""
    )


def test_a_normalisation_of_a_flattened_image_has_an_output_for_each_value():
    flat = Flatten(name="f", inputs=("x",), shape=(72, 1, 1))
    ramp = torch.arange(72) + 1.0
    norm = BatchNorm(
        name="b", inputs=("f",), shape=(72, 1, 1), statistics=Statistics(ramp, -ramp, ramp, ramp, 0)
    )
    assert (
        fused(graph(flat, norm, conv("l", "b", (3, 1, 1), 72)))
        == """\
x = input() 2x6x6
b = conv(x) 72x1x1 6x6 groups=2 batchnorm fixed
l = conv(b) 3x1x1 1x1
return l"""
    )


@pytest.mark.parametrize(
    ("between", "text"),
    [
        ((), "l = conv(a) 3x1x1 1x1 scale=0.027777777777777776"),
        ((relu("r", "a", (2, 1, 1)),), "l = conv(a) 3x1x1 1x1 scale=0.027777777777777776"),
        (
            (Clamp(name="r", inputs=("a",), shape=(2, 1, 1), low=0.0, high=6.0),),
            "l = conv(a) 3x1x1 1x1",
        ),
    ],
)
def test_a_divisor_moves_behind_where_only_positive_scaling_lies_between(between, text):
    pool = AveragePool(
        name="a",
        inputs=("x",),
        shape=(2, 1, 1),
        window=Window(kernel=(6, 6), stride=(6, 6)),
        divisor=36,
    )
    last = conv("l", between[-1].name if between else "a", (3, 1, 1))
    assert fused(graph(pool, *between, last)).splitlines()[2] == text


def test_an_output_that_is_the_input_is_copied():
    before = FloatGraph((FloatInput(name="x", shape=SHAPE),), (Output("x", SHAPE),))
    assert (
        fused(before)
        == """\
x = input() 2x6x6
x.output = conv(x) 2x6x6 1x1 groups=2 fixed
return x.output"""
    )


def test_the_input_is_copied_where_it_is_joined_with_what_was_computed():
    pool = FloatMaxPool(name="m", inputs=("x",), shape=SHAPE, window=Window(kernel=(1, 1)))
    own = FloatConcat(name="o", inputs=("x", "m"), shape=(4, 6, 6))
    both = FloatConcat(name="j", inputs=("o", "c", "m"), shape=(8, 6, 6))
    assert (
        fused(graph(pool, own, conv("c", "x"), both))
        == """\
x = input() 2x6x6
m = maxpool(x) 2x6x6 1x1
o = concat(x, m) 4x6x6
c = conv(x) 2x6x6 1x1
o.requantized = conv(o) 4x6x6 1x1 groups=4 fixed requantize
m.requantized = conv(m) 2x6x6 1x1 groups=2 fixed requantize
j = concat(o.requantized, c, m.requantized) 8x6x6
return j"""
    )


@pytest.mark.parametrize("number", range(10))
def test_fusion_keeps_what_a_random_network_computes(number):
    case = drawn(30, number)
    check_floats(case, capture(case.model, case.calibration))
