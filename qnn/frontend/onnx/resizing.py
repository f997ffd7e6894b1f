"""ONNX's Resize and Upsample in PyTorch's words: its own where they agree, else fixed weights."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, prod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader
from qnn.frontend.onnx.tensors import MOST_VALUES

NEAREST = {
    "round_prefer_floor": lambda x: ceil(x - 0.5),
    "round_prefer_ceil": lambda x: floor(x + 0.5),
    "floor": floor,
    "ceil": ceil,
}
LARGEST = 1e30  # scale, of which 24-bit floats have any product with a size
USUAL_CUBIC = -0.75  # PyTorch's coefficient


def resize(call: OnnxCall) -> Tensor:
    """Resize along the axes of space; each axis by weights of its own where PyTorch has none."""
    x, mode = call[0], call.attribute("mode", "nearest")
    scales, sizes = _scales_and_sizes(call, x)
    # Before places are counted, one for each result.
    call.require(
        all(0 < size <= MOST_VALUES for size in sizes) and prod(sizes) <= MOST_VALUES,
        f"1 to {MOST_VALUES:,} values",
        f"{list(sizes)}",
        "give it a smaller scale",
    )
    coordinates = call.attribute("coordinate_transformation_mode", _usual_coordinates(call))
    call.require(
        coordinates != "tf_crop_and_resize" and not call.attribute("antialias", 0),
        "a resize without a crop or antialiasing",
        coordinates,
        "crop before it",
    )
    axes = [n for n in range(x.dim()) if sizes[n] != x.shape[n]]
    call.require(
        all(n > 1 for n in axes), "batch and channels as they are", "others", "leave them out"
    )
    if mode == "nearest":
        nearest = NEAREST[call.attribute("nearest_mode", _usual_nearest(call))]
        return _nearest(x, axes, scales, sizes, coordinates, nearest)
    if found := _as_pytorch(call, x, axes, scales, sizes, coordinates):
        return F.interpolate(x, sizes[2:], mode=found, align_corners=coordinates == "align_corners")
    call.require(
        mode == "linear", "nearest or linear, or PyTorch's bicubic", mode, "choose one of them"
    )
    # One axis after the other: weights of an area are products of those of its sides.
    for axis in axes:
        places = _places(x.shape[axis], sizes[axis], scales[axis], coordinates)
        weights = _weights(places, x.shape[axis]).to(x.device)
        x = torch.matmul(x.transpose(axis, -1), weights).transpose(axis, -1)
    return x


def _scales_and_sizes(call, x):
    """Of each axis, (batch, channels, ...)."""
    scales = call.attribute("scales")
    if call.node.kind == "Resize":
        # Older ones have the scales where newer ones have a region of interest.
        scales = call.numbers(1 if len(call) == 2 else 2)
    elif scales is None:
        scales = call.numbers(1)
    sizes = call.ints(3)
    axes = call.attribute("axes")
    if axes is not None:
        usual, given = list(x.shape), [axis % x.dim() for axis in axes]
        if sizes:
            sizes = [dict(zip(given, sizes, strict=True)).get(n, s) for n, s in enumerate(usual)]
        if scales:
            found = dict(zip(given, scales, strict=True))
            scales = [found.get(n, 1.0) for n in range(x.dim())]
    # Sizes count where both are given; scales are then what they make.
    if sizes:
        call.require(
            call.attribute("keep_aspect_ratio_policy", "stretch") == "stretch",
            "sizes as they are",
            "a policy of aspect ratios",
            "export the sizes that it gives",
        )
        return [size / had for size, had in zip(sizes, x.shape, strict=True)], sizes
    call.require(bool(scales), "scales or sizes", "none", "export the model again")
    wrong = [each for each in scales if not 0 < each < LARGEST]
    call.require(
        not wrong,
        f"scales above 0 and below {LARGEST:g}",
        ", ".join(f"{each:g}" for each in wrong),
        "export the model again",
    )
    # In 24 bits, as onnxruntime has it: 0.7 of them is a bit less, and ten of these are 7.
    return scales, [
        floor(np.float32(had) * np.float32(scale))
        for had, scale in zip(x.shape, scales, strict=True)
    ]


def _usual_coordinates(call):
    return "half_pixel" if call.node.kind == "Resize" and call.node.opset > 10 else "asymmetric"


def _usual_nearest(call):
    newer = call.node.kind == "Resize" and call.node.opset > 10
    return "round_prefer_floor" if newer else "floor"


def _as_pytorch(call, x, axes, scales, sizes, coordinates):
    """PyTorch's mode for these weights; None: it has none."""
    whole = all(round(x.shape[n] * scales[n], 6) == sizes[n] for n in axes)
    half = coordinates in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
    if not ((half and whole) or coordinates == "align_corners"):
        return None
    # They differ in where the only result lies.
    if coordinates != "half_pixel" and any(sizes[n] == 1 for n in axes):
        return None
    if call.attribute("mode") == "linear":
        # Along both axes of space together, or along one of sequences.
        return {3: "linear", 4: "bilinear", 5: "trilinear"}.get(x.dim())
    usual = call.attribute("cubic_coeff_a", USUAL_CUBIC) == USUAL_CUBIC
    usual &= not call.attribute("exclude_outside", 0)
    return "bicubic" if x.dim() == 4 and usual else None


def _places(had: int, size: int, scale: float, coordinates: str) -> Sequence[float]:
    """Where each result lies, in values of the operand."""
    if coordinates == "align_corners":
        return [n * (had - 1) / (size - 1) if size > 1 else 0.0 for n in range(size)]
    if coordinates == "asymmetric":
        return [n / scale for n in range(size)]
    if coordinates == "tf_half_pixel_for_nn":
        return [(n + 0.5) / scale for n in range(size)]
    if coordinates == "pytorch_half_pixel" and size == 1:
        return [0.0]
    centre = 0.0
    if coordinates == "half_pixel_symmetric":
        centre = had / 2 * (1 - size / (had * scale))
    return [centre + (n + 0.5) / scale - 0.5 for n in range(size)]


def _nearest(x, axes, scales, sizes, coordinates, nearest):
    """Copies of values: PyTorch's where each is copied as often."""
    places = {}
    for axis in axes:
        had, found = x.shape[axis], _places(x.shape[axis], sizes[axis], scales[axis], coordinates)
        # Rounded first, as a place in the middle is a bit off it where a scale has 24 bits.
        places[axis] = [min(max(nearest(round(each, 5)), 0), had - 1) for each in found]
    usual = {n: [k * x.shape[n] // sizes[n] for k in range(sizes[n])] for n in axes}
    if places == usual and axes and x.dim() in (3, 4):
        return F.interpolate(x, sizes[2:], mode="nearest")
    for axis, each in places.items():
        x = x.index_select(axis, torch.tensor(each, device=x.device))
    return x


def _weights(places: Sequence[float], had: int) -> Tensor:
    """What each value of the operand counts for each result: (had, results)."""
    found = torch.zeros(had, len(places))
    for n, place in enumerate(places):
        # Beyond the border as at the border.
        place = min(max(place, 0.0), had - 1.0)
        low = min(int(place), had - 1)
        high = min(low + 1, had - 1)
        found[low, n] += 1 - (place - low)
        found[high, n] += place - low
    return found


OPERATORS: Mapping[str, Reader] = {"Resize": resize, "Upsample": resize}
