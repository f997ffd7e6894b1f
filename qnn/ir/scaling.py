"""Whether a user's data are scaled as those that an input's type was chosen for: 0..1 or 0..255."""

import warnings

import numpy as np

from qnn.errors import QnnWarning

# Data of 0..1 reach 1/255 of a range of 0..255; what calibration saw reaches most of its range.
LEAST_SHARE = 1 / 64  # of the range
# Half of the values that are not 0, as the ground of many images is, are beyond twice the range:
# of other images, or of signed data for an unsigned input, far fewer are.
MOST_BEYOND, RANGES = 0.5, 2
# A few values may well be small: a vector near zero says nothing of its scale.
FEWEST = 16
PIXEL = 255
ADVICE = "scale them as for calibration (0..1 and 0..255 are easily mixed up)"


def warn_of_scale(name: str, scaled: np.ndarray, low: float, high: float, exponent: int) -> None:
    """Warn where reals are far below or beyond the range of an input.

    Parameters
    ----------
    name : of the input
    scaled : the reals times ``2**exponent``, before they are clamped to ``low`` and ``high``
    """
    given = scaled[scaled != 0]
    if given.size < FEWEST:
        return
    step, largest = 2.0**-exponent, float(np.abs(given).max())
    # Where 0 lies away from the middle, either end may be the farther one.
    reach = max(high, -low - 1)
    beyond = float((np.abs(given) > RANGES * reach).mean())
    if largest < LEAST_SHARE * reach:
        _warn(
            f"input '{name}' takes numbers up to {reach * step:g}, but of those given none is "
            f"above {largest * step:g}; {ADVICE}"
        )
    elif beyond > MOST_BEYOND:
        clipped = float(((given < low - 0.5) | (given > high + 0.5)).mean())
        _warn(
            f"input '{name}' takes numbers from {low * step:g} to {high * step:g}, but "
            f"{100 * clipped:.0f} % of those given lie beyond and are clipped; {ADVICE}"
        )


def warn_of_pixels(name: str, pixels: np.ndarray) -> None:
    """Warn where 8-bit pixels are numbers from 0 to 1 that somebody has made whole."""
    if pixels.size >= FEWEST and pixels.max() == 1:
        _warn(
            f"input '{name}' takes pixels up to {PIXEL}, but of those given none is above 1; "
            f"{ADVICE}"
        )


def _warn(text):
    # Of who called what encodes, as far as that is known.
    warnings.warn(text, QnnWarning, stacklevel=4)
