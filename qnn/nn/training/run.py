"""One training run: its state, its step, and what is saved of it."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.nn.training import checkpoint
from qnn.nn.training.average import Average
from qnn.nn.training.losses import guessing, losses
from qnn.nn.training.measuring import test_measures
from qnn.nn.training.rates import (
    optimizer_for,
    optimizer_state,
    rate_at,
    restore_optimizer,
    set_rate,
)
from qnn.nn.training.seeds import Draw, seed_of
from qnn.nn.training.task import TrainingTask
from qnn.nn.training.watch import LossWindow, Tally
from qnn.tasks.structures import on_tensors

# What autocast computes in; sums, losses and weights stay in float32.
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class RunState:
    """The state of a run after ``step`` updates."""

    def __init__(self, task: TrainingTask):
        self.task, self.recipe, self.step = task, task.recipe, 0
        self.steps = task.recipe.steps_for(task.batches.count)
        self.epoch_steps = task.recipe.epoch_steps(task.batches.count)
        module = task.student.module
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        if not self.parameters:
            raise ModelError("train needs a model with parameters that require gradients, not none")
        named = ((n, p) for n, p in module.named_parameters() if p.requires_grad)
        sizes = task.sizes() if task.student.on_grid else None
        self.optimizer = optimizer_for(named, self.recipe, task.student.on_grid, sizes)
        fp16 = self.recipe.precision == "fp16"
        self.scaler = torch.amp.GradScaler(task.processes.device.type, enabled=fp16)
        live = task.student.averaged() if self.recipe.ema is not None else None
        self.average = None if live is None else Average(live, self.recipe.ema)
        self.tally = Tally()
        # A student that starts from its teacher has a first loss near 0: four times that would end
        # good runs.
        start = guessing(task.heads, task.teacher is not None, self.recipe)
        # Nothing is known of a loss of the user's, which may well begin at 0 or below it.
        start = start if task.own is None else math.inf
        self.window = LossWindow(self.tally, start, self.recipe.diverged, self.recipe.rate)

    def update(self) -> None:
        """One step; nothing in it waits for the device."""
        found, right, count = self.batch_loss()
        # Divided before the gradients are summed over processes: the sum is then the whole batch's
        # mean.
        share = found / self.task.processes.count
        # float16 loses gradients below 6e-8; scaled ones are, and other precisions scale by 1.
        self.scaler.scale(share).backward()
        self._apply([share.detach(), right])
        self.window.add(share.detach(), right, count * self.task.processes.count)

    def batch_loss(self) -> tuple[Tensor, Tensor, int]:
        """The loss of this step's batch, how many of its images are right, and their number."""
        task, device = self.task, self.task.processes.device
        self._before()
        x, y = task.batches(self.step)
        x = task.placed(x)
        y = on_tensors(lambda tensor: tensor.to(device, non_blocking=True), y)
        with self._autocast():
            result, outputs = self._outputs(x)
            answers = task.answers(x)
        wanted = task.wanted(x, y)
        found = losses(outputs, answers, wanted, self.recipe, task.heads) if task.heads else 0.0
        if task.own is not None:
            found = found + (self.recipe.labels if task.heads else 1.0) * task.own(result, y)
        return found, self._right(outputs, wanted), len(x)

    def _outputs(self, x):
        """What a loss of the user's sees, where there is one, and what those of the heads do."""
        task, module = self.task, self.task.student.module
        try:
            if not task.heads:
                return task.reader(module, x), ()
            if task.own is None:
                return None, self._of_heads(task.scores(module, x))
            result, scores = task.scores.with_results(module, x)
            return result, self._of_heads(scores)
        except ValueError as error:
            # What torch's batch_norm says, in the words of its input's shape.
            if "more than 1 value per channel" not in str(error):
                raise
            raise ModelError(
                "train needs two values a channel for the statistics of BatchNorm, but a batch of "
                "one image has one; take larger batches, or freeze_statistics_at=0"
            ) from None

    def _before(self):
        """Prepare all that depends on the step alone: seeds, estimators, statistics, rate."""
        seed, step = self.recipe.seed, self.step
        # For dropout and the like, which draw from the global numbers: another for each process.
        torch.manual_seed(seed_of(seed, Draw.MODULE, step, self.task.processes.rank))
        self.task.student.before_step(
            step / self.steps, lambda: seed_of(seed, Draw.ESTIMATOR, step)
        )
        set_rate(self.optimizer, rate_at(self.recipe, step, self.steps))

    def _autocast(self):
        dtype = DTYPES[self.recipe.precision]
        kind = self.task.processes.device.type
        return torch.autocast(kind, dtype, enabled=dtype != torch.float32)

    def _of_heads(self, found):
        """The scores in training, which must be those that the model has in evaluation."""
        heads = self.task.heads
        if len(found) != len(heads):
            raise ModelError(
                f"train needs as many outputs in training as the model has in evaluation, "
                f"{len(heads)}, not {len(found)}; give a loss that takes what it has in training"
            )
        return found

    @torch.no_grad()
    def _right(self, outputs, wanted):
        """How many samples are right, the mean over the outputs that have classes and labels."""
        right = [
            head.loss.right(got.detach(), y)
            for head, got, y in zip(self.task.heads, outputs, wanted, strict=True)
            if y is not None and head.kind.classifies
        ]
        none = torch.zeros((), device=self.task.processes.device)
        return sum(right[1:], right[0]) / len(right) if right else none

    def _apply(self, seen: list[Tensor]):
        """Gradients of all processes, clipped, to the weights and their average."""
        processes = self.task.processes
        if processes.count > 1:
            gradients = [p.grad for p in self.parameters if p.grad is not None]
            processes.add_up(gradients + seen)
            if not self.task.student.frozen:
                statistics = self.task.student.statistics()
                processes.add_up(statistics)
                for tensor in statistics:
                    # Statistics are means of the processes' own; gradients and counts are sums.
                    tensor.div_(processes.count)
        if self.recipe.clip is not None:
            # The norm to clip is that of the true gradients.
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        # None rather than zeros: an optimizer then leaves out parameters that no loss reached.
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.average is not None:
            self.average.update(self.step)

    def state(self, fingerprint: dict) -> checkpoint.Saved:
        """What this run needs to go on; call ``window.look`` first, so that none of it is lost."""
        scaler = {name: torch.tensor(value) for name, value in self.scaler.state_dict().items()}
        average = {} if self.average is None else self.average.values
        parts = {
            "model": self.task.student.module.state_dict(),
            "optimizer": optimizer_state(self.optimizer),
            "average": average,
            "scaler": scaler,
        }
        tensors = {f"{part}/{n}": t for part, held in parts.items() for n, t in held.items()}
        return checkpoint.Saved(self.step, tensors, fingerprint, self.tally.to_fields())

    def restore(self, saved: checkpoint.Saved) -> None:
        """Go on from what ``state`` gave."""
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in saved.tensors.items():
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = tensor
        self.task.student.module.load_state_dict(parts["model"])
        restore_optimizer(self.optimizer, parts.get("optimizer", {}))
        if self.average is not None:
            self.average.restore(parts["average"])
        if "scaler" in parts:
            self.scaler.load_state_dict({n: t.item() for n, t in parts["scaler"].items()})
        self.step = saved.step
        self.tally = self.window.tally = Tally(**saved.tally)

    def train_accuracy(self) -> float | None:
        """Percent of this epoch's images so far that were right when they were trained on.

        Of several outputs it is the mean over those that have classes and labels.
        """
        known = self.task.samples.y_train if self.task.own is None else ()
        known = zip(self.task.heads, known, strict=False)
        if not self.tally.seen or not any(y is not None and h.kind.classifies for h, y in known):
            return None
        return 100 * self.tally.right / self.tally.seen

    def finished(self) -> nn.Module:
        """The model as it would be kept now."""
        average = None if self.average is None else self.average.values
        return self.task.student.finished(average)

    def test_measures(self) -> Mapping[str, Any]:
        """``test_measures`` of the model as it would be kept now."""
        return test_measures(self.task, self.finished())
