"""What a model and its teacher give for two samples, which tells their outputs before any step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from qnn.errors import ModelError, first_line
from qnn.nn.model import QuantizedModel
from qnn.nn.training.heads import TrainedHead, for_heads, labels_in_form
from qnn.nn.training.samples import Samples
from qnn.nn.training.scores import ScoreReader
from qnn.nn.training.student import ImageReader
from qnn.tasks.losses import TaskLoss, spread
from qnn.tasks.outputs import Asked, find_tasks
from qnn.tasks.structures import names_of

# Enough for a variance that is only a unit.
SPREAD_IMAGES = 512
Named = tuple[tuple[str, tuple[int, ...]], ...]  # name of each output, and shape of a sample's


@dataclass(frozen=True, eq=False)
class Tried:
    """Both networks in evaluation, and samples to try them on.

    Members
    -------
    teacher : None: there is none
    x : two samples
    """

    reader: ImageReader
    model: nn.Module
    teacher: nn.Module | None
    x: Tensor

    @cached_property
    def scores(self) -> ScoreReader:
        """What losses see of both networks."""
        return ScoreReader.of(self.model, self.reader, lambda x: self._result("model", x), self.x)

    def outputs(self) -> Named:
        """Names and shapes of the outputs, which are the teacher's names if it is a float model.

        Raises
        ------
        ModelError
            A network does not take the samples, gives something else than tensors with a row for
            each sample, or the teacher gives outputs of other shapes.
        """
        shapes = _shapes("model", self._scores("model"), len(self.x))
        if isinstance(self.model, QuantizedModel):
            names = tuple(output.name for output in self.model.plan.given)
        else:
            names = names_of(self._result("model", self.x))
        if self.teacher is not None:
            answers = self._scores("teacher")
            given = _shapes("teacher", answers, len(self.x))
            if not _are_alike(shapes, given, answers):
                raise ModelError(
                    f"train needs a teacher whose outputs have shape {_listed(shapes)}, as the "
                    f"model's have, not {_listed(given)}; give the model's own"
                )
            if not isinstance(self.teacher, QuantizedModel):
                names = names_of(self._result("teacher", self.x))
        return tuple(zip(names, shapes, strict=True))

    def nesting(self) -> Any:
        """What the float model gives, where the model is quantized and a teacher tells; or None."""
        is_told = isinstance(self.model, QuantizedModel) and self.teacher is not None
        return self._result("teacher", self.x) if is_told else None

    def _result(self, who, x):
        return self._called(who, self.reader, x)

    def _scores(self, who):
        return self._called(who, self.scores, self.x)

    @torch.no_grad()
    def _called(self, who, reader, x):
        network = self.model if who == "model" else self.teacher
        got = f"{tuple(self.x.shape)} of {self.x.dtype}"
        with users_code(f"images that the {who} takes, not {got}", "reshape them"):
            return reader(network, x)


@contextmanager
def users_code(needs: str, do: str) -> Iterator[None]:
    """Tell what the user's own code raises meanwhile as one refusal: needed, why it fails, do."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # any: it is the user's code
        raise ModelError(f"train needs {needs}: {first_line(error)}; {do}") from error


def heads_of(
    outputs: Named, found: Samples, asked: Asked, tried: Tried
) -> tuple[tuple[TrainedHead, ...], Samples]:
    """The outputs with their losses, and ``found`` with checked labels, one entry for each output.

    Raises
    ------
    ModelError
        Labels fit no task of an output, or leave open which output they are for.
    """
    names, shapes = (tuple(each) for each in zip(*outputs, strict=True)) if outputs else ((), ())
    y_train, y_test = (for_heads(y, names, shapes) for y in (found.y_train, found.y_test))
    told = [
        None if y is None else y.numpy()
        for y in (y if y is not None else test for y, test in zip(y_train, y_test, strict=True))
    ]
    kinds = find_tasks(shapes, told, asked, found.x_train.shape[1:])
    known = [
        labels_in_form(kinds, shapes, y, [f"{who} {part}" for who in _who(names)])
        for y, part in ((y_train, "training"), (y_test, "test"))
    ]
    found = replace(found, y_train=known[0], y_test=known[1])
    heads = []
    for place, (name, shape, kind, y) in enumerate(
        zip(names, shapes, kinds, known[0], strict=True)
    ):
        unit = 1.0 if kind.classifies else _unit(place, y, found, tried)
        heads.append(TrainedHead(name, shape, TaskLoss(kind, unit)))
    return tuple(heads), found


def _who(names: Sequence[str]):
    """Who needs labels, as refusals begin."""
    if len(names) == 1:
        return ["train needs"]
    return [f"train, for output '{name}', needs" for name in names]


@torch.no_grad()
def _unit(place, labels, found, tried) -> float:
    """The variance of what values should be, so that a loss of 1 is that of their mean."""
    if labels is not None:
        return spread(labels)
    x = found.x_train[:SPREAD_IMAGES].to(tried.x.device)
    if tried.teacher is None:
        return spread(tried.reader.reals(x))
    return spread(tried.scores(tried.teacher, x)[place])


def _are_alike(shapes, given, answers):
    """Whether a teacher has outputs like the model's; classes, which are integers, have no axis."""
    if len(shapes) != len(given):
        return False
    return all(
        prod(shape[1:]) == prod(other) if not answer.is_floating_point() else shape == other
        for shape, other, answer in zip(shapes, given, answers, strict=True)
    )


def _shapes(who, found, count):
    """The shape of a sample's scores, checked."""
    for each in found or (None,):
        if not isinstance(each, Tensor) or each.dim() < 1 or len(each) != count:
            got = tuple(each.shape) if isinstance(each, Tensor) else type(each).__name__
            raise ModelError(
                f"train needs a {who} whose outputs are tensors (images, ...), not {got}; choose "
                f"among its outputs, or give a loss that takes them"
            )
    return [tuple(each.shape[1:]) or (1,) for each in found]


def _listed(shapes):
    return " and ".join(map(str, shapes))
