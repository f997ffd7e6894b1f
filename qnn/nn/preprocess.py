"""What stands between pixels and the network: ``(pixel / 255 - mean) / std``, in float64."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite, log2
from typing import TYPE_CHECKING

import numpy as np

from qnn.errors import ModelError
from qnn.fields import FieldsError
from qnn.ir.encode import nearest_pixels

if TYPE_CHECKING:
    from torch import Tensor


BYTE_BITS = 8
# Images stay recognisable with a quarter of their grey levels; mistakes leave a few.
LEAST_VALUES = 64


@dataclass(frozen=True)
class Pixels:
    """What 8-bit pixels stand for: the model takes ``(pixel / 255 - mean) / std``.

    Members
    -------
    mean, std : one entry for each channel
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def values(self) -> "Tensor":
        """What each 8-bit pixel means to the model: (channels, 256) float64."""
        return pixel_values(self.mean, self.std)

    def nearest(self, reals: "Tensor") -> "Tensor":
        """The pixels, 0 to 255, that are nearest to what the float model takes, of its shape."""
        reals = reals.double()
        mean, std = (reals.new_tensor(v)[:, None, None] for v in (self.mean, self.std))
        import torch  # as below

        return nearest_pixels(reals, mean, std, torch)

    def reals(self, pixels: "Tensor") -> "Tensor":
        """What the float model takes, (batch, channels, height, width) float32, of uint8 pixels."""
        return to_reals(pixels, self.mean, self.std)


def pixel_values(mean: Sequence[float], std: Sequence[float]) -> "Tensor":
    """What each 8-bit pixel means to the model: (channels, 256) float64."""
    # In float64, so that the table of integers does not depend on the machine's rounding of
    # float32.
    import torch  # slow to import, and absent where a build is only verified

    pixels = torch.arange(256, dtype=torch.float64) / 255
    centre, spread = (torch.tensor(v, dtype=torch.float64)[:, None] for v in (mean, std))
    return (pixels - centre) / spread


def to_bytes(values: np.ndarray) -> np.ndarray:
    """8-bit data as the table counts them: uint8 stays, int8 moves up by 128.

    So ``mean`` and ``std`` of signed data are those of ``(value + 128) / 255``.
    """
    # Inverting the sign bit adds 128 modulo 256, without a wider type on the way.
    return (values ^ np.int8(-128)).view(np.uint8) if values.dtype == np.int8 else values


def checked(
    mean: float | Sequence[float] | None, std: float | Sequence[float] | None, channels: int
) -> Pixels | None:
    """What pixels stand for, with one entry for each channel; None if neither is given.

    Raises
    ------
    ModelError
        Only one is given, their lengths are not the channels, a value is of no use, or few pixels
        can be told apart under them.
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
    pixels = Pixels(mean, std)
    _check_told_apart(pixels)
    return pixels


def values_kept(pixels: Pixels) -> int:
    """The fewest distinct values that 8 bits leave of a channel's 256 pixels.

    The exponent is the greatest with which the values of all channels are in range, whatever the
    data are: calibration chooses one that is finer by at most what it clips.
    """
    values = pixels.values()
    signed = bool((values < 0).any())
    reach = float(values.abs().max())
    exponent = BYTE_BITS - signed - ceil(log2(reach))
    import torch

    codes = torch.floor(values * 2.0**exponent + 0.5)
    return min(len(channel.unique()) for channel in codes)


def _check_told_apart(pixels):
    kept = values_kept(pixels)
    if kept >= LEAST_VALUES:
        return
    scaled = Pixels(*(tuple(v / 255 for v in part) for part in (pixels.mean, pixels.std)))
    advice = "correct them"
    # The habit of frameworks that do not divide by 255: their numbers are known by their size.
    if values_kept(scaled) >= LEAST_VALUES and all(abs(mean) > 1 for mean in pixels.mean):
        advice = (
            f"numbers that are meant for pixels of 0..255 are to be divided by 255: mean "
            f"{_listed(scaled.mean)}, std {_listed(scaled.std)}"
        )
    raise ModelError(
        f"quantize needs a mean and std under which 8-bit pixels keep at least {LEAST_VALUES} of "
        f"256 values, not mean {_listed(pixels.mean)} and std {_listed(pixels.std)}, which leave "
        f"{kept}: the model takes (pixel / 255 - mean) / std; {advice}"
    )


def _listed(values):
    """One number where all channels have the same, else all with commas."""
    return ",".join(f"{value:.4g}" for value in (values if len(set(values)) > 1 else values[:1]))


Statistic = float | Sequence[float] | None  # of one input: a number, one for each channel, or none


def checked_inputs(
    mean: Statistic | Sequence[Statistic],
    std: Statistic | Sequence[Statistic],
    channels: Sequence[int],
) -> tuple[Pixels | None, ...]:
    """What the pixels of each input stand for; ``channels`` has an entry for each input.

    Of several inputs, ``mean`` and ``std`` have an entry for each, None for one that takes reals; a
    number is for all of them. Raises as ``checked`` does.
    """
    if len(channels) == 1:
        return (checked(mean, std, channels[0]),)
    means, stds = (
        [value] * len(channels) if value is None or isinstance(value, int | float) else value
        for value in (mean, std)
    )
    if len(means) != len(channels) or len(stds) != len(channels):
        raise ModelError(
            f"quantize needs mean and std of {len(channels)} inputs, not {len(means)} and "
            f"{len(stds)}; give one entry for each input, None for one that takes reals"
        )
    return tuple(checked(*each) for each in zip(means, stds, channels, strict=True))


def to_reals(pixels: "Tensor", mean: Sequence[float], std: Sequence[float]) -> "Tensor":
    """What the float model takes, (batch, channels, height, width) float32, of uint8 pixels."""
    import torch

    channels = torch.arange(pixels.shape[1], device=pixels.device)[:, None, None]
    return pixel_values(mean, std).to(pixels.device)[channels, pixels.long()].float()


def one_or_all(values: Sequence) -> object:
    """The entries of several inputs, or the only input's own."""
    return values if len(values) > 1 else values[0]


def pixels_of(
    name: str, channels: int, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> Pixels | None:
    """What a file says that the pixels of the input ``name`` stand for; None: it takes reals.

    Raises
    ------
    FieldsError
        There is not one positive entry for each channel.
    """
    if mean is None and std is None:
        return None
    if not len(mean or ()) == len(std or ()) == channels or min(std) <= 0:
        raise FieldsError(f"mean and std of {channels} channels of '{name}'", "others")
    return Pixels(mean, std)
