"""CPU seconds of each pass of the compiler, for graphs that are given as files.

Run as ``python -m tests.benchmarks.bench_compile GRAPH.qgraph ...``, one after the other with
nothing beside it: a loaded machine takes half as long again. The sum is per instruction and per
million weights too, which are about equal for networks of one kind, however deep.
"""

import sys
import time
from pathlib import Path

from qnn.backend.array.configure import config_for
from qnn.compiler import PASSES
from qnn.compiler.compilation import Compilation
from qnn.ir.graph import Graph
from qnn.ir.serialize import load

SIZE = "reference"  # the size of docs/results.md


def seconds(graph: Graph) -> tuple[dict[str, float], int]:
    """The CPU seconds of every pass, and the instructions of the program."""
    config = config_for(SIZE, graph)
    state = Compilation(graph=graph, config=config, batch=1, bytes_per_cycle=config.bus_bytes)
    spent = {}
    for each in PASSES:
        start = time.process_time()
        state = each(state)
        spent[each.name] = time.process_time() - start
    return spent, len(state.program)


def main():
    """Print a line per pass that takes a tenth of a second, and a line per graph."""
    for path in map(Path, sys.argv[1:]):
        graph = load(path)
        spent, instructions = seconds(graph)
        for name, time_spent in spent.items():
            if time_spent >= 0.1:
                print(f"  {name:20}{time_spent:8.2f} s")
        total, weights = sum(spent.values()), sum(conv.codes.size for conv in graph.convs)
        print(
            f"{path.stem}: {total:.2f} s, {instructions} instructions of "
            f"{1e6 * total / instructions:.0f} us, {weights / 1e6:.1f} million weights of "
            f"{total / (weights / 1e6):.2f} s"
        )


if __name__ == "__main__":
    main()
