"""Small graphs made by hand, one for each thing that the compiler does."""

import numpy as np

from qnn.ir.check import check
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat, Input
from qnn.quant.qtype import QType
from tests import operators

U8, S8 = QType(8, False, 4), QType(8, True, 4)


def image(channels=3, height=6, width=5, type=S8):
    return Input(name="x", shape=(channels, height, width), type=type)


def conv(name, source, outputs, *, kernel=3, skip=None, seed=1, **fields):
    """Same-size convolution with random codes."""
    rng = np.random.default_rng(seed)
    inputs, height, width = source.shape
    zeros = np.zeros(outputs, np.int64)
    given = {
        "name": name,
        "input": source.name,
        "shape": (outputs, height, width),
        "type": U8,
        "codes": rng.integers(-3, 4, (1, outputs, inputs, kernel, kernel)).astype(np.int8),
        "weight_bits": 3,
        "left": zeros,
        "bias": rng.integers(-100, 100, outputs),
        "right": zeros + 6,
        "padding": (kernel // 2,) * 4,
        "skip": None if skip is None else skip.name,
        "skip_left": None if skip is None else zeros + 4,
        "high": 255,
    }
    return operators.conv(**given | fields)


def last(source, outputs):
    """Unrounded linear layer."""
    rng = np.random.default_rng(2)
    return conv(
        "last",
        source,
        outputs,
        shape=(outputs, 1, 1),
        type=QType(32, True, 9),
        codes=rng.integers(-3, 4, (1, outputs, *source.shape)).astype(np.int8),
        right=np.zeros(outputs, np.int64),
        padding=(0, 0, 0, 0),
        rounded=False,
    )


def graph(*nodes):
    """The graph of ``nodes``, which the last one ends."""
    result = Graph(nodes, (Output(nodes[-1].name, nodes[-1].shape),))
    check(result)
    return result


def one_conv():
    x = image()
    return graph(x, conv("c", x, 8))


def residual():
    x = image(8, type=U8)
    return graph(x, conv("c", x, 8, skip=x))


def max_pool():
    x = image(8, 6, 6)
    fields = {"kernel": (2, 2), "stride": (2, 2)}
    return graph(x, operators.max_pool(name="m", input="x", shape=(8, 3, 3), type=S8, **fields))


def tabled(*, low=-128, high=127, tables=1, layers=2):
    """Layers with one table for all channels, or one for each, the same in every other layer."""
    rng = np.random.default_rng(3)
    entries = rng.integers(0, 256, (2, tables, high - low + 1))
    nodes = [image(8, type=U8)]
    for number in range(layers):
        fields = {"low": low, "high": high, "table": entries[number % 2], "seed": number}
        nodes.append(conv("abcdefgh"[number], nodes[-1], 8, **fields))
    return graph(*nodes)


def table_beside():
    """A layer with a table, and one without that does not wait for it."""
    x = image(8, type=U8)
    fields = {"low": -128, "high": 127, "table": np.arange(256)[None]}
    a, b = conv("a", x, 8, kernel=1, **fields), conv("b", x, 8, kernel=1, seed=2)
    result = Graph((x, a, b), (Output("a", a.shape), Output("b", b.shape)))
    check(result)
    return result


def table_behind_product():
    """A gate's product, behind which the next image's first layer has a table."""
    x = image(8, 5, 5, type=S8)
    fields = {"low": -128, "high": 127, "table": np.arange(-128, 128)[None]}
    a = conv("a", x, 8, kernel=1, type=S8, **fields)
    whole = {"kernel": 5, "padding": (0, 0, 0, 0), "shape": (8, 1, 1)}
    gate = conv("gate", a, 8, seed=2, type=S8, low=-128, high=127, **whole)
    zeros = np.zeros(8, np.int64)
    product = operators.multiply(
        name="product",
        inputs=("a", "gate"),
        shape=a.shape,
        type=S8,
        left=zeros,
        bias=zeros,
        right=zeros + 8,
        low=-128,
        high=127,
    )
    result = Graph((x, a, gate, product), (Output("product", a.shape),))
    check(result)
    return result


def late_and_early():
    """Layers with tables before, between and behind others, and one that is not rounded."""
    rng = np.random.default_rng(5)
    x = image(8, type=U8)
    fields = {"low": -100, "high": 127}
    entries = rng.integers(0, 256, (8, 228))
    a = conv("a", x, 8, kernel=1, skip=x, seed=2, table=entries, **fields)
    b = conv("b", a, 8, kernel=1, seed=3)
    c = conv("c", b, 8, seed=4, table=entries[:1], **fields)
    codes = rng.integers(-3, 4, (3, 8, 8, 1, 1)).astype(np.int8)
    d = conv("d", c, 8, kernel=1, codes=codes, table=entries[1:2], **fields)
    pooled = operators.max_pool(
        name="m", input="d", shape=(8, 3, 2), type=U8, kernel=(2, 2), stride=(2, 2)
    )
    return graph(x, a, b, c, d, pooled, last(pooled, 5))


def concat():
    """Segments of 5 and 12 channels, then a convolution of both."""
    x = image()
    a, b = conv("a", x, 5), conv("b", x, 12, kernel=1, seed=3)
    both = Concat(name="both", inputs=("a", "b"), shape=(17, 6, 5), type=U8)
    return graph(x, a, b, both, conv("c", both, 9))


def network():
    """Convolution, residual, pooling, concatenation and an unrounded output."""
    x = image(3, 8, 7)
    a = conv("a", x, 8)
    b = conv("b", a, 8, skip=a, seed=4)
    pool = operators.max_pool(
        name="pool", input="b", shape=(8, 4, 3), type=U8, kernel=(2, 2), stride=(2, 2)
    )
    c = conv("c", pool, 5, kernel=1, seed=5)
    both = Concat(name="both", inputs=("pool", "c"), shape=(13, 4, 3), type=U8)
    return graph(x, a, b, pool, c, both, last(both, 10))


def spread():
    """Two concatenations that share an operand, and sums whose channels lie differently."""
    x = image(3)
    a, b = conv("a", x, 3), conv("b", x, 5, seed=6)
    p = Concat(name="p", inputs=("a", "b"), shape=(8, 6, 5), type=U8)
    q = Concat(name="q", inputs=("b", "a", "a"), shape=(11, 6, 5), type=U8)
    d = conv("d", x, 8, seed=7)
    ones = np.ones((1, 8, 1, 1, 1), np.int8)
    e = conv("e", p, 8, kernel=1, codes=ones, groups=8, skip=d)
    both = Concat(name="all", inputs=("p", "q", "e"), shape=(27, 6, 5), type=U8)
    return graph(x, a, b, p, q, d, e, both)


def grouped():
    """Groups that fill half a word, groups of which one straddles two words, two outputs a channel.

    The word is that of 8 lanes.
    """
    x = image(12)
    codes = {"half": (12, 4, 3, 3), "straddling": (10, 6, 1, 1), "twofold": (20, 1, 3, 3)}
    rng = np.random.default_rng(8)
    codes = {
        name: rng.integers(-3, 4, (1, *shape)).astype(np.int8) for name, shape in codes.items()
    }
    a = conv("half", x, 12, codes=codes["half"], groups=3)
    b = conv("straddling", a, 10, kernel=1, codes=codes["straddling"], groups=2)
    return graph(x, a, b, conv("twofold", b, 20, codes=codes["twofold"], groups=10))


ALL = (one_conv, residual, max_pool, concat, network, spread, grouped, tabled, late_and_early)
