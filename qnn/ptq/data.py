"""What a user gives as data: batches of images, for one input or for several.

A tuple is several inputs and a list is batches, everywhere. So data are a tensor, or a tuple with
one tensor for each input, of all images; or any other iterable of batches. A batch is a tensor, or
a tuple or list that begins with one tensor for each input; of what follows them, labels tell the
task. The inputs may also stand together in a tuple at the batch's beginning, as a loader of pairs
of inputs and labels gives them.
"""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from qnn.errors import ModelError, QnnWarning
from qnn.nn.preprocess import Pixels
from qnn.tasks.outputs import Labels

Batch = Tensor | Sequence[Tensor | Sequence[Tensor]]
Data = Tensor | tuple[Tensor, ...] | Iterable[Batch]
ITEMS = 128  # of a data set, in a batch

EMPTY = (
    "quantize needs calibration data, a tensor of images or batches of them, not an empty set; "
    "give some hundred images"
)


def batches_of(data: Data, inputs: range) -> list[tuple[Tensor, ...]]:
    """Batches with one tensor for each input, checked, on the CPU.

    Parameters
    ----------
    inputs : how many inputs the model may have; a batch that does not tell has the least number

    Raises
    ------
    ModelError
        There are no data, or none of tensors, or they are for other inputs, or shapes or counts of
        images differ.
    """
    if isinstance(data, Tensor):
        batches = [(data,)]
    # Never batches: what a tuple means must not depend on how many tensors it holds.
    elif isinstance(data, tuple):
        batches = [data]
        _check_count(len(data), inputs)
    else:
        batches = [_batch(part, inputs[0]) for part in listed(data)]
    for batch in batches:
        _check_tensors(batch)
    if not batches or not all(batch and all(map(len, batch)) for batch in batches):
        raise ModelError(EMPTY)
    for batch in batches:
        _check_count(len(batch), inputs)
        _check_images(batch)
        inputs = range(len(batch), len(batch) + 1)  # the first batch tells for all
    for images in zip(*batches, strict=True):
        _check_shapes(images)
    return [tuple(images.detach().cpu() for images in batch) for batch in batches]


def listed(data: Data) -> Tensor | tuple[Tensor, ...] | list[Batch]:
    """``data`` that can be read more than once: what is neither tensors nor a tuple as a list."""
    if isinstance(data, Tensor | tuple | list):
        return data
    # An array would be read as batches of its images, and a text as batches of letters.
    if isinstance(data, str | np.ndarray) or not _is_series(data):
        _check_tensors([data])
    # PyTorch's data sets have single items, which are no batches yet.
    return list(DataLoader(data, ITEMS) if isinstance(data, Dataset) else data)


def labels_beside(part: Batch, inputs: int, outputs: int) -> Labels:
    """The labels of a batch of ``inputs`` inputs, where a loader gives some.

    Of several outputs they are one entry for each, beside each other or in a tuple or list, None
    where there are none; or one for all.
    """
    if not isinstance(part, tuple | list):
        return None
    # As for the inputs themselves: a tuple at the beginning holds all of them.
    after = part[1:] if part and isinstance(part[0], tuple) else part[inputs:]
    images = part[0][0] if isinstance(part[0], tuple) else part[0]
    if len(after) == 1 and isinstance(after[0], tuple | list):
        (after,) = after
    # What follows is something else, such as the number of each sample.
    after = after[:outputs]
    known = [each for each in after if each is not None]
    is_labels = all(
        isinstance(each, Tensor) and each.dim() > 0 and len(each) == len(images) for each in known
    )
    if len(after) not in (1, outputs) or not is_labels or not known:
        return None
    # NumPy has no bfloat16.
    plain = [y.float() if y is not None and y.dtype == torch.bfloat16 else y for y in after]
    arrays = tuple(None if y is None else y.numpy(force=True) for y in plain)
    return arrays[0] if len(arrays) == 1 else arrays


def beside_labels(
    images: Tensor | tuple[Tensor, ...], labels: object, which: np.ndarray | slice
) -> Data:
    """Data of some images of each input, and of their labels where there are some.

    Parameters
    ----------
    labels : of the only output, or a tuple of one entry for each, None where there are none
    """
    chosen = tuple(x[which] for x in images) if isinstance(images, tuple) else images[which]
    told = chosen_labels(labels, which)
    return chosen if all(y is None for y in told) else [(chosen, told)]


def chosen_labels(labels: object, which: np.ndarray | slice) -> tuple[Tensor | None, ...]:
    """Of each output the labels of some images; ``labels`` as for ``beside_labels``."""
    each = labels if isinstance(labels, tuple) else (labels,)
    return tuple(None if y is None else y[which] for y in each)


def _batch(part, count):
    if not isinstance(part, tuple | list):
        return (part,)
    # A loader of (inputs, labels), where inputs are several.
    if part and isinstance(part[0], tuple):
        return part[0]
    return tuple(part[:count])


def _is_series(data):
    return hasattr(data, "__iter__") or hasattr(data, "__getitem__")


