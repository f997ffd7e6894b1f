"""Training steps of one network in several forms, on the same batch, each as a function."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.bench import rival
from qnn.nn import learn
from qnn.nn.zoo import ZOO
from qnn.ptq.quantize import quantize

# The network of the CIFAR runs, with the batch of He et al.
MODEL, BATCH = "resnet20", 128
WEIGHT_BITS, ACTIVATION_BITS = 3, 8
RATE = 1e-3
CALIBRATION = 32  # images; how the scales are chosen does not change the time of a step
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
PRECISIONS = ("fp32", "bf16")

Step = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One form of the network, of arithmetic and of memory."""

    network: str
    precision: str
    memory_format: str

    @property
    def name(self) -> str:
        """``NETWORK PRECISION FORMAT``."""
        return f"{self.network} {self.precision} {self.memory_format}"


def batch() -> tuple[Tensor, Tensor]:
    """Random images, as the float model takes them, and labels; always the same."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, *ZOO[MODEL].shape, generator=generator)
    return images, torch.randint(10, (BATCH,), generator=generator)


def step(setup: Setup) -> Step:
    """A training step: cross-entropy, its gradient, and Adam."""
    # One batch for all steps: reading data is not what is compared.
    x, y = batch()
    memory_format = FORMATS[setup.memory_format]
    model = NETWORKS[setup.network]().to(memory_format=memory_format)
    x = x.contiguous(memory_format=memory_format)
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=RATE)
    # Autocast takes what it knows; gradients and Adam stay float32.
    narrow = setup.precision == "bf16"

    def run():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            loss = F.cross_entropy(model(x).float(), y)
        loss.backward()
        optimizer.step()

    return run


def _float() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ZOO[MODEL].build().train()


def _quantized() -> nn.Module:
    images, _ = batch()
    model = quantize(
        _float().eval(),
        images[:CALIBRATION],
        WEIGHT_BITS,
        ACTIVATION_BITS,
        rounding="nearest",
        terms=1,
    )
    learn.prepare(model)
    for _, conv in learn.learnable(model):
        conv.statistics = "batch"  # as in nine tenths of training
    return model


def _rival() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return rival.rival().train()


NETWORKS = {"float": _float, "quantized": _quantized, "brevitas": _rival}
SETUPS = tuple(
    Setup(network=network, precision=precision, memory_format=memory_format)
    for precision, network, memory_format in product(PRECISIONS, NETWORKS, FORMATS)
)
