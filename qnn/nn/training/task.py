"""What is trained on what, checked before the first step."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.nn.layer_plans import InputPlan
from qnn.nn.model import QuantizedModel
from qnn.nn.preprocess import Pixels, checked
from qnn.nn.training.processes import Processes
from qnn.nn.training.recipe import Recipe
from qnn.nn.training.samples import Augment, Batches, Samples
from qnn.nn.training.student import ImageReader, Student, student_of
from qnn.tasks.kinds import TaskKind, find_task, labels_for
from qnn.tasks.losses import TaskLoss, spread

# Enough for a variance that is only a unit.
SPREAD_IMAGES = 512
Numbers = float | Sequence[float] | None


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """A model, its teacher, data and recipe; the same in every process.

    Members
    -------
    classes : outputs of the model, along dimension 1
    loss : of what the outputs are for
    reader : calls student and teacher
    """

    student: Student
    teacher: nn.Module | None
    samples: Samples
    batches: Batches
    recipe: Recipe
    classes: int
    loss: TaskLoss
    reader: ImageReader
    processes: Processes


def task_of(
    model: nn.Module,
    teacher: nn.Module | None,
    found: Samples,
    recipe: Recipe,
    augment: Augment | None,
    preprocessing: tuple[Numbers, Numbers],
    processes: Processes,
    asked: str | None = None,
) -> TrainingTask:
    """The task, with copies of both models on this process's device.

    Raises
    ------
    ModelError
        Model, teacher, data and recipe do not fit each other.
    """
    device = processes.device
    if recipe.precision == "fp16" and device.type == "cpu":
        raise ModelError("train needs a GPU for fp16, not the CPU; choose bf16 or fp32")
    # A quantized model knows what pixels mean; a float one beside it must read them alike.
    quantized = next((m for m in (model, teacher) if isinstance(m, QuantizedModel)), None)
    if quantized is None:
        pixels = checked(*preprocessing, found.x_train.shape[1])
    else:
        pixels = _only_input(quantized).pixels
    reader = ImageReader(_table(pixels, device))
    shape = _output_shape("model", reader, _on(device, model), found.x_train[:2].to(device))
    kind = _kind(found, shape, asked)
    if kind is not TaskKind.RECONSTRUCTION:
        _check_lessons(found, teacher, recipe)
        found = _labelled(kind, found, shape)
    if teacher is not None:
        teacher = _on(device, teacher).requires_grad_(False)
        answers = _output_shape("teacher", reader, teacher, found.x_train[:2].to(device))
        if answers != shape:
            raise ModelError(
                f"train needs a teacher whose outputs have shape {shape}, as the model's have, not "
                f"{answers}; give the model's own"
            )
    own = TaskLoss(kind, 1.0 if kind.classifies else _unit(found, reader, teacher, device))
    # A data set below a batch is the batch.
    share = processes.share(min(recipe.batch, len(found.x_train)))
    batches = Batches(found.to(device), recipe, augment, share)
    student = student_of(model, recipe, device)
    return TrainingTask(student, teacher, found, batches, recipe, shape[0], own, reader, processes)


def _kind(found, shape, asked):
    """What the outputs are for, as the labels of either part tell."""
    labels = found.y_test if found.y_train is None else found.y_train
    return find_task(
        shape, None if labels is None else labels.numpy(), asked, found.x_train.shape[1:]
    )


def _check_lessons(found, teacher, recipe):
    if found.y_train is None and (teacher is None or recipe.labels):
        raise ModelError(
            "train needs labels, or a teacher that answers for them, but got images alone; give "
            "either"
        )


def _labelled(kind, found, shape) -> Samples:
    """``found`` with labels in the form of the task."""
    labels = [
        None if y is None else torch.from_numpy(labels_for(kind, shape, y.numpy(), who))
        for y, who in (
            (found.y_train, "train needs training"),
            (found.y_test, "train needs test"),
        )
    ]
    return Samples(found.x_train, labels[0], found.x_test, labels[1])


@torch.no_grad()
def _unit(found, reader, teacher, device) -> float:
    """The variance of what values should be, so that a loss of 1 is that of their mean."""
    if found.y_train is not None:
        return spread(found.y_train)
    x = found.x_train[:SPREAD_IMAGES].to(device)
    return spread(reader.reals(x) if teacher is None else reader(teacher, x))


def _on(device, model):
    return copy.deepcopy(model).to(device).eval()


def _only_input(quantized: QuantizedModel) -> InputPlan:
    inputs = quantized.plan.network_inputs
    if len(inputs) > 1:
        raise ModelError(
            f"train needs a model of one input, not {len(inputs)}; train the float model and "
            f"quantize it"
        )
    return inputs[0]


def _table(pixels: Pixels | None, device) -> Tensor | None:
    """What 8-bit pixels mean to a float model, (channels, 256) float32."""
    return None if pixels is None else pixels.values().to(device, torch.float32)


@torch.no_grad()
def _output_shape(who, reader, model, x) -> tuple[int, ...]:
    """The shape of a sample's output, by trying ``model`` on images."""
    try:
        result = reader(model, x)
    except ModelError:
        raise
    except Exception as error:  # any: it is the user's module
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"train needs images that the {who} takes, not {tuple(x.shape)} of {x.dtype}: "
            f"{reason}; reshape them"
        ) from error
    if not isinstance(result, Tensor) or result.dim() < 1 or len(result) != len(x):
        got = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise ModelError(
            f"train needs a {who} that gives one tensor (images, ...), not {got}; choose one of "
            f"its outputs"
        )
    return tuple(result.shape[1:]) or (1,)
