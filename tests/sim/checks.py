"""What a graph, or a program, is checked for in RTL simulation."""

from collections.abc import Sequence

import numpy as np

import qnn
from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.isa.header import Engine
from qnn.design import Design
from qnn.ir.graph import Graph
from sim import rtl
from sim.cycles import simulate_cycles
from sim.verify import verify
from tests.graphs import images


def check_in_rtl(graph: Graph, config: SvpeConfig) -> None:
    """Two images give the reference's integers, each in the model's cycles."""
    design = qnn.compile(graph, config)
    report = verify(design, images(graph, 2), "rtl")
    assert report.passed, str(report)
    assert set(report.run_cycles) == {model_cycles(design)}


def model_cycles(design: Design, rate: int | None = None) -> int:
    """The cycles of a run by the cycle model, at a rate of the memory."""
    return simulate_cycles(design.artifact, bytes_per_cycle=rate).cycles


def check_every_end(
    image: Image, x: np.ndarray | Sequence[np.ndarray], timing: rtl.MemoryTiming
) -> None:
    """Each instruction of each engine ends in the model's cycle, in each run on ``x``."""
    model = simulate_cycles(image, timing.latency, timing.rate)
    for run in rtl.execute(image, x, timing=timing).runs:
        assert run.failure is None
        # The model counts from the write of START, and the counter from the cycle after it.
        start = run.trace.end_cycle - run.cycles - 1
        for engine in Engine:
            ended = [cycle - start for cycle, number, _ in run.trace.given if number == engine]
            assert tuple(ended) == model.ended[engine], engine
        assert run.cycles == model.cycles
