"""What is trained on what, checked before the first step."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.nn.model import QuantizedModel
from qnn.nn.plan import InputPlan
from qnn.nn.preprocess import Pixels, checked
from qnn.nn.training.processes import Processes
from qnn.nn.training.recipe import Recipe
from qnn.nn.training.samples import Augment, Batches, Samples, check_labels
from qnn.nn.training.student import ImageReader, Student, student_of

Numbers = float | Sequence[float] | None


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """A model, its teacher, data and recipe; the same in every process.

    Members
    -------
    classes : outputs of the model
    reader : calls student and teacher
    """

    student: Student
    teacher: nn.Module | None
    samples: Samples
    batches: Batches
    recipe: Recipe
    classes: int
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
    if found.y_train is None and (teacher is None or recipe.labels):
        raise ModelError(
            "train needs labels, or a teacher that answers for them, but got images alone; give "
            "either"
        )
    # A quantized model knows what pixels mean; a float one beside it must read them alike.
    quantized = next((m for m in (model, teacher) if isinstance(m, QuantizedModel)), None)
    if quantized is None:
        pixels = checked(*preprocessing, found.x_train.shape[1])
    else:
        pixels = _only_input(quantized).pixels
    reader = ImageReader(_table(pixels, device))
    classes = _classes("model", reader, _on(device, model), found.x_train[:2].to(device))
    check_labels(found, classes)
    if teacher is not None:
        teacher = _on(device, teacher).requires_grad_(False)
        answers = _classes("teacher", reader, teacher, found.x_train[:2].to(device))
        if answers != classes:
            raise ModelError(
                f"train needs a teacher of {classes} classes, as the model has, not {answers}; "
                f"give the model's own"
            )
    # A data set below a batch is the batch.
    share = processes.share(min(recipe.batch, len(found.x_train)))
    batches = Batches(found.to(device), recipe, augment, share)
    student = student_of(model, recipe, device)
    return TrainingTask(student, teacher, found, batches, recipe, classes, reader, processes)


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
def _classes(who, reader, model, x) -> int:
    """Outputs of ``model``, by trying it on images."""
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
    if not isinstance(result, Tensor) or result.dim() != 2 or len(result) != len(x):
        got = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise ModelError(
            f"train needs a {who} that gives one tensor (images, classes), not {got}; choose a "
            f"classifier"
        )
    return result.shape[1]
