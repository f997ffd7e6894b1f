"""What a user has, pixels or reals, as the network's integers, and the integers as reals."""

import numpy as np

from hw.spec.image import Image
from qnn.errors import DeviceError


def input_shape(image: Image) -> tuple[int, int, int]:
    """Channels, height and width of an input."""
    layout = image.inputs[0]
    gather = layout.gather
    return (sum(layout.channels), layout.height, layout.width) if gather is None else gather.shape


def encode(image: Image, x: np.ndarray) -> np.ndarray:
    """Integers of the input's type, (images, channels, height, width).

    Parameters
    ----------
    x : (images, height, width, channels), or without channels if there is one, or (vectors,
        features); uint8, or int8 of signed data, where the network knows its pixels, else floats,
        which are rounded half up

    Raises
    ------
    DeviceError
        ``x`` is of another shape or kind.
    """
    x = _channels_first(image, np.asarray(x))
    if image.pixel_table is None:
        return _rounded(image, x)
    if x.dtype == np.int8:
        x = (x ^ np.int8(-128)).view(np.uint8)
    if x.dtype != np.uint8:
        raise DeviceError(
            f"input '{image.inputs[0].name}' needs 8-bit pixels, not {x.dtype}; give the images as "
            f"they are in their files"
        )
    table = np.array(image.pixel_table, np.int64)
    return table[np.arange(len(table))[:, None, None], x]


def decode(image: Image, outputs: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Reals (float64) of each output's integers."""
    layouts = image.outputs[: len(outputs)]
    return tuple(
        np.ldexp(tensor.astype(np.float64), -layout.exponent)
        for tensor, layout in zip(outputs, layouts, strict=True)
    )


def _channels_first(image, x):
    channels, height, width = wanted = input_shape(image)
    if x.ndim == 2 and (height, width) == (1, 1):
        x = x[:, None, None]
    elif x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[1:] != (height, width, channels) or not len(x):
        raise DeviceError(
            f"input '{image.inputs[0].name}' needs images of shape (N, {height}, {width}, "
            f"{channels}), which are {wanted} channels first, not {np.shape(x)}; put channels last"
        )
    return np.moveaxis(x, 3, 1)


def _rounded(image, x):
    layout = image.inputs[0]
    if not np.issubdtype(x.dtype, np.floating) or not np.isfinite(x).all():
        raise DeviceError(
            f"input '{layout.name}' needs finite real numbers, not {x.dtype}"
            f"{'' if x.dtype.kind != 'f' else ' with NaN or infinity'}; its network has no table "
            f"of pixels"
        )
    low = -(1 << (layout.bits - 1)) if layout.signed else 0
    scaled = np.floor(np.ldexp(x.astype(np.float64), layout.exponent) + 0.5)
    return scaled.clip(low, low + (1 << layout.bits) - 1).astype(np.int64)
