"""Pixels one by one: how the integers of an input tell apart all of the 256 values of a pixel."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.nn.preprocess import BYTE_BITS, Pixels
from qnn.quant.activation import round_half_up
from qnn.quant.qtype import QType

MOST = 255  # of a pixel


@dataclass(frozen=True)
class PixelFit:
    """The integers of an input of pixels, and what they mean to the network.

    Members
    -------
    type : of the integers; 0 is where a channel's pixel is nearest to its mean, as padding is
    gain : of each channel, what the model's numbers are multiplied by; the weights that read them
        have the rest
    codes : (channels, 256) int64, the integer of each pixel
    """

    type: QType
    gain: tuple[float, ...]
    codes: Tensor


def fit(pixels: Pixels, bits: int) -> PixelFit:
    """One integer of ``bits`` bits for each pixel where the means of channels allow it.

    A power of two cannot make the step of ``(pixel / 255 - mean) / std`` that of an integer, but a
    gain can. Channels share the integer of 0, so that with means that lie apart their pixels need
    more than 256; those are told apart as well as the bits allow.
    """
    means = MOST * torch.tensor(pixels.mean, dtype=torch.float64)[:, None]
    std = torch.tensor(pixels.std, dtype=torch.float64)
    # From the mean, 0 among them. Before the division that a gain stands for, halves are halves:
    # all of them go up.
    places = torch.arange(MOST + 1)
    steps = places - means
    span = float(steps.max().clamp(min=0) - steps.min().clamp(max=0))
    # Whole pixels stay whole if any such factor will do; rounding may need an integer more.
    wholes = [2.0**more for more in range(bits - BYTE_BITS, -1, -1)]
    for factor in (*wholes, ((1 << bits) - 2) / span):
        # The mean alone, where pixels are whole: a sum may round to a half, or away from one.
        if factor in wholes:
            found = places * factor + round_half_up(-means * factor)
        else:
            found = round_half_up(steps * factor)
        codes = found.to(torch.int64)
        low, high = min(int(codes.min()), 0), max(int(codes.max()), 0)
        if high - low < 1 << bits:
            break
    # In units near to the model's: the greatest gain is about 1.
    exponent = round(math.log2(MOST * factor * max(pixels.std)))
    gain = tuple((std * MOST * factor * 2.0**-exponent).tolist())
    return PixelFit(_type(bits, exponent, low, high), gain, codes)


def _type(bits, exponent, low, high):
    half = 1 << (bits - 1)
    if low == 0:
        return QType(bits, False, exponent)
    if -half <= low and high < half:
        return QType(bits, True, exponent)
    # As far from the middle as it must be.
    return QType(bits, True, exponent, -half - low if low < -half else half - 1 - high)
