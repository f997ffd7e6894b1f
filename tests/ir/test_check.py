from dataclasses import replace

import numpy as np
import pytest

from qnn.errors import CompileError
from qnn.ir.check import check
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat, Input
from qnn.quant.qtype import QType
from tests import operators
from tests.operators import changed

U8 = QType(8, False, 4)
X = Input(name="x", shape=(3, 6, 5), type=U8)


def zeros(count):
    return np.zeros(count, np.int64)


CONV = operators.conv(
    name="c",
    input="x",
    shape=(4, 6, 5),
    type=U8,
    codes=np.full((1, 4, 3, 3, 3), 2, np.int8),
    weight_bits=3,
    left=zeros(4),
    bias=zeros(4),
    right=zeros(4),
    padding=(1, 1, 1, 1),
    high=255,
)
POOL = operators.max_pool(
    name="p", input="c", shape=(4, 3, 2), type=U8, kernel=(2, 2), stride=(2, 2)
)
CONCAT = Concat(name="k", inputs=("x", "c"), shape=(7, 6, 5), type=U8)
LAST = changed(CONV, name="y", type=QType(32, True, 9), rounded=False, high=0)


def graph(*nodes, outputs=None):
    last = nodes[-1]
    return Graph(tuple(nodes), (Output(last.name, last.shape),) if outputs is None else outputs)


def test_a_legal_graph_passes():
    skipping = changed(LAST, skip="c", skip_left=zeros(4))
    check(graph(X, CONV, POOL, CONCAT, skipping))
    check(graph(replace(X, table=np.zeros((3, 256), np.int64)), CONV))


def conv(**changes):
    return graph(X, changed(CONV, **changes))


def pool(**changes):
    return graph(X, CONV, changed(POOL, **changes))


def concat(**changes):
    return graph(X, CONV, replace(CONCAT, **changes))


