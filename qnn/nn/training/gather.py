"""Samples and labels of loaders, of PyTorch's data sets and of any batches, as two tensors.

They are read once, in an order that does not change, so that a run is a function of its seed and
goes on to the same bits. What a loader draws at random it draws once; what should change in every
step is ``augment``.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.utils import data as torch_data

from qnn.errors import ModelError, first_line
from qnn.nn.training.heads import Labels
from qnn.tasks.structures import nested_like, tensors_of

CHUNK = 256  # items of a data set that are collated at a time; any number gives the same tensors


def is_tensors(data: object) -> bool:
    """Whether ``data`` are tensors as they are: samples, or samples and labels."""
    # A tuple never is batches; a list is, but that of two tensors is as usual as their tuple.
    if isinstance(data, Tensor | tuple):
        return bool(len(data))
    return isinstance(data, list) and 1 <= len(data) <= 2 and isinstance(data[0], Tensor)


def labels_of(rest: Sequence) -> Labels:
    """The labels of what follows the samples: nothing, those of one output, or of each output."""
    if len(rest) > 1:
        return tuple(rest)
    return rest[0] if rest else None


def gathered(data: Iterable, part: str, seed: int) -> tuple[Tensor, Labels]:
    """All samples of a loader, a data set of items, or batches, and their labels if it has some.

    Parameters
    ----------
    part : "training" or "test", for refusals
    seed : of what a loader draws from torch's global numbers, which are left as they were

    Raises
    ------
    ModelError
        It cannot be iterated, has no samples, or batches that do not fit together.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            batches = [_pair(batch, part) for batch in _in_order(data)]
        except TypeError as error:  # of what is no iterable, and of items that cannot be collated
            raise ModelError(
                f"train needs {part} data as tensors, a loader or batches of samples and labels, "
                f"but got {type(data).__name__}: {first_line(error).rstrip('.')}; "
                f"convert them"
            ) from None
    if not batches:
        raise ModelError(f"train needs {part} data, but the loader gave no batch; give some")
    xs, ys = zip(*batches, strict=True)
    labelled = [y is not None for y in ys]
    if any(labelled) != all(labelled):
        raise ModelError(f"train needs labels in all {part} batches or in none; give all")
    x = _joined(xs, part, "samples")
    if not any(labelled):
        return x, None
    counts = sorted({len(tensors_of(y)) for y in ys})
    if len(counts) > 1:
        raise ModelError(
            f"train needs labels of as many outputs in all {part} batches, not of "
            f"{' and '.join(map(str, counts))}; give all"
        )
    # Batch by batch to output by output.
    outputs = zip(*map(tensors_of, ys), strict=True)
    return x, nested_like(ys[0], [_joined(each, part, "labels") for each in outputs])


def _in_order(data):
    """Batches, unshuffled where the order is the loader's own choice: training draws another."""
    if isinstance(data, torch_data.Dataset):
        return torch_data.DataLoader(data, CHUNK)
    shuffled = isinstance(data, torch_data.DataLoader) and isinstance(
        data.sampler, torch_data.RandomSampler
    )
    # Drawn with replacement, or only some of the items: that is a choice of samples.
    if not shuffled or data.sampler.replacement or len(data.sampler) != len(data.dataset):
        return data
    return torch_data.DataLoader(data.dataset, data.batch_size or 1, collate_fn=data.collate_fn)


def _pair(batch, part):
    if isinstance(batch, Tensor):
        return batch, None
    fits = isinstance(batch, tuple | list) and len(batch) and isinstance(batch[0], Tensor)
    if not fits or not all(isinstance(each, Tensor) for each in tensors_of(list(batch))):
        several = isinstance(batch, tuple | list)
        kinds = [type(each).__name__ for each in batch] if several else type(batch).__name__
        raise ModelError(
            f"train needs {part} batches of samples and labels, two tensors, not {kinds}; let the "
            f"loader's collate_fn give them"
        )
    return batch[0], labels_of(batch[1:])


def _joined(parts, part, what):
    shapes = sorted({tuple(each.shape[1:]) for each in parts})
    if len(shapes) > 1:
        raise ModelError(
            f"train needs {part} {what} of one shape, not {', '.join(map(str, shapes))}; make them "
            f"alike"
        )
    return torch.cat(list(parts))
