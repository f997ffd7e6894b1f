import numpy as np

from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat, Input
from qnn.quant.qtype import QType
from tests.operators import changed, conv, max_pool


def test_every_kind_of_node_prints_what_matters(golden):
    u8, s6 = QType(8, False, 4), QType(6, True, -1)
    zeros = np.zeros(4, np.int64)
    image = Input(name="x", shape=(3, 9, 8), type=u8, table=np.zeros((3, 256), np.int64))
    plain = conv(
        name="plain",
        input="x",
        shape=(4, 9, 8),
        type=s6,
        codes=np.ones((1, 4, 3, 1, 1), np.int8),
        weight_bits=3,
        left=zeros,
        bias=zeros,
        right=zeros,
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
        stride=(1, 1),
        dilation=(2, 1),
        padding=(1, 1, 2, 0),
        groups=4,
        low=0,
    )
    pool = max_pool(
        name="pool", input="rich", shape=(4, 4, 4), type=s6, kernel=(3, 2), stride=(2, 2)
    )
    stack = Concat(name="stack", inputs=("pool", "pool"), shape=(8, 4, 4), type=s6)
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
    graph = Graph((image, plain, rich, pool, stack, last), outputs)
    golden("every_kind.txt", str(graph) + "\n")
