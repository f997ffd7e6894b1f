"""A network and a configuration small enough to simulate and to route in minutes."""

from dataclasses import replace

from hw.spec.config import SvpeConfig
from qnn.design import Design, compile
from tests.compiler import small_graphs

CONFIG = SvpeConfig(
    lanes=4,
    rows=2,
    columns=1,
    feature_words=256,
    weight_words=64,
    parameter_words=16,
    bus_bits=64,
)


def tiny_graph():
    """A convolution of 4 x 4 pixels and a linear layer."""
    x = small_graphs.image(1, 4, 4, type=small_graphs.U8)
    c = small_graphs.conv("c", x, 4)
    return small_graphs.graph(x, c, small_graphs.last(c, 3))


def tiny_design(bus_bits: int = 64) -> Design:
    return compile(tiny_graph(), replace(CONFIG, bus_bits=bus_bits))