REFUSALS = [
    (
        Graph((), ()),
        "a graph needs its input as the first node; put it there",
    ),
    (
        graph(CONV),
        "a graph needs its input as the first node; put it there",
    ),
    (
        graph(X, CONV, replace(X, name="z")),
        "input 'z' needs to stand before all that is computed, but got conv 'c' before it; move it "
        "up",
    ),
    (
        graph(X, CONV, CONV),
        "conv 'c' needs a name of its own, but got that of an earlier node; rename one",
    ),
    (
        conv(name=""),
        "conv '' needs a name, but got ''; name it",
    ),
    (
        conv(input="w"),
        "conv 'c' needs 'w' before it, but got no such node; sort the nodes by their use",
    ),
    (
        graph(X, LAST, changed(CONV, input="y")),
        "conv 'c' needs rounded operands, but got the unrounded conv 'y'; round it, or use it as "
        "an output only",
    ),
    (
        graph(replace(X, shape=(3, 6))),
        "input 'x' needs a shape of three sizes of at least 1, but got (3, 6); give it (channels, "
        "height, width)",
    ),
    (
        graph(replace(X, type=QType(17, True, 0))),
        "input 'x' needs a type of 2 to 16 bits, but got s17e+0; round it to fewer bits",
    ),
    (
        graph(replace(X, table=np.zeros((3, 255), np.int64))),
        "input 'x' needs a table of integers of shape (3, 256), but got int64 (3, 255); build it "
        "again",
    ),
    (
        graph(replace(X, table=np.full((3, 256), -1))),
        "input 'x' needs a table within 0 to 255, but got -1 to -1; clamp it to its type",
    ),
    (
        conv(weight_bits=6),
        "conv 'c' needs weight_bits from 2 to 5, but got 6; quantize it again",
    ),
    (
        conv(codes=CONV.codes.astype(np.int64)),
        "conv 'c' needs int8 codes of 5 axes, but got int64 of 5 axes; build it again",
    ),
    (
        conv(codes=np.full((1, 4, 3, 3, 3), -4, np.int8)),
        "conv 'c' needs codes from -3 to 3, but got -4 to -4; quantize it again",
    ),
    (
        conv(codes=np.zeros((8, 4, 3, 3, 3), np.int8)),
        "conv 'c' needs codes of shape (1 to 7, 4, 3, kernel height, kernel width), but got codes "
        "of shape (8, 4, 3, 3, 3); build it again",
    ),
    (
        conv(codes=np.zeros((1, 4, 2, 3, 3), np.int8)),
        "conv 'c' needs codes of shape (1 to 7, 4, 3, kernel height, kernel width), but got codes "
        "of shape (1, 4, 2, 3, 3); build it again",
    ),
    (
        conv(groups=2),
        "conv 'c' needs groups that divide 3 inputs and 4 outputs, but got groups=2; correct it",
    ),
    (
        conv(groups=3),
        "conv 'c' needs groups that divide 3 inputs and 4 outputs, but got groups=3; correct it",
    ),
    (
        conv(groups=0),
        "conv 'c' needs groups that divide 3 inputs and 4 outputs, but got groups=0; correct it",
    ),
    (
        conv(stride=(0, 1)),
        "conv 'c' needs stride of 2 sizes of at least 1, but got (0, 1); correct it",
    ),
    (
        conv(stride=(-1, -2)),
        "conv 'c' needs stride of 2 sizes of at least 1, but got (-1, -2); correct it",
    ),
    (
        conv(stride=(1, 0)),
        "conv 'c' needs stride of 2 sizes of at least 1, but got (1, 0); correct it",
    ),
    (
        pool(stride=(2, -2)),
        "maxpool 'p' needs stride of 2 sizes of at least 1, but got (2, -2); correct it",
    ),
    (
        conv(padding=(1, 1)),
        "conv 'c' needs padding of 4 sizes, but got (1, 1); correct it",
    ),
    (
        conv(dilation=(1, 2)),
        "conv 'c' needs height and width (6, 3), from (3, 6, 5) of 'x', but got (6, 5); correct "
        "its shape, kernel or padding",
    ),
    (
        conv(bias=zeros(3)),
        "conv 'c' needs bias of shape (4,), but got (3,); build it again",
    ),
    (
        conv(left=np.zeros(4, np.int32)),
        "conv 'c' needs int64 left, but got int32; build it again",
    ),
    (
        conv(right=np.array([0, 1, 64, 0])),
        "conv 'c' needs right shifts from 0 to 63, but got 0 to 64; quantize it with other "
        "exponents",
    ),
    (
        conv(left=zeros(4) - 1),
        "conv 'c' needs left shifts from 0 to 63, but got -1 to -1; quantize it with other "
        "exponents",
    ),
    (
        conv(skip_left=zeros(4)),
        "conv 'c' needs skip_left only with a skip, but got skip_left alone; remove it",
    ),
    (
        conv(skip="x"),
        "conv 'c' needs int64 skip_left, but got NoneType; build it again",
    ),
    (
        conv(skip="x", skip_left=zeros(4)),
        "conv 'c' needs a skip of 4 channels or 1, and of 6x5 pixels or 1x1, but got (3, 6, 5) of "
        "'x'; make the shapes equal",
    ),
    (
        conv(high=256),
        "conv 'c' needs a clamp within 0 to 255, but got 0 to 256; clamp it to its type",
    ),
    (
        conv(low=9, high=8),
        "conv 'c' needs a clamp within 0 to 255, but got 9 to 8; clamp it to its type",
    ),
    (
        conv(low=-3, high=0, table=zeros((1, 3))),
        "conv 'c' needs a table of shape (1 or 4, 4), but got (1, 3); build it again",
    ),
    (
        conv(low=-3, high=0, table=np.zeros((1, 4))),
        "conv 'c' needs an int64 table, but got float64; build it again",
    ),
    (
        conv(low=-3, high=0, table=np.array([[0, 255, 256, -1]])),
        "conv 'c' needs a table within 0 to 255, but got -1 to 256; clamp it to its type",
    ),
    (
        conv(low=-2049, high=0, table=zeros((1, 2050))),
        "conv 'c' needs a table's index within -2048 to 2047, but got -2049 to 0; clamp it to "
        "fewer entries",
    ),
    (
        conv(low=1, high=0, table=zeros((1, 0))),
        "conv 'c' needs a table's index within -2048 to 2047, but got 1 to 0; clamp it to fewer "
        "entries",
    ),
    (
        graph(X, changed(LAST, table=zeros((1, 1)))),
        "conv 'y' needs a table only with a rounded result, but got an unrounded one; round it",
    ),
    (
        conv(type=QType(20, True, 0)),
        "conv 'c' needs a type of 2 to 16 bits, but got s20e+0; round it to fewer bits",
    ),
    (
        conv(rounded=False),
        "conv 'c' needs a signed type of 24 to 48 bits, as it is unrounded, but got u8e-4; give it "
        "the epilogue's",
    ),
    (
        graph(X, changed(LAST, right=zeros(4) + 2)),
        "conv 'y' needs no right shift, as it is unrounded, but got 2; shift nothing",
    ),
    (
        pool(type=QType(8, True, 4)),
        "maxpool 'p' needs operands of its type s8e-4, but got u8e-4 of 'c'; requantize the "
        "operand first",
    ),
    (
        pool(shape=(3, 3, 2)),
        "maxpool 'p' needs 4 channels, but got 3; keep the channels",
    ),
    (
        pool(kernel=(0, 2)),
        "maxpool 'p' needs a kernel of at least 1 x 1, but got (0, 2); correct it",
    ),
    (
        pool(kernel=(7, 2)),
        "maxpool 'p' needs height and width (0, 2), from (4, 6, 5) of 'c', but got (3, 2); correct "
        "its shape, kernel or padding",
    ),
    (
        concat(inputs=()),
        "concat 'k' needs operands, but got none; remove it",
    ),
    (
        concat(type=QType(8, False, 5)),
        "concat 'k' needs operands of its type u8e-5, but got u8e-4 of 'x'; requantize the operand "
        "first",
    ),
    (
        concat(shape=(6, 6, 5)),
        "concat 'k' needs a shape that stacks its operands' channels, but got (6, 6, 5) of "
        "operands (3, 6, 5), (4, 6, 5); make the shapes agree",
    ),
    (
        graph(X, CONV, POOL, replace(CONCAT, inputs=("c", "p"), shape=(8, 6, 5))),
        "concat 'k' needs a shape that stacks its operands' channels, but got (8, 6, 5) of "
        "operands (4, 6, 5), (4, 3, 2); make the shapes agree",
    ),
    (
        graph(X, CONV, outputs=()),
        "a graph needs an output, but got none; name one",
    ),
    (
        graph(X, CONV, outputs=(Output("z", (1,)),)),
        "output 'z' needs a node of that name, but there is none; name a node",
    ),
    (
        graph(X, CONV, outputs=(Output("c", (119,)),)),
        "output 'c' needs as many values as its node's shape (4, 6, 5), but got shape (119,); "
        "correct it",
    ),
]


@pytest.mark.parametrize(("broken", "text"), REFUSALS, ids=[text[:60] for _, text in REFUSALS])
def test_a_broken_rule_is_refused(broken, text):
    with pytest.raises(CompileError) as refusal:
        check(broken)
    assert str(refusal.value) == text
