"""What a graph is checked for in RTL simulation."""

import qnn
from hw.spec.config import SvpeConfig
from qnn.ir.graph import Graph
from sim.cycles import simulate_cycles
from sim.verify import verify
from tests.graphs import images


def check_in_rtl(graph: Graph, config: SvpeConfig) -> None:
    """Two images give the reference's integers, each in the model's cycles, to a thousandth."""
    design = qnn.compile(graph, config)
    report = verify(design, images(graph, 2), "rtl")
    assert report.passed, str(report)
    model = simulate_cycles(design.artifact).cycles
    assert all(abs(cycles - model) <= max(2, model // 1000) for cycles in report.run_cycles)
