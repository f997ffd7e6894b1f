"""A listed network with random weights, as if it were trained."""

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

from qnn.bench.zoo.listed import ListedNetwork, Shape
from qnn.errors import ModelError
from qnn.nn.factory import from_factory

SEED = 0
# Convolutions of large maps take seconds an image on a CPU.
LARGE = 128  # pixels a side, from which fewer images have to do
FEW, MANY = 4, 8  # images for statistics of large maps, and of others


def _torchvision(name):
    models = importlib.import_module("torchvision.models")
    # Networks of segmentation would else download the weights of what they are built on.
    backbone = {"weights_backbone": None} if _downloads(models, name) else {}
    return models.get_model(name, weights=None, **backbone)


def _downloads(models, name):
    return name in models.list_models(module=models.segmentation)


def _timm(name):
    return importlib.import_module("timm").create_model(name, pretrained=False)


def _pytorchcv(name):
    provider = importlib.import_module("pytorchcv.model_provider")
    return provider.get_model(name, pretrained=False)


# What a list may name a library by, instead of a module; each is imported only when it is named.
LIBRARIES: MappingProxyType[str, Callable[[str], nn.Module]] = MappingProxyType(
    {"tv": _torchvision, "timm": _timm, "cv": _pytorchcv}
)
OWN = "own"  # custom.py, beside the list
OWN_MODULE = "custom"


def build(network: ListedNetwork, folder: Path) -> nn.Module:
    """The network in evaluation mode, always with the same weights.

    Gammas are 0.75 to 1.25 times what they were, and 1 where they were 0; betas are normal with a
    deviation of 0.1; running statistics are those of one batch of normal images.

    Parameters
    ----------
    folder : of the list, in which its own modules may lie

    Raises
    ------
    ModelError
        It cannot be imported or built.
    """
    torch.manual_seed(SEED)
    model = _created(network, folder).eval()
    _train_norms(model, network.shapes)
    return model


def normal_images(shapes: Sequence[Shape], seed: int, fewer: int = 1) -> tuple[Tensor, ...]:
    """Normal images for each input, (images, ...): few of large maps, divided by ``fewer``."""
    large = any(size > LARGE for shape in shapes for size in shape[1:])
    generator = torch.Generator().manual_seed(seed)
    count = (FEW if large else MANY) // fewer
    return tuple(torch.randn(count, *shape, generator=generator) for shape in shapes)


def _created(network, folder):
    # Before others: a list's own modules are those beside it.
    sys.path[:0] = [str(folder.resolve()), ""]
    library = LIBRARIES.get(network.source)
    if library is None:
        module = OWN_MODULE if network.source == OWN else network.source
        return from_factory(f"{module}:{network.factory}", ())
    try:
        return library(network.factory)
    except Exception as error:  # any: it is the library's code
        raise ModelError(
            f"model '{network.name}' cannot be built: {type(error).__name__}: {error}; check the "
            f"name, and whether the library is installed"
        ) from error


@torch.no_grad()
def _train_norms(model, shapes):
    """Give each BatchNorm what training could have given it."""
    generator = torch.Generator().manual_seed(SEED)
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        if norm.weight is not None:
            norm.weight[norm.weight == 0] = 1
            norm.weight.mul_(0.75 + 0.5 * torch.rand(norm.weight.shape, generator=generator))
        if norm.bias is not None:
            norm.bias.copy_(0.1 * torch.randn(norm.bias.shape, generator=generator))
    if not norms:
        return
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        # Of this batch alone, as nothing was seen before.
        norm.momentum = 1.0
        norm.train()
    # All norms at once: each sees what the others make of the batch, as in training.
    model(*normal_images(shapes, SEED + 1))
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
        norm.eval()
