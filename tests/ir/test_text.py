import numpy as np
import pytest
from hypothesis import given, settings

from qnn.errors import CompileError
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat, Input
from qnn.ir.serialize import from_bytes, to_bytes
from qnn.ir.text import parse, text
from qnn.quant.qtype import QType
from tests.graphs import Limits, check_same, graphs
from tests.operators import changed, conv, max_pool, multiply

U8, S6 = QType(8, False, 4), QType(6, True, -1)


WIDE = Limits(size=5, channels=5, nodes=5, weight_bits=5, activation_bits=16, products=True)


def every_kind():
    """A graph of every operator and every detail that a line can hold."""
    zeros = np.zeros(4, np.int64)
    image = Input(name="x", shape=(3, 9, 8), type=U8, table=np.zeros((3, 256), np.int64))
    plain = conv(
        name="plain",
        input="x",
        shape=(4, 9, 8),
        type=S6,
        codes=np.ones((1, 4, 3, 1, 1), np.int8),
        weight_bits=3,
        low=-32,
        high=31,
    )
    rich = changed(
        plain,
        name="rich",
        input="plain",
        codes=np.ones((2, 4, 1, 2, 3), np.int8),
        weight_bits=4,
        left=np.array([0, 2, 1, 0]),
        bias=np.array([-5, 0, 7, 900]),
        right=np.array([3, 4, 3, 3]),
        skip="plain",
        skip_left=zeros + 2,
        dilation=(2, 1),
        padding=(1, 1, 2, 0),
        groups=4,
        low=0,
    )
    gate = changed(
        plain,
        name="gate",
        input="rich",
        shape=(4, 1, 1),
        codes=np.ones((1, 4, 4, 9, 8), np.int8),
    )
    gated = multiply(
        name="gated",
        inputs=("rich", "gate"),
        shape=rich.shape,
        type=S6,
        bias=np.array([0, 3, 0, -2]),
        right=zeros + 5,
        low=-32,
        high=31,
    )
    pool = max_pool(
        name="pool", input="gated", shape=(4, 4, 4), type=S6, kernel=(3, 2), stride=(2, 2)
    )
    stack = Concat(name="stack", inputs=("pool", "pool"), shape=(8, 4, 4), type=S6)
    last = changed(
        plain,
        name="last",
        input="stack",
        shape=(2, 1, 1),
        type=QType(32, True, 11),
        codes=np.ones((1, 2, 8, 4, 4), np.int8),
        left=np.zeros(2, np.int64),
        bias=np.array([4, -4]),
        right=np.zeros(2, np.int64),
        rounded=False,
    )
    outputs = (Output("last", (2,)), Output("pool", (4, 4, 4)))
    return Graph((image, plain, rich, gate, gated, pool, stack, last), outputs)


def test_every_kind_of_node_prints_what_matters(golden):
    golden("every_kind.txt", str(every_kind()) + "\n")


@settings(max_examples=60)
@given(
    graphs(
        Limits(
            size=5,
            channels=5,
            nodes=5,
            weight_bits=5,
            activation_bits=16,
            products=True,
            table_bits=5,
        )
    )
)
def test_the_full_text_parses_to_the_same_graph(graph):
    back = parse(text(graph, full=True))
    check_same(back, graph)
    assert to_bytes(back) == to_bytes(graph)


TOKENS = Input(name="tokens", shape=(4, 7, 1), type=S6, axes="TC")
ODD = 'an odd, "name" (1)'


