"""Weights that a checkpoint has in two tensors, as ``torch.nn.utils.weight_norm`` splits them."""

from collections.abc import Mapping

import torch
from torch import Tensor

# What a layer has of lengths and of directions: by the old hook, and by the parametrization.
SPLITS = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)


def composed(entries: Mapping[str, object]) -> tuple[dict[str, object], int]:
    """``entries`` with ``weight`` in place of each length g and direction v, and how many.

    The weight is g · v / |v|, where |v| is the root of the sum of squares along all axes along
    which g has one value; g may also be one number for all.
    """
    layers = {}  # name of a direction: of the layer, with its point, and of the length
    for name, value in entries.items():
        for length, direction in SPLITS:
            layer = name.removesuffix(direction)
            if layer != name and _are_split(entries.get(layer + length), value):
                layers[name] = (layer, layer + length)
    gone = {length for _, length in layers.values()}
    found: dict[str, object] = {}
    for name, value in entries.items():
        if name in layers:
            layer, length = layers[name]
            found[f"{layer}weight"] = _weight(entries[length], value)
        elif name not in gone:
            found[name] = value
    return found, len(layers)


def _are_split(length, direction):
    if not isinstance(length, Tensor) or not isinstance(direction, Tensor):
        return False
    plain = all(
        each.is_floating_point() and each.layout == torch.strided and not each.is_meta
        for each in (length, direction)
    )
    if not plain or length.dim() not in (0, direction.dim()):
        return False
    return all(g in (1, v) for g, v in zip(length.shape, direction.shape, strict=False))


def _weight(length, direction):
    v = direction.double()
    sizes = length.shape or (1,) * v.dim()
    axes = [axis for axis, size in enumerate(sizes) if size == 1]
    # Without an axis of one value, each value is a length of its own.
    size = v.square().sum(axes, keepdim=True).sqrt() if axes else v.abs()
    return (length.double() * v / size).to(direction.dtype)
