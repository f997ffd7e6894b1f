"""Property: the cycle model has each instruction of any program end in the cycle that RTL does."""

from dataclasses import replace

import pytest
from hypothesis import Phase, given, reject, settings
from hypothesis import strategies as st

from hw.spec.config import named_config
from qnn.compiler import compile_graph
from qnn.errors import CompileError
from sim.drawn_program import draw_program
from sim.rtl import MemoryTiming
from tests.graphs import Limits, graphs, images
from tests.sim.checks import check_every_end

pytestmark = pytest.mark.rtl

TEST = named_config("test")
CONFIGS = {
    "test": TEST,
    # So small that most tensors go through memory: loads and stores meet results all the time.
    "strips": replace(TEST, feature_words=256, weight_words=128),
    "four words": replace(TEST, columns=8, epilogue_words=4),
}
# `memory.sv` answers two cycles after an address at the earliest.
MEMORIES = st.builds(
    MemoryTiming, latency=st.integers(2, 80), rate=st.none() | st.integers(1, TEST.bus_bytes)
)
LIMITS = Limits(weight_bits=TEST.weight_bits, size=24, channels=20)


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=6, deadline=None, phases=(Phase.reuse, Phase.generate))  # a run is slow
@given(graph=graphs(LIMITS), memory=MEMORIES, batch=st.integers(1, 2))
def test_random_networks_take_the_cycles_of_the_model(name, graph, memory, batch):
    try:
        image = compile_graph(graph, CONFIGS[name], batch, memory.rate)
    except CompileError:
        reject()  # a row of it is larger than the buffer
    check_every_end(image, images(graph, batch), memory)


@pytest.mark.parametrize("rate", [None, 3])
@pytest.mark.parametrize("seed", [0, 4])
def test_programs_that_no_compiler_makes_take_the_cycles_of_the_model(seed, rate):
    program = draw_program(TEST, seed)
    check_every_end(program.image, program.inputs, MemoryTiming(latency=5 + seed, rate=rate))
