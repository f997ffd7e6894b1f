"""What a user has, pixels or reals, as the network's integers, and the integers as reals."""

import numpy as np

from hw.spec.image import Image
from qnn.errors import DeviceError
from qnn.host.named import named
from qnn.host.results import as_tuple, host_results, host_scores
from qnn.ir.codes import Codes
from qnn.ir.scaling import warn_of_pixels, warn_of_scale
from qnn.ir.shape import joined, laid_out, meaning_of, to_blocks, user_shape
from qnn.runtime.given import Given, each_input

# Files and cameras give an image's channels last; what a pixel is to a vector needs no order.
CHANNELS_LAST = ("CHW", "C")


def encode(image: Image, x: Given) -> Given:
    """Integers of the input's type, (images, channels, height, width); a tuple where ``x`` is one.

    Parameters
    ----------
    x : (images, height, width, channels), or without channels if there is one, or (vectors,
        features), or (images, *axes) of a sequence or of tokens; uint8, or int8 of signed data,
        where the network knows its pixels, else floats, which are rounded half up; or
        ``qnn.ir.codes.Codes``, integers of the input's type; a tuple with one such array for each
        input where there are several

    Raises
    ------
    DeviceError
        An array is of another shape or kind, or there is not one for each input.
    """
    inputs = zip(image.network_inputs, image.input_axes, image.pixel_tables, strict=True)
    encoded = tuple(
        _encoded(*place, array) for place, array in zip(inputs, each_input(image, x), strict=True)
    )
    return encoded if isinstance(x, tuple) else encoded[0]


def decode(image: Image, outputs: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """What the user's model gives for each output's integers, nested as it is: float64, classes."""
    return as_tuple(host_results(_reals(image, outputs), image.output_axes, image.host_program))


def scores_of(image: Image, outputs: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The scores of each result, (images, ...) float64, such as those that an argmax chooses by."""
    return host_scores(_reals(image, outputs), image.output_axes, image.host_program)


def score_shapes(image: Image) -> dict[str, tuple[int, ...]]:
    """The shape of each result's scores for one image, by its name in the user's model."""
    host, tensors = image.host_program, image.output_tensors
    names = joined(image.output_names, image.output_axes, lambda parts, _: parts[0])
    if host is None:
        return dict(zip(names, tensors, strict=True))
    shapes = host.shapes(tensors)
    each = zip(host.names(names), host.scores, strict=True)
    return {name: shapes[number][1:] for name, number in each}


def _reals(image, outputs):
    return [
        np.ldexp(tensor.astype(np.float64), -layout.exponent)
        for tensor, layout in zip(outputs, image.network_outputs, strict=True)
    ]


def as_results(image: Image, blocks: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Each output's blocks in the user's shape, (images, ...), before the host computes.

    Where the user's model gives names they have those of ``Image.output_names``.
    """
    results = tuple(
        laid_out(x, axes, shape)
        for x, shape, axes in zip(blocks, image.output_shapes, image.output_axes, strict=True)
    )
    is_named = image.host_program is not None and image.host_program.is_named
    return named(results, image.output_names) if is_named else results


def example(image: Image, count: int) -> Given:
    """``count`` random images of each input, as ``encode`` takes them; the same each time."""
    rng, arrays = np.random.default_rng(0), []
    for place in zip(image.network_inputs, image.input_axes, image.pixel_tables, strict=True):
        layout, axes, table = place
        shape = (count, *_given_shape(layout, axes))
        if table is None:
            # Over the whole range, as the network's own data are.
            low, high = layout.limits
            codes = rng.integers(low, high + 1, shape)
            arrays.append(np.ldexp(codes.astype(np.float64), -layout.exponent))
        else:
            arrays.append(rng.integers(0, 256, shape).astype(np.uint8))
    return tuple(arrays) if len(arrays) > 1 else arrays[0]


def _given_shape(layout, axes):
    channels, height, width = layout.shape
    is_last = axes in CHANNELS_LAST
    return (height, width, channels) if is_last else user_shape(layout.shape, axes)


def _encoded(layout, axes, table, x):
    x = _blocks(layout, axes, x)
    if isinstance(x, Codes) and x.dtype.kind in "iu":
        return _in_range(layout, x)
    if table is None:
        return _rounded(layout, x)
    if x.dtype == np.int8:
        # Inverting the sign bit adds 128, as the table counts from 0.
        x = (x ^ np.int8(-128)).view(np.uint8)
    if x.dtype != np.uint8:
        raise DeviceError(
            f"input '{layout.name}' needs 8-bit pixels, not {x.dtype}; give the images as they are "
            f"in their files"
        )
    warn_of_pixels(layout.name, x)
    table = np.array(table, np.int64)
    return table[np.arange(len(table))[:, None, None], x]


def _in_range(layout, codes):
    low, high = layout.limits
    least, most = int(codes.min()), int(codes.max())
    if least < low or most > high:
        raise DeviceError(
            f"input '{layout.name}' needs codes from {low} to {high}, not "
            f"{least if least < low else most}; correct them, or give reals or pixels"
        )
    return np.asarray(codes, np.int64)


def _blocks(layout, axes, x):
    """The array as blocks, channels first."""
    given, wanted = x.shape, _given_shape(layout, axes)
    if axes not in CHANNELS_LAST:
        if given[1:] != wanted or not len(x):
            raise DeviceError(
                f"input '{layout.name}' needs arrays of shape (N, {_sizes(wanted)}) with N at "
                f"least 1, but got {given}; give it {meaning_of(axes)}"
            )
        return to_blocks(x, axes)
    if x.ndim == 2 and wanted[:2] == (1, 1):
        x = x[:, None, None]
    elif x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[1:] != wanted or not len(x):
        raise DeviceError(
            f"input '{layout.name}' needs images of shape (N, {_sizes(wanted)}), which are "
            f"{layout.shape} channels first, not {x.shape}; put channels last"
        )
    return np.moveaxis(x, 3, 1)


def _sizes(shape):
    return ", ".join(map(str, shape))


def _rounded(layout, x):
    if not np.issubdtype(x.dtype, np.floating) or not np.isfinite(x).all():
        raise DeviceError(
            f"input '{layout.name}' needs finite real numbers, not {x.dtype}"
            f"{'' if x.dtype.kind != 'f' else ' with NaN or infinity'}; its network has no table "
            f"of pixels"
        )
    # ldexp multiplies by a power of two exactly; adding one half and flooring rounds half up.
    exact = np.ldexp(x.astype(np.float64), layout.exponent)
    warn_of_scale(layout.name, exact, *layout.limits, layout.exponent)
    scaled = np.floor(exact + 0.5)
    return scaled.clip(*layout.limits).astype(np.int64)