@pytest.mark.parametrize(
    "graph",
    [
        Graph((TOKENS, Input(name="y", shape=(2, 1, 1), type=U8)), (Output("y", (2,)),)),
        Graph((TOKENS,), (Output("tokens", (7, 4), "TC"), Output("tokens", (28,)))),
        Graph(
            (Input(name=ODD, shape=(1, 1, 1), type=U8), *[
                max_pool(name="return", input=ODD, shape=(1, 1, 1), type=U8, kernel=(1, 1))
            ]),
            (Output("return", ()), Output(ODD, (1, 1, 1), "CHW")),
        ),
        Graph(
            (Input(name="x", shape=(2, 3, 3), type=S6, table=np.arange(512, dtype=np.int16)
                .reshape(2, 256) % 31),),
            (Output("x", (18,)),),
        ),
        Graph(
            (Input(name="x", shape=(2, 3, 3), type=S6, table=np.zeros((2, 256), np.int64),
                statistics=((0.1, 1e-07), (-3.0, 255.0))),),
            (Output("x", (18,)),),
        ),
        Graph((*every_kind().nodes[:-1], changed(every_kind()["last"], low=-3, high=5)),
            every_kind().outputs),
    ],
    ids=["two inputs", "axes", "names", "a table of 16 bits", "pixels", "an unrounded clamp"],
)  # fmt: skip
def test_what_is_rare_comes_back_too(graph):
    back = parse(text(graph, full=True))
    check_same(back, graph)
    assert to_bytes(back) == to_bytes(graph)
    assert to_bytes(from_bytes(to_bytes(graph))) == to_bytes(graph)


def test_a_line_can_be_written_by_hand():
    graph = parse("""

x: u8e-4 2x4x4 = input()

  c: s8e-2 2x2x2 = conv(x) 3x3 w3 bias=[5,-5] >>4 clamp -128..127 codes=[9*1,-2,26*0]
return c 8
""")
    assert graph["c"].codes.ravel().tolist() == [1] * 9 + [-2] + [0] * 26
    assert graph["c"].epilogue.right.tolist() == [4, 4]
    assert graph.outputs == (Output("c", (8,)),)


def test_a_table_is_written_behind_the_range_of_its_index():
    graph = parse(HEAD + TABLE + "\nreturn c 8")
    assert graph["c"].epilogue.table.tolist() == [[9, 9, 3, 0]]
    assert (graph["c"].epilogue.low, graph["c"].epilogue.high) == (-1, 2)
    assert str(graph["c"].epilogue.parts(None, False)[-1]) == ">>4 table -1..2=0..9"
    several = parse(HEAD + TABLE.replace("table", "tables").replace("2*9", "6*9") + "\nreturn c 8")
    assert several["c"].epilogue.table.tolist() == [[9, 9, 9, 9], [9, 9, 3, 0]]
    assert str(several["c"].epilogue.parts(None, False)[-1]) == ">>4 tables -1..2=0..9"


HEAD = "x: u8e-4 2x4x4 = input()\n"
POOL = "p: u8e-4 2x2x2 = maxpool(x) 2x2 stride=2x2"
CONV = "c: s8e-2 2x2x2 = conv(x) 3x3 w3 bias=[5,-5] >>4 clamp -128..127 codes=[9*1,-2,26*0]"
TABLE = CONV.replace("clamp -128..127", "table -1..2=[2*9,3,0]")