def _check_tensors(batch):
    for images in batch:
        if not isinstance(images, Tensor):
            is_array = isinstance(images, np.ndarray)
            raise ModelError(
                f"quantize needs calibration data, a tensor of images or batches of them, not "
                f"{type(images).__name__}; give "
                f"{'torch.from_numpy of it' if is_array else 'some hundred images'}"
            )
        if images.dim() == 0:
            raise ModelError("quantize needs images, not a tensor of one number; give a batch")


def _check_count(count, inputs):
    if count not in inputs:
        wanted = f"{inputs[0]} to {inputs[-1]}" if len(inputs) > 1 else str(inputs[0])
        raise ModelError(
            f"quantize needs data for {wanted} input{'s' * (wanted != '1')}, not {count}; a tuple "
            f"holds one tensor for each input, a list holds batches, as [(images, labels)]"
        )


def _check_images(batch):
    counts = [len(images) for images in batch]
    if len(set(counts)) > 1:
        raise ModelError(
            f"quantize needs as many images for each input, not {', '.join(map(str, counts))}; "
            f"give one of each for every sample"
        )


def _check_shapes(parts):
    if any(x.dim() not in (2, 3, 4, 5) or x.shape[1:] != parts[0].shape[1:] for x in parts):
        shapes = ", ".join(sorted({str(tuple(x.shape)) for x in parts}))
        raise ModelError(
            f"quantize needs calibration data of one shape (images, channels, height, width), "
            f"(images, channels, depth, height, width), (images, channels, length) or (images, "
            f"features), not {shapes}; reshape them"
        )


def reals(images: Tensor, pixels: Pixels | None) -> Tensor:
    """What the float model takes of one input's images or vectors, float32.

    Raises
    ------
    ModelError
        Pixels without what they stand for, or reals that are not finite.
    """
    if images.dtype == torch.uint8:
        if pixels is None:
            raise ModelError(
                "quantize needs mean and std to take 8-bit pixels, not pixels alone; give both, or "
                "what the float model takes"
            )
        return pixels.reals(as_images(images)).reshape(images.shape)
    if not images.is_floating_point():
        raise ModelError(
            f"quantize takes floats, which are reals, or uint8, which are pixels, not "
            f"{images.dtype}; convert the data: x.float() or x.to(torch.uint8)"
        )
    images = images.float()
    if not bool(torch.isfinite(images).all()):
        raise ModelError(
            "quantize needs finite calibration data, not NaN or infinity; remove those images"
        )
    if pixels is not None:
        _check_normalised(images, pixels)
    return images


def _check_normalised(images, pixels):
    """Refuse pixels in floats where the model takes ``(pixel / 255 - mean) / std``."""
    low, high = (float(limit) for limit in torch.aminmax(images))
    values = pixels.values()
    is_bytes = low >= 0 and 1 < high <= 255 and bool((images == images.round()).all())
    if is_bytes and high > 2 * float(values.max()):
        raise ModelError(
            f"quantize got mean and std, and whole numbers from {low:g} to {high:g} in floats, "
            f"which are pixels; give them as uint8"
        )
    # A model that takes pixels / 255 has such a table, and its data are in range.
    differs = float((values - torch.arange(256) / 255).abs().max()) > 1 / 255
    if differs and low >= 0 and high <= 1 and _is_share_of_255(images):
        raise ModelError(
            "quantize got mean and std, and pixels / 255 that neither was applied to; give uint8 "
            "pixels, or (pixel / 255 - mean) / std"
        )


def _is_share_of_255(images):
    bytes_ = images * 255
    # A few values may be shares by chance, and a thousand random ones are not.
    is_share = bool(((bytes_ - bytes_.round()).abs() < 1e-3).all())
    return is_share and len(images.unique()) > 16


def as_images(x: Tensor) -> Tensor:
    """Images, (batch, channels, height, width), of images or of vectors (batch, features).

    Sequences and tokens stay as they are: what their axes are only the network knows.
    """
    return x[:, :, None, None] if x.dim() == 2 else x


def joined(batches: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """All images of each input in one tensor, (count, channels, height, width)."""
    return tuple(as_images(torch.cat(parts)) for parts in zip(*batches, strict=True))


def warn_if_same(batches: Sequence[tuple[Tensor, ...]]) -> None:
    """Warn of several samples that do not differ: they show none of what the network will see."""
    first = batches[0]
    count = sum(len(batch[0]) for batch in batches)
    pairs = (pair for batch in batches for pair in zip(batch, first, strict=True))
    if count > 1 and all(bool((images == one[:1]).all()) for images, one in pairs):
        warnings.warn(
            f"all {count} calibration images are the same, so that ranges and losses are those of "
            f"one; give data that the model will see",
            QnnWarning,
            stacklevel=3,
        )


def sample(images: tuple[Tensor, ...], count: int) -> tuple[Tensor, ...]:
    """``count`` of the images, the same ones of each input, in random order; all if there are less.

    See ``drawn``.
    """
    order = drawn(len(images[0]), count)
    return tuple(each[order] for each in images)


def drawn(count: int, most: int | None) -> np.ndarray:
    """Numbers of ``most`` of ``count`` images, or of all, in random order.

    Data sets are often sorted by class, so that the first images or a half show few classes. The
    order has a fixed seed: the same data always give the same sample.
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return order[:most].numpy()
