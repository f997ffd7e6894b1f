"""Cycle model of a run: engines, instruction fetch, tokens, a memory of fixed latency and rate.

Next-event simulation: each part says when it can act next, the earliest acts. Latencies are
``hw.spec.timing``'s. Several cores share the memory's data paths as ``arbiter.sv`` says. A feature
word that is loaded waits for writes of the epilogue on its side of the banks, and one that is
stored for either in its bank. An event settles as many beats and words as nothing that comes later
can hold up: results are known long before they are written, as a step takes its way through the
array. So the cycles are those of RTL.
"""

from sim.cycles.simulate import simulate_cores, simulate_cycles
from sim.cycles.timing import LayerTiming, Timing

__all__ = ["LayerTiming", "Timing", "simulate_cores", "simulate_cycles"]