REFUSALS = [
    ("", "line 1, column 1: needs a line of a node, or 'return' and the outputs, but got the end "
     "of the text"),
    (HEAD, "line 2, column 1: needs a line of a node, or 'return' and the outputs, but got the end "
     "of the text"),
    (",", "line 1, column 1: needs a tensor's name, but got ','"),
    ('"x: u8', "line 1, column 1: needs the end of a quoted name, but got '\"x: u8'"),
    ("x u8e-4", "line 1, column 3: needs ':', but got 'u8e-4'"),
    ("x: 8", "line 1, column 4: needs a type such as s8e-4, but got '8'"),
    (
        "x: u64e+0 1",
        "line 1, column 4: needs a type of 2 to 48 bits with 0 in its range, but got 'u64e+0 1'",
    ),
    (
        "x: s4z+8e+0",
        "line 1, column 4: needs a type of 2 to 48 bits with 0 in its range, but got 's4z+8e+0'",
    ),
    ("x: u8e-4 2x4", "line 1, column 10: needs 3 sizes joined by 'x', but got '2x4'"),
    ("x: u8e-4 2x4x4\n", "line 1, column 15: needs '=', but got the end of the line"),
    ("x: u8e-4 2x4x4 = inputs()", "line 1, column 18: needs one of input, conv, depthwise, "
     "multiply, maxpool, concat, interleave, but got 'inputs()'"),
    ("x: u8e-4 2x4x4 = 5", "line 1, column 18: needs one of input, conv, depthwise, "
     "multiply, maxpool, concat, interleave, but got '5'"),
    ("x: u8e-4 2x4x4 = input() table", "line 1, column 31: needs '=', but got the end of the text"),
    ("x: u8e-4 2x4x4 = input() table=[1,2]", "line 1, column 32: needs a list of 512 numbers, not "
     "of 2, but got '[1,2]'"),
    ("x: u8e-4 2x4x4 = input() axes=XY", "line 1, column 31: needs one of CHW, C, CL, TC, L, but "
     "got 'XY'"),
    (HEAD + HEAD, "line 2, column 1: needs a name that no earlier line has, but got 'x: u8e-4 "
     "2x4x4 = inp...'"),
    (HEAD + POOL + " more", "line 2, column 44: needs the end of the line, but got 'more'"),
    (HEAD + POOL.replace("(x)", "x"), "line 2, column 18: needs one of input, conv, depthwise, "
     "multiply, maxpool, concat, interleave, but got 'maxpoolx 2x2 stride=...'"),
    (HEAD + POOL.replace("(x)", ""), "line 2, column 26: needs '(', but got '2x2 stride=2x2'"),
    (HEAD + CONV.replace("(x)", "(y)"), "line 2, column 23: needs the name of an earlier line, but "
     "got 'y) 3x3 w3 bias=[5,-5...'"),
    (HEAD + CONV.replace("[5,-5]", "-5..5"), "line 2, column 38: needs the 2 numbers themselves, "
     "not their range, but got '-5..5 >>4 clamp -128...'"),
    (HEAD + CONV.replace("[5,-5]", "[5,,5]"), "line 2, column 38: needs numbers, or counts such as "
     "3*0, with commas between them, but got '[5,,5] >>4 clamp -12...'"),
    (HEAD + CONV.replace("[5,-5]", "five"), "line 2, column 38: needs a list of 2 numbers, but got "
     "'five >>4 clamp -128....'"),
    (HEAD + CONV.replace("-2,", "200,"), "line 2, column 71: needs numbers from -128 to 127, but "
     "got '[9*1,200,26*0]'"),
    (HEAD + CONV.partition(" codes")[0], "line 2, column 64: needs 'codes=', but got the end of "
     "the text"),
    (HEAD + CONV.replace(">>4 ", ""), "line 2, column 45: needs '>>', but got 'clamp -128..127 "
     "code...'"),
    (HEAD + CONV.replace("-128..127", "-128"), "line 2, column 60: needs '..', but got "
     "'codes=[9*1,-2,26*0]'"),
    (HEAD + TABLE.replace("-1..2", "-1..4095"), "line 2, column 55: needs a range of 1 to 4096 "
     "entries, but got '-1..4095=[2*9,3,0] c...'"),
    (HEAD + TABLE.replace("2*9,", ""), "line 2, column 61: needs a list of 4 numbers, not of 2, "
     "but got '[3,0] codes=[9*1,-2,...'"),
    (HEAD + CONV.replace("w3", "w3x1x2"), "line 2, column 31: needs bits of a code, and terms if "
     "there are more than one, but got '3x1x2 bias=[5,-5] >>...'"),
    (HEAD + "return x 32\nmore", "line 3, column 1: needs nothing behind the outputs, but got "
     "'more'"),
    (HEAD + "return", "line 2, column 7: needs ':', but got the end of the text"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "expected"), REFUSALS, ids=range(len(REFUSALS)))
def test_what_does_not_fit_is_named_by_line_and_column(broken, expected):
    with pytest.raises(CompileError) as refusal:
        parse(broken)
    assert str(refusal.value) == expected


def test_a_graph_that_breaks_a_rule_is_refused():
    with pytest.raises(CompileError) as refusal:
        parse(HEAD + POOL.replace("2x2x2", "2x2x3") + "\nreturn p 12")
    assert str(refusal.value) == (
        "maxpool 'p' needs height and width (2, 2), from (2, 4, 4) of 'x', but got (2, 3); correct "
        "its shape, kernel or padding"
    )
