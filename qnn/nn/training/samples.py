"""Training and test images, checked once, and the batch of every step."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.nn.data import Dataset
from qnn.nn.training.gather import gathered, is_tensors, labels_of
from qnn.nn.training.heads import Labels
from qnn.nn.training.recipe import Recipe
from qnn.nn.training.seeds import Draw, generator
from qnn.tasks.structures import on_tensors, tensors_of

Data = Dataset | Tensor | Sequence | Iterable
Augment = Callable[[Tensor, torch.Generator], Tensor]
# CIFAR takes 150 MiB; ImageNet's 190 GB would never fit, and 4 GiB leave room on an 8 GiB card.
RESIDENT_BYTES = 4 << 30  # of images that a GPU keeps; more stay with the host


@dataclass(frozen=True, eq=False)
class Samples:
    """Images (count, ...) uint8 or float, and labels (count, ...) where there are some.

    Labels of several outputs are nested tuples, lists or dictionaries of such tensors.
    """

    x_train: Tensor
    y_train: Labels
    x_test: Tensor | None
    y_test: Labels

    def to(self, device: torch.device) -> "Samples":
        """On ``device``, unless the images are too many for it."""
        if self.x_train.nbytes > RESIDENT_BYTES and device.type != "cpu":
            return self
        parts = (self.x_train, self.y_train, self.x_test, self.y_test)
        return Samples(*(on_tensors(lambda tensor: tensor.to(device), part) for part in parts))


def samples(data: Data, validation: Data | None = None, seed: int = 0) -> Samples:
    """``data`` in one form, and ``validation`` as its test part, where it is given.

    Parameters
    ----------
    seed : of what loaders draw at random

    Raises
    ------
    ModelError
        There are no images, or not as many labels.
    """
    if isinstance(data, Dataset):
        found = Samples(data.x_train, data.y_train, data.x_test, data.y_test)
    else:
        found = Samples(*_tensors(data, "training", seed), None, None)
    if validation is not None:
        if isinstance(validation, Dataset):
            x, y = validation.x_test, validation.y_test
        else:
            x, y = _tensors(validation, "test", seed)
        found = replace(found, x_test=x, y_test=y)
    _check(found.x_train, found.y_train, "training")
    if found.x_test is not None:
        _check(found.x_test, found.y_test, "test")
    return found


def _tensors(data, part, seed):
    """Samples and labels, None where there are no labels."""
    if not is_tensors(data):
        return gathered(data, part, seed)
    parts = (data,) if isinstance(data, Tensor) else tuple(data)
    return parts[0], labels_of(parts[1:])


def _check(x, y, part):
    if not isinstance(x, Tensor) or x.dim() < 2 or not len(x):
        got = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ModelError(
            f"train needs {part} images (count, ...), at least one, not {got}; give a tensor with "
            f"images in it"
        )
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        raise ModelError(
            f"train needs finite {part} images, not NaN or infinity; remove those images"
        )
    for each in tensors_of(y):
        if isinstance(each, Tensor) and each.dim() and len(each) == len(x):
            continue
        # A list of numbers is no nesting of tensors, but labels in another form.
        is_tensor = isinstance(each, Tensor)
        got = f"{tuple(each.shape)} of {each.dtype}" if is_tensor else type(y).__name__
        raise ModelError(
            f"train needs {len(x)} {part} labels in a tensor, not {got}; give one an image"
        )


@dataclass(frozen=True, eq=False)
class Batches:
    """The images of each step, a function of seed and step alone.

    Members
    -------
    samples : whose training part is taken
    recipe : batch and seed
    augment : called with uint8 images and a generator; None: images stay as they are
    share : (first, last) of the images of a batch that this process takes
    places : of the training images that are trained on; None: all
    """

    samples: Samples
    recipe: Recipe
    augment: Augment | None
    share: slice
    places: Tensor | None = None

    @property
    def count(self) -> int:
        """Images that are trained on."""
        return len(self.samples.x_train if self.places is None else self.places)

    @property
    def size(self) -> int:
        """Images of a step, over all processes."""
        return min(self.recipe.batch, self.count)

    def __call__(self, step: int) -> tuple[Tensor, Labels]:
        """This process's images and labels; all of the batch is augmented, so that shares agree."""
        count, size = self.count, self.size
        epoch, place = divmod(step, self.recipe.epoch_steps(count))
        chosen = _order(self.recipe.seed, epoch, count)[place * size : (place + 1) * size]
        if self.places is not None:
            chosen = self.places[chosen]
        x, y = self.samples.x_train, self.samples.y_train
        x_chosen = chosen.to(x.device)
        if self.augment is None:
            x = x[x_chosen[self.share]]
        else:
            draws = generator(self.recipe.seed, Draw.AUGMENT, step)
            # The whole batch is drawn for, then shared: its images do not depend on the number of
            # processes.
            x = self.augment(x[x_chosen], draws)[self.share]
        return x, on_tensors(lambda tensor: tensor[x_chosen[self.share]], y)


# Two: an epoch's end and the next one's begin are asked for in turn.
@lru_cache(maxsize=2)
def _order(seed, epoch, count):
    return torch.randperm(count, generator=generator(seed, Draw.ORDER, epoch))
