"""What the arrays of a data file may be: their kinds of number, their layout, and labels."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from qnn.errors import ModelError
from qnn.nn.preprocess import to_bytes
from qnn.nn.tensors import as_tensor

if TYPE_CHECKING:
    from torch import Tensor


LAYOUTS = ("nhwc", "nchw")
# Numbers of channels that tell an image's layout; two or four may as well be rows.
TELLING = (1, 3)
# What sentences call the ways to take axes, with the option that asks for one.
CALLED = {"nhwc": "channels last (--layout nhwc)", "nchw": "channels first (--layout nchw)"}
Shape = tuple[int, ...]
# Why the model does not take a sample of a shape, channels first; None: it takes it.
Refusal = Callable[[Shape], str | None]


def checked_numbers(who: str, array: np.ndarray) -> np.ndarray:
    """8-bit pixels as uint8, or what the model takes as finite float32.

    Parameters
    ----------
    who : names the array, as the start of a sentence

    Raises
    ------
    ModelError
        They are of another type, there are none, or one is not finite.
    """
    if not array.size or not array.ndim:
        raise ModelError(
            f"{who} needs at least one image of one pixel, not {array.shape}; add some"
        )
    if array.dtype.kind == "f":
        return _finite(who, array)
    array = to_bytes(array)
    if array.dtype != np.uint8:
        raise ModelError(
            f"{who} needs 8-bit pixels (uint8, int8) or what the model takes (floats), not "
            f"{array.dtype} {array.shape}; {_advice(array)}"
        )
    return array


def _finite(who, array):
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and told below
        array = array.astype(np.float32)
    finite = np.isfinite(array)
    if not finite.all():
        sample = int(np.argwhere(~finite)[0][0])
        raise ModelError(
            f"{who} needs finite numbers, not NaN or infinity (sample {sample}); remove or mend "
            f"those samples"
        )
    return array


def _advice(array):
    if array.dtype.kind == "b":
        return "convert them: x.astype(np.uint8) * 255"
    if array.dtype.kind not in "iu":
        return "convert them to numbers"
    if array.min() >= 0 and array.max() <= 255:
        return "convert them: x.astype(np.uint8)"
    return "scale them to 0..255 as uint8, or to what the model takes as floats"


def channels_first(
    who: str, array: np.ndarray, layout: str | None = None, refusal: Refusal | None = None
) -> "Tensor":
    """Samples with their channels first, as models take them.

    Parameters
    ----------
    array : (count, height, width, channels) or channels first, (count, height, width) of one
        channel, (count, ...) of a sequence, its channels first or last, or (count, features)
    layout : "nhwc" or "nchw"; None: what the model takes, or what one or three channels tell
    refusal : why the model does not take a shape

    Raises
    ------
    ModelError
        The model takes the samples in no layout, or both fit.
    """
    if array.ndim not in (2, 3, 4, 5):
        raise ModelError(
            f"{who} needs images (count, height, width, channels) or vectors (count, features), "
            f"not {array.shape}; reshape them"
        )
    fitting = ways = _ways(array, layout)
    # Axes that leave nothing to choose are the model's to judge, when it is run.
    if refusal is not None and array.ndim in (3, 4):
        reasons = {name: refusal(_moved(array[:1], name).shape[1:]) for name in ways}
        fitting = [name for name in ways if reasons[name] is None]
        if not fitting:
            tried = [f"with {CALLED[way]}, {reasons[way]}" for way in ways if way in CALLED]
            why = "; ".join(tried) or reasons[ways[0]]
            raise ModelError(
                f"{who} of shape {array.shape} does not fit the model: {why}; give what it takes"
            )
    if len(fitting) > 1 and array.ndim == 4:
        fitting = _told(array, fitting)
    if len(fitting) > 1 and array.ndim == 4:
        raise ModelError(
            f"{who} of shape {array.shape} may have its channels last or first; say which: "
            f"--layout nhwc or --layout nchw"
        )
    # Made contiguous once here: every batch would gather from a transposed view otherwise.
    return as_tensor(np.ascontiguousarray(_moved(array, fitting[0])))


def _ways(array, layout):
    """What the axes may be, the usual first."""
    # Files and cameras give channels last; grey images often have no axis for them.
    if array.ndim == 4:
        return LAYOUTS if layout is None else (layout,)
    # And sequences of TensorFlow have channels behind their places.
    return ("grey", "as it is", "lines") if array.ndim == 3 else ("as it is",)


def _moved(array, way):
    if way == "nhwc":
        return array.transpose(0, 3, 1, 2)
    if way == "lines":
        return array.transpose(0, 2, 1)
    return array[:, None] if way == "grey" else array


def _told(array, fitting):
    """The layouts that the numbers of channels leave open."""
    last, first = (n in TELLING for n in (array.shape[3], array.shape[1]))
    if last != first:
        return ["nhwc" if last else "nchw"]
    # One channel has the same pixels in both, whatever the other axes are.
    return fitting


def checked_labels(who: str, array: np.ndarray, samples: int) -> "Tensor":
    """Labels of any task, one entry for each sample: int64, or float32 of fractions.

    Raises
    ------
    ModelError
        There are not as many, or they are no numbers.
    """
    array = np.asarray(array)
    # CIFAR's files, as Keras gives them, have labels of shape (count, 1).
    if array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind in "iub":
        array = array.reshape(-1)
    if array.dtype.kind not in "iubf" or not array.ndim or len(array) != samples:
        raise ModelError(
            f"{who} needs {samples} labels, one for each image, not {array.dtype} {array.shape}; "
            f"give one an image"
        )
    # What int64 cannot hold would become negative.
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.max() >= 1 << 63:
        raise ModelError(f"{who} needs labels below 2**63, not {array.max()}; correct them")
    if array.dtype.kind == "f":
        return as_tensor(_finite(who, array))
    return as_tensor(array.astype(np.int64))
