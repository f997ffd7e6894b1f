"""The loop of training: updates, a look at them now and then, checkpoints and metrics."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from qnn.errors import ModelError, QnnWarning
from qnn.interrupt import Interrupted, stoppable
from qnn.nn.model import QuantizedModel
from qnn.nn.training import checkpoint as checkpoints
from qnn.nn.training.fingerprint import fingerprint
from qnn.nn.training.held_out import Judged
from qnn.nn.training.means import choose_means
from qnn.nn.training.measuring import judged, test_measures
from qnn.nn.training.metrics import Measured, Metrics
from qnn.nn.training.own_loss import Loss
from qnn.nn.training.processes import processes
from qnn.nn.training.rates import rate_at
from qnn.nn.training.recipe import Recipe
from qnn.nn.training.run import RunState
from qnn.nn.training.samples import Augment, Data, samples
from qnn.nn.training.task import task_of
from qnn.tasks.kinds import TaskKind
from qnn.tasks.outputs import Asked, by_name

Progress = Callable[[int, int], None]  # steps done, in all
# A look waits until the device has done all that it was given.
LOOK_STEPS = 20  # between looks at the losses, each of which waits for the device
# No more than a minute of work is lost, and a minute's work is far more than a file's writing.
SAVE_SECONDS = 60.0  # between checkpoints inside an epoch


@dataclass(frozen=True)
class TrainingReport:
    """The result of a training run.

    Members
    -------
    steps : updates in all
    seconds : in training, before an interruption too
    loss : mean of the last steps; None: nothing was left to do
    test_accuracy : percent, of the model that is kept; None: there are no test labels, the task
        has no classes, or there are several outputs
    first : whether this process writes, of several
    task : what the output is for, of ``qnn.tasks.kinds.TASKS``, or that of each of several outputs
        by its name; none where a loss of the user's alone decides
    test : all numbers of the task on the test images, by name, or those of each of several outputs
        by its name; none without labels; ``loss`` where the user gave one
    held_out : how the result was judged; None: no images were held out. Where it is worse than the
        start, the model is kept as it was
    """

    steps: int
    seconds: float
    loss: float | None
    test_accuracy: float | None
    first: bool = True
    task: str | Mapping[str, str] = TaskKind.CLASSES.value
    test: Mapping[str, Any] = field(default_factory=dict)
    held_out: Judged | None = None


def train(
    model: nn.Module,
    data: Data,
    recipe: Recipe | None = None,
    teacher: nn.Module | None = None,
    checkpoint: str | Path | None = None,
    metrics: str | Path | None = None,
    progress: Progress | None = None,
    device: torch.device | str | None = None,
    *,
    augment: Augment | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    tensorboard: str | Path | None = None,
    save_seconds: float = SAVE_SECONDS,
    task: Asked = None,
    loss: Loss | None = None,
    validation: Data | None = None,
) -> TrainingReport:
    """Train ``model`` in place, and leave it in evaluation mode.

    A quantized model learns on its grid: every forward pass has weights of the grid. The model
    changes when all has gone well; until then, and if training is refused or interrupted, it
    stays as it was, and where it ends worse on images held out than it began, with a warning.
    Under ``torchrun`` each process takes its share of every batch, the first one
    writes, and all end with the same weights; BatchNorm's statistics are of a process's share, or
    of groups of ``ghost_batch`` images, and then do not depend on the number of processes. With
    several processes, sums have another order than with one; over many steps on a grid, rounding
    makes the weights differ by more than that.

    Of a model with several outputs, in a tuple, list, dictionary or any nesting of them, the losses
    are added: each is a mean over samples and positions, of classes in nats and of values in units
    of their variance, so that neither an output's size nor its scale makes it weigh more.

    Parameters
    ----------
    data : a data set; images (count, ...), uint8 or what the model takes, with labels, (count,)
        of classes or as the task has them; or images alone, where a teacher answers for them or
        the model gives back its input. Also a loader, a data set of PyTorch's, or any batches of
        samples and labels. Labels of several outputs are a tuple or list with one entry for each,
        None where there are none, or a dictionary by the outputs' names; one tensor is for all
        outputs, if these have one shape. Loaders and batches are read once, unshuffled, and what
        they draw at random is drawn once, so that a run stays a function of its seed
    teacher : a module that takes what the float model takes, or a quantized model
    checkpoint : file of the run, written after each epoch and every ``save_seconds``; if it
        exists the run goes on from it, and ends in the same bits as without the interruption, on
        the same machine with as many threads; SIGINT and SIGTERM write it too, and then stop the
        run, the second SIGINT at once
    metrics : file of JSON lines, see ``qnn.nn.training.metrics.Measured``
    progress : called with steps done and steps in all, after each step
    device : to train on; None: a GPU if there is one
    augment : called with training images and a generator in each step
    mean, std : a float model takes ``(pixel / 255 - mean) / std``; a quantized one knows its own
    tensorboard : folder of event files
    task : what the outputs are for, of ``qnn.tasks.kinds.TASKS``, which decides the losses; None:
        as labels and outputs tell (see ``find_task``); of several outputs one entry each
    loss : gets what the float model gives, in its own nesting, and the labels of a batch as
        ``data`` has them, and gives a mean over the batch, in the place of the loss of the labels;
        a quantized model's tuple has the teacher's nesting where there is one. Gradients go through
        all that the model computes, as a last softmax; in the place of an argmax, which has none,
        a quantized model gives the scores in training. ``recipe.labels`` is its weight beside a
        teacher
    validation : what is measured on after each epoch, in any form that ``data`` may have; None:
        the test part of a data set, if ``data`` is one

    Raises
    ------
    ModelError
        Model, data, teacher and checkpoint do not fit each other; nothing is overwritten.
    Diverged
        The loss is no number or rose far, or weights outgrew what holds them: a ``ModelError``
        after which the model is as it was. The checkpoint, if there is one, would diverge again.
    Interrupted
        A signal asked the run to stop, and the checkpoint has it; a ``KeyboardInterrupt``.
    ToolError
        Several processes without lightning-fabric, or event files without tensorboard.
    """
    recipe = (recipe or Recipe()).of(isinstance(model, QuantizedModel))
    found = samples(data, validation, recipe.seed)
    path = None if checkpoint is None else Path(checkpoint)
    team = processes(device)
    work = task_of(model, teacher, found, recipe, augment, (mean, std), team, task, loss)
    # Before training touches anything, so that a resumed run computes the same.
    mark = fingerprint(model, teacher, found, recipe, augment, work.reader.table, work.heads, loss)
    saved = None if path is None else checkpoints.load(path, mark)
    team.wait()  # all have read before the first one writes
    with _own_random_numbers(team.device), work.student.running():
        run = RunState(work)
        choose_means(run)
        if saved is not None:
            try:
                run.restore(saved)
            # Of tensors that are missing or of another shape: of the optimizer or the average.
            except (KeyError, ValueError, RuntimeError):
                raise ModelError(
                    f"checkpoint {path} holds other tensors than this run needs; name another "
                    f"file, or remove it"
                ) from None
        files = (metrics and Path(metrics), tensorboard and Path(tensorboard))
        log = Metrics(*(files if team.first else (None, None)), run.step)
        progress = progress if team.first else None
        # Each process says the same, as each has a share of the test images.
        heard = any(file is not None for file in files)
        here = path if team.first else None
        loop = _Loop(run, log, mark, here, progress, save_seconds, heard)
        with stoppable(path is not None) as asked:
            last = loop.go(lambda: _stops(asked, team, run.step), path)
        log.close()
        test = run.test_measures() if last is None else last.test
        result = run.finished()
        verdict = judged(work, result)
        better = verdict is None or verdict.kept
        test = test if better else test_measures(work, work.start)
    # Only now: an exception above leaves the user's model as it was.
    if better:
        model.load_state_dict(result.state_dict())
    elif team.first:
        text = verdict.warning(recipe.rate, last and last.loss, work.student.on_grid)
        warnings.warn(text, QnnWarning, stacklevel=2)
    model.eval()
    return TrainingReport(
        steps=run.steps,
        seconds=run.tally.seconds,
        loss=last and last.loss,
        test_accuracy=test.get("accuracy"),
        first=team.first,
        task=by_name([h.name for h in work.heads], [h.kind.value for h in work.heads]),
        test=test,
        held_out=verdict,
    )


def _stops(asked, team, step) -> bool:
    """Whether the run should stop after this step, as all processes agree."""
    if team.count == 1:
        return asked()
    # Rarely, as it waits for all: a signal may reach processes in different steps.
    if step % LOOK_STEPS:
        return False
    votes = torch.tensor(float(asked()), device=team.device)
    team.add_up([votes])
    return bool(votes > 0)


@contextmanager
def _own_random_numbers(device):
    """The user's random numbers go on after the block as if it had drawn none."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


