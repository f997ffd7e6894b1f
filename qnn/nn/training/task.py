"""What is trained on what, checked before the first step."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.nn.layer_plans import InputPlan
from qnn.nn.model import QuantizedModel
from qnn.nn.preprocess import Pixels, checked
from qnn.nn.training.heads import Labels, TrainedHead
from qnn.nn.training.held_out import split
from qnn.nn.training.own_loss import Loss, OwnLoss, check_lessons
from qnn.nn.training.processes import Processes
from qnn.nn.training.recipe import Recipe
from qnn.nn.training.samples import Augment, Batches, Samples
from qnn.nn.training.scores import ScoreReader
from qnn.nn.training.sizes import sizes
from qnn.nn.training.student import ImageReader, Student, student_of
from qnn.nn.training.tried import Tried, heads_of, users_code
from qnn.tasks.kinds import TaskKind
from qnn.tasks.outputs import Asked
from qnn.tasks.structures import on_tensors

Numbers = float | Sequence[float] | None


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """A model, its teacher, data and recipe; the same in every process.

    Members
    -------
    samples : whose labels are one entry for each output, or as ``own`` takes them
    heads : the model's outputs, in order; none where ``own`` alone is lessened
    reader : calls student and teacher
    scores : what the losses of the heads see of both; None without heads
    start : the model as it was given, on this process's device
    held_out : places of the training images that judge the result, (images,) int64
    own : a loss of the user's, in the place of that of the labels
    """

    student: Student
    teacher: nn.Module | None
    samples: Samples
    batches: Batches
    recipe: Recipe
    heads: tuple[TrainedHead, ...]
    reader: ImageReader
    scores: ScoreReader | None
    processes: Processes
    start: nn.Module
    held_out: Tensor
    own: OwnLoss | None = None

    def placed(self, x: Tensor) -> Tensor:
        """Images on the device, in the recipe's memory format."""
        last = self.recipe.channels_last and x.dim() == 4
        form = torch.channels_last if last else torch.contiguous_format
        return x.to(self.processes.device, non_blocking=True).contiguous(memory_format=form)

    @torch.no_grad()
    def answers(self, x: Tensor) -> tuple[Tensor, ...] | None:
        """The teacher's scores of placed images; None without a teacher."""
        return None if self.teacher is None else self.scores(self.teacher, x)

    def sizes(self) -> Mapping[nn.Parameter, float]:
        """``sizes`` of a quantized student, by the first batch: the same of a run that goes on."""
        batch = self.placed(self.batches(0)[0])
        add_up = self.processes.add_up
        return sizes(self.student.module, self.start, lambda m: self.reader(m, batch), add_up)

    def wanted(self, x: Tensor, y: Labels) -> tuple[Tensor | None, ...]:
        """What each output should give: labels, or the input, or nothing that is known."""
        if self.own is not None:
            return (None,) * len(self.heads)
        return tuple(
            self.reader.reals(x) if each is None and head.kind is TaskKind.RECONSTRUCTION else each
            for head, each in zip(self.heads, y, strict=True)
        )


def task_of(
    model: nn.Module,
    teacher: nn.Module | None,
    found: Samples,
    recipe: Recipe,
    augment: Augment | None,
    preprocessing: tuple[Numbers, Numbers],
    processes: Processes,
    asked: Asked = None,
    loss: Loss | None = None,
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
    if teacher is not None:
        teacher = _on(device, teacher).requires_grad_(False)
    tried = Tried(reader, _on(device, model), teacher, found.x_train[:2].to(device))
    if loss is not None:
        check_lessons(found.y_train, teacher is not None, recipe.labels)
    # What a loss of the user's takes may be anything, unless a teacher answers beside it.
    outputs = () if loss is not None and teacher is None else tried.outputs()
    labelled = replace(found, y_train=None, y_test=None) if loss is not None else found
    heads, taught = heads_of(outputs, labelled, asked, tried)
    if loss is None:
        _check_lessons(heads, taught, teacher, recipe)
        found, own = taught, None
    else:
        own = OwnLoss(loss, tried.nesting())
        _try_on_test(own, found, tried, device)
    # A loss of the user's may take what a model gives in training alone.
    places, held_out = split(len(found.x_train), recipe.held_out if own is None else 0)
    # A data set below a batch is the batch.
    share = processes.share(min(recipe.batch, len(places)))
    return TrainingTask(
        student=student_of(model, recipe, device),
        teacher=teacher,
        samples=found,
        batches=Batches(found.to(device), recipe, augment, share, places),
        recipe=recipe,
        heads=heads,
        reader=reader,
        scores=tried.scores if heads else None,
        processes=processes,
        start=tried.model,
        held_out=held_out,
        own=own,
    )


def _check_lessons(heads, found, teacher, recipe):
    labels = found.y_train or (None,) * len(heads)
    known = any(
        y is not None or head.kind is TaskKind.RECONSTRUCTION
        for head, y in zip(heads, labels, strict=True)
    )
    if not known and (teacher is None or recipe.labels):
        raise ModelError(
            "train needs labels, or a teacher that answers for them, but got images alone; give "
            "either"
        )


@torch.no_grad()
def _try_on_test(own, found, tried, device):
    """Call the loss on test samples before the first step: an epoch later would be late."""
    if found.x_test is None or found.y_test is None:
        return
    labels = on_tensors(lambda tensor: tensor[:2].to(device), found.y_test)
    needs = "a loss that takes what the model gives in evaluation and test labels"
    with users_code(needs, "leave out test data, or let it take both"):
        own(tried.reader(tried.model, found.x_test[:2].to(device)), labels)


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
