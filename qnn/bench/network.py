"""What an accelerator needs for a network: cycles of a batch and of one image, layer by layer.

Every tensor of every image is compared with the reference on the way, so that cycles of wrong
results are never told.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hw.spec.config import SvpeConfig
from qnn.bench import shared
from qnn.bench.core_clock import CoreClock, rate_clock
from qnn.design import Design, compile
from qnn.errors import DeviceError, ModelError
from qnn.ir.graph import Graph
from qnn.nn.data import load_data
from qnn.nn.zoo import ZOO, load_model
from qnn.ptq.export import export
from qnn.ptq.quantize import quantize
from sim.cycles import LayerTiming, Timing, simulate_cores
from sim.spent import SpentCycles
from sim.verification import Report
from sim.verify import verify

# Enough for ranges; cycles do not depend on them.
CALIBRATION = 256  # images
LARGE, FEW = 128, 8  # pixels a side, from which images take seconds each; and images of such
PUBLISHED = {  # as its authors report
    "resnet20": {"system": "NN2FPGA", "device": "XCK26", "frames_per_second": 7601},
    "resnet8": {"system": "NN2FPGA", "device": "XCK26", "frames_per_second": 30153},
}
PUBLISHED_IN = "arXiv 2309.15631"


@dataclass(frozen=True)
class SimulatedLayer:
    """One layer: cycles of the first core, a mean over the images of its batch.

    Members
    -------
    ideal_cycles : its multiply-accumulates over those that the array does in a cycle
    issue_cycles : steps that the array took
    stalls : cycles it waited, by cause, as the cycle model has them (``sim.spent``)
    latency_cycles : first step to last write of the first image, by the device
    """

    name: str
    macs: int
    ideal_cycles: float
    issue_cycles: float
    interval_stall_cycles: float
    dependence_stall_cycles: float
    load_stall_cycles: float
    store_stall_cycles: float
    fetch_stall_cycles: float
    latency_cycles: int


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """What a network costs: cycles are simulated, time is that of cycles at an estimated clock.

    Members
    -------
    simulator : "functional" (cycles of the cycle model) or "rtl"
    batch : images of one run of one core; ``cores`` runs start together
    paths : beats that the memory moves in a cycle, each way, over all cores
    cycles : from the start to the last core's end
    cycles_per_image : of all cores together
    moved_bytes_per_image : of the memory, instructions included, by the cycle model
    values_compared : of a batch of each core in RTL, and of one core otherwise
    model_cycles : of the cycle model, for the same
    cold_latency_cycles : one image alone, from the start to its output in memory
    outside_cycles : of a batch of the first core, after its last layer's last step
    clock : whose low end all times are at
    """

    model: str
    checkpoint: str | None
    configuration: str
    weight_bits: int
    simulator: str
    cores: int
    paths: int
    batch: int
    images: int
    values_compared: int
    cycles: int
    cycles_per_image: float
    moved_bytes_per_image: float
    model_cycles: int
    utilisation: float
    frames_per_second: float
    cold_latency_cycles: int
    cold_latency_milliseconds: float
    outside_cycles: int
    clock: CoreClock
    layers: tuple[SimulatedLayer, ...]
    published: dict | None

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def quantized_graph(
    model: str, checkpoint: Path | None, data: str | None, weight_bits: int, seed: int = 0
) -> tuple[Graph, np.ndarray]:
    """The integer graph of a model, and test images, (images, channels, height, width) uint8.

    Without a checkpoint the weights are those of ``seed``; without data, images are random. A model
    that is not of the zoo takes pixels / 255.

    Raises
    ------
    ModelError
        The model, the checkpoint or the data are not to be had.
    """
    with torch.random.fork_rng(devices=[]):
        # Random weights are the same each time: images, and so cycles, can be compared.
        torch.manual_seed(seed)
        network = load_model(model, checkpoint)
    train, test = _images(model, data, seed)
    mean, std = (ZOO[model].mean, ZOO[model].std) if model in ZOO else (0.0, 1.0)
    sample = train[:CALIBRATION]
    quantized = quantize(
        network, sample, weight_bits=weight_bits, rounding="nearest", terms=1, mean=mean, std=std
    )
    return export(quantized), test.numpy()


def _images(model, data, seed) -> tuple[Tensor, Tensor]:
    """Images to calibrate on, and images to run."""
    if data is not None and (Path(data) / shared.CIFAR10_TEST).is_file():
        return shared.cifar10_train(Path(data), [0])[0], shared.cifar10_test(Path(data))[0]
    if data is not None:
        dataset = load_data(data)
        return dataset.x_train, dataset.x_test
    if model not in ZOO:
        raise ModelError(
            f"bench network needs --data to know what images '{model}' takes, but got none; give "
            f"it, or name a model of the zoo ({', '.join(ZOO)})"
        )
    random, shape = np.random.default_rng(seed), ZOO[model].shape
    count = FEW if max(shape[1:]) > LARGE else CALIBRATION
    images = torch.from_numpy(random.integers(0, 256, (count, *shape), np.uint8))
    return images, images


def measure(
    graph: Graph,
    x: np.ndarray,
    config: SvpeConfig,
    *,
    model: str,
    checkpoint: Path | None = None,
    cores: int = 1,
    paths: int = 1,
    batch: int = 8,
    device: str = "functional",
    memory_bytes_per_cycle: float | None = None,
) -> NetworkCost:
    """Run a batch on each core, and one image alone; images repeat where ``x`` has too few.

    Parameters
    ----------
    memory_bytes_per_cycle : that all cores move together, by the cycle model; None for no limit

    Raises
    ------
    CompileError
        The network does not fit the accelerator.
    DeviceError
        A value differs from the reference, or a run failed.
    """
    design = compile(graph, config, batch)
    modelled = simulate_cores(
        design.artifact, cores, paths=paths, memory_bytes_per_cycle=memory_bytes_per_cycle
    )
    options = {"cores": cores, "paths": paths} if device == "rtl" else {}
    # Cycles do not depend on what the images show, but all their values are compared. Cores without
    # cycles of their own differ in nothing: one of them is enough.
    runs = cores if options else 1
    report = _verified(design, x[np.arange(runs * batch) % len(x)], device, **options)
    said = tuple(timing.cycles for timing in modelled)
    # Of all cores: frames are done when the last one is.
    cycles = max(report.run_cycles or said)
    capacity = config.lanes * config.rows * config.columns
    layers = _layers(design, modelled[0], report, capacity)
    macs, count = sum(layer.macs for layer in layers), cores * batch
    cold, clock = _cold(graph, x[:1], config, device), rate_clock(config)
    return NetworkCost(
        model=model,
        checkpoint=checkpoint and str(checkpoint),
        configuration=str(config),
        weight_bits=config.weight_bits,
        simulator=device,
        cores=cores,
        paths=paths,
        batch=batch,
        images=count,
        values_compared=report.values_compared,
        cycles=cycles,
        cycles_per_image=cycles / count,
        moved_bytes_per_image=sum(timing.moved_bytes for timing in modelled) / count,
        model_cycles=max(said),
        utilisation=macs * batch / (capacity * cycles),
        frames_per_second=clock.hertz * count / cycles,
        cold_latency_cycles=cold,
        cold_latency_milliseconds=1000 * cold / clock.hertz,
        outside_cycles=said[0] - _all_spent(modelled[0].layers).cycles,
        clock=clock,
        layers=layers,
        published=PUBLISHED.get(model) and {**PUBLISHED[model], "source": PUBLISHED_IN},
    )


def _verified(design: Design, images, device, **options) -> Report:
    report = verify(design, images, device, **options)
    if not report.passed:
        # A refusal is one line.
        raise DeviceError(f"{device}: {report}".replace("\n", ";"))
    return report


def _cold(graph, x, config, device) -> int:
    design = compile(graph, config)
    report = _verified(design, x, device)
    return (report.run_cycles or (simulate_cores(design.artifact, 1)[0].cycles,))[0]


def _layers(design, timing: Timing, report: Report, capacity) -> tuple[SimulatedLayer, ...]:
    batch = design.artifact.batch
    measured = {
        layer.name: layer.cycles.last_write - layer.cycles.issue
        for layer in report.layers
        if layer.image == 0 and layer.cycles is not None
    }
    costs = []
    # A layer comes once for each image, or for several at a time.
    for name in dict.fromkeys(layer.name for layer in timing.layers):
        own = [layer for layer in timing.layers if layer.name == name]
        total, macs = _all_spent(own), sum(layer.macs for layer in own) // batch
        cost = SimulatedLayer(
            name=name,
            macs=macs,
            ideal_cycles=macs / capacity,
            issue_cycles=total.issue / batch,
            interval_stall_cycles=total.interval / batch,
            dependence_stall_cycles=total.dependence / batch,
            load_stall_cycles=total.load / batch,
            store_stall_cycles=total.store / batch,
            fetch_stall_cycles=total.fetch / batch,
            latency_cycles=measured.get(name, own[0].cycles),
        )
        costs.append(cost)
    return tuple(costs)


def _all_spent(layers: Sequence[LayerTiming]) -> SpentCycles:
    return sum((layer.spent for layer in layers), SpentCycles())