@dataclass(eq=False)
class _Loop:
    """Goes through a run, and writes what ``train`` was asked to; the paths are None elsewhere.

    Members
    -------
    heard : whether anybody reads the metrics of each epoch; those of the last one are taken anyway
    """

    run: RunState
    metrics: Metrics
    mark: dict
    checkpoint: Path | None
    progress: Progress | None
    save_seconds: float
    heard: bool

    def go(self, stops: Callable[[], bool], path: Path | None) -> Measured | None:
        """Run all steps that are left; returns the last line of the metrics.

        Parameters
        ----------
        stops : whether the run should be saved and stop after the step that was just made
        path : of the checkpoint, also in processes that write none
        """
        run, last = self.run, None
        looked = saved = time.perf_counter()
        images = 0
        while run.step < run.steps:
            run.update()
            images += self.run.task.batches.size
            # The last step may be inside an epoch, where `steps` says so.
            ends = run.step % run.epoch_steps == 0 or run.step == run.steps
            late = self.checkpoint and time.perf_counter() - saved >= self.save_seconds
            # After the last step there is nothing left to stop.
            stop = stops() and run.step < run.steps
            if ends or late or stop or run.step % LOOK_STEPS == 0:
                loss = run.window.look(run.step)
                now = time.perf_counter()
                run.tally.seconds += now - looked
                last = self._measured(loss, images / (now - looked), ends)
                self.metrics.write(last)
                # Taken again after the look, whose own time and that of the test images is not
                # training's.
                looked, images = time.perf_counter(), 0
            if (ends or late or stop) and self.checkpoint is not None:
                checkpoints.save(run.state(self.mark), self.checkpoint)
                looked = saved = time.perf_counter()
            if self.progress is not None:
                self.progress(run.step, run.steps)
            if stop:
                raise Interrupted(
                    f"stopped after {run.step} of {run.steps} steps, which {path} has"
                )
        return last

    def _tests(self):
        # Of a small data set epochs are short, and its test images may take longer than they do.
        return self.heard or self.run.step == self.run.steps

    def _measured(self, loss, speed, ends) -> Measured:
        run = self.run
        line = Measured(
            step=run.step,
            epoch=run.step // run.epoch_steps,
            loss=loss,
            train_accuracy=run.train_accuracy(),
            test=run.test_measures() if ends and self._tests() else {},
            rate=rate_at(run.recipe, run.step - 1, run.steps),
            seconds=run.tally.seconds,
            images_per_second=speed,
        )
        if ends:
            # Training accuracy is of one epoch; it would trail behind if it were of the whole run.
            run.tally.right = run.tally.seen = 0
        return line
