"""How fast the simulator runs the Verilog of this checkout, and of another one beside it.

Run as ``python -m tests.benchmarks.bench_simulation --beside FOLDER``, where FOLDER is a checkout
of another commit (``git worktree add --detach FOLDER COMMIT``). Each checkout has a process of its
own, which verifies the same images of one network in RTL, every value, by its own sources. The
processes take turns, so that whatever else the machine does meets both; seconds are those of the
processors.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]


def drawn(name: str, core: str, images: int):
    """A core's design of a network with random weights, and codes of random pixels."""
    import torch

    import qnn
    from hw.spec.config import named_config
    from qnn.ir.encode import encode_input
    from qnn.nn.preprocess import to_reals
    from qnn.nn.zoo import ZOO, load_model
    from tests.nearest import quantize

    torch.manual_seed(0)
    entry, model = ZOO[name], load_model(name)
    pixels = torch.randint(0, 256, (2 + images, *entry.shape), dtype=torch.uint8)
    reals = to_reals(pixels[:2], entry.mean, entry.std)
    quantized = quantize(model, reals, weight_bits=3, mean=entry.mean, std=entry.std)
    graph = qnn.export(quantized)
    return qnn.compile(graph, named_config(core)), encode_input(graph, pixels[2:].numpy())


def work(name: str, core: str, images: int) -> None:
    """Verify once for each line that comes in, and answer with what it took, as JSON."""
    from sim.verify import verify

    design, x = drawn(name, core, images)
    verify(design, x, "rtl")  # compiles the simulator
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        own, children = _spent(resource.RUSAGE_SELF), _spent(resource.RUSAGE_CHILDREN)
        report = verify(design, x, "rtl")
        assert report.passed, str(report)
        simulator = _spent(resource.RUSAGE_CHILDREN) - children
        rest = _spent(resource.RUSAGE_SELF) - own
        found = {"cycles": sum(report.run_cycles), "values": report.values_compared}
        print(json.dumps({**found, "simulator": simulator, "rest": rest}), flush=True)


def _spent(who):
    use = resource.getrusage(who)
    return use.ru_utime + use.ru_stime


class Checkout:
    """A process that works by the sources of a checkout."""

    def __init__(self, folder: Path, options: list[str]):
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work", *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.answer()  # it is ready: whatever the next one compiles is no part of a measurement

    def answer(self) -> dict:
        """The next line that it says."""
        return json.loads(self._process.stdout.readline())

    def measure(self) -> dict:
        """One verification."""
        print(file=self._process.stdin, flush=True)
        return self.answer()

    def end(self) -> None:
        """Wait for its end."""
        self._process.communicate()


def told(name: str, every: list[dict]) -> float:
    """Print what a checkout took, and return its cycles per second."""
    speeds = sorted(each["cycles"] / each["simulator"] for each in every)
    shares = [each["rest"] / (each["rest"] + each["simulator"]) for each in every]
    print(
        f"{name}: {every[0]['cycles']:,} cycles, {every[0]['values']:,} values equal; "
        f"{median(speeds):,.0f} cycles per second ({speeds[0]:,.0f} to {speeds[-1]:,.0f}), "
        f"{median(each['simulator'] for each in every):.2f} s; beside the simulator "
        f"{median(shares):.1%} ({min(shares):.1%} to {max(shares):.1%})"
    )
    return median(speeds)


def main() -> None:
    """Print a line for each checkout, and the ratio of both, round by round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--network", default="resnet20")
    parser.add_argument("--config", default="reference")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.network, given.config, given.images)
        return
    folders = {"this checkout": ROOT}
    if given.beside:
        folders[str(given.beside)] = given.beside.resolve()
    options = ["--network", given.network, "--config", given.config, "--images", str(given.images)]
    checkouts = {name: Checkout(folder, options) for name, folder in folders.items()}
    found = {name: [] for name in checkouts}
    for _ in range(given.rounds):
        for name, checkout in checkouts.items():
            found[name].append(checkout.measure())
    for checkout in checkouts.values():
        checkout.end()
    for name, every in found.items():
        told(name, every)
    if given.beside:
        ratios = sorted(
            (own["cycles"] / own["simulator"]) / (other["cycles"] / other["simulator"])
            for own, other in zip(*found.values(), strict=True)
        )
        print(f"ratio: {median(ratios):.3f} in the median ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    print(f"load of the machine: {', '.join(f'{each:.1f}' for each in os.getloadavg())}")


if __name__ == "__main__":
    main()
