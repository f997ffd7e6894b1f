"""What stands between pixels and the network: ``(pixel / 255 - mean) / std``, in float64."""

from collections.abc import Sequence
from math import isfinite

import numpy as np
import torch
from torch import Tensor

from qnn.errors import ModelError


def pixel_values(mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """What each 8-bit pixel means to the model: (channels, 256) float64."""
    pixels = torch.arange(256, dtype=torch.float64) / 255
    centre, spread = (torch.tensor(v, dtype=torch.float64)[:, None] for v in (mean, std))
    return (pixels - centre) / spread


def to_bytes(values: np.ndarray) -> np.ndarray:
    """8-bit data as the table counts them: uint8 stays, int8 moves up by 128.

    So ``mean`` and ``std`` of signed data are those of ``(value + 128) / 255``.
    """
    return (values ^ np.int8(-128)).view(np.uint8) if values.dtype == np.int8 else values


def checked(
    mean: float | Sequence[float] | None, std: float | Sequence[float] | None, channels: int
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """``mean`` and ``std`` with one entry a channel; None if neither is given.

    Raises
    ------
    ModelError
        Only one is given, their lengths are not the channels, or a value is of no use.
    """
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise ModelError("quantize needs mean and std together, not one of them; give both")
    mean, std = (
        tuple(map(float, [v] * channels if isinstance(v, int | float) else v)) for v in (mean, std)
    )
    if len(mean) != channels or len(std) != channels:
        raise ModelError(
            f"quantize needs mean and std of {channels} channels, not {len(mean)} and {len(std)}; "
            f"give one value a channel"
        )
    if not all(map(isfinite, (*mean, *std))) or min(std) <= 0:
        raise ModelError(
            f"quantize needs a finite mean and a positive std, not {mean} and {std}; correct them"
        )
    return mean, std


def to_reals(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """What the float model takes, (batch, channels, height, width) float32, of uint8 pixels."""
    channels = torch.arange(pixels.shape[1], device=pixels.device)[:, None, None]
    return pixel_values(mean, std).to(pixels.device)[channels, pixels.long()].float()
