"""The model in training: a copy of the user's, which stays as it was until all has gone well."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from qnn.errors import ModelError
from qnn.nn import learn
from qnn.nn.ghost import ghosts
from qnn.nn.model import QuantizedModel
from qnn.nn.training.recipe import Recipe
from qnn.nn.training.watch import Diverged


@dataclass(frozen=True, eq=False)
class ImageReader:
    """Calls a model on images as they are stored.

    Members
    -------
    table : (channels, 256) float32, what 8-bit pixels mean to a float model; None: it takes reals
    """

    table: Tensor | None

    def __call__(self, model: nn.Module, x: Tensor) -> Tensor:
        """Logits of pixels, uint8, or of reals."""
        if x.dtype == torch.uint8 and isinstance(model, QuantizedModel):
            return model.from_pixels(x)
        return model(self.reals(x))

    def reals(self, x: Tensor) -> Tensor:
        """What a float model takes of pixels, uint8, or of reals."""
        if x.dtype != torch.uint8:
            return x
        if self.table is None:
            raise ModelError(
                "train needs mean and std to give 8-bit pixels to a float model; give both, or "
                "images as the model takes them"
            )
        channels = torch.arange(len(self.table), device=x.device)
        channels = channels.reshape(-1, *[1] * (x.dim() - 2))
        return self.table[channels, x.int()]


class Student:
    """A float module in training.

    Parameters
    ----------
    model : copied
    """

    # Share of training with moving statistics, if the recipe does not say. With means that stood
    # still in the last tenth, while weights went on to other codes, the answers of a ResNet-8 from
    # nearest weights of 2 bits ended farther from float's: 0.101 in place of 0.075.
    freezes_at = 1.0
    on_grid = False  # whether weights are in units of their grid

    def __init__(self, model: nn.Module, recipe: Recipe, device: torch.device):
        self.recipe = recipe
        self.module = copy.deepcopy(model).to(device)
        self.frozen: bool | None = None
        at = recipe.freeze_statistics_at
        self.freezes_at = self.freezes_at if at is None else at
        self.prepare()

    def prepare(self) -> None:
        """Put the model into training mode and into the recipe's memory format."""
        self.module.train()
        if self.recipe.channels_last:
            _to_channels_last(self.module)

    def running(self):
        """The context manager inside which a training run takes its steps."""
        return ghosts(self.module, self.recipe.ghost_batch)

    def before_step(self, progress: float, seed: Callable[[], int]) -> None:
        """Tell the module how far training is, 0 to 1; ``seed`` gives that of this step."""
        frozen = progress >= self.freezes_at
        if frozen != self.frozen:
            self.freeze(frozen)
            self.frozen = frozen

    def freeze(self, frozen: bool) -> None:
        """Let BatchNorm keep its statistics, or move them."""
        for module in self.module.modules():
            if isinstance(module, _BatchNorm):
                module.train(not frozen)

    def statistics(self) -> list[Tensor]:
        """The buffers that BatchNorm moves: running means and variances."""
        layers = [m for m in self.module.modules() if isinstance(m, _BatchNorm)]
        pairs = ((m.running_mean, m.running_var) for m in layers if m.track_running_stats)
        return [buffer for pair in pairs for buffer in pair]

    def averaged(self) -> dict[str, Tensor]:
        """What an average of the weights averages: parameters and moving statistics, by name."""
        # By address, as statistics are given without their names.
        moving = {buffer.data_ptr() for buffer in self.statistics()}
        buffers = self.module.named_buffers()
        return {name: p.detach() for name, p in self.module.named_parameters()} | {
            name: buffer for name, buffer in buffers if buffer.data_ptr() in moving
        }

    def finished(self, average: dict[str, Tensor] | None) -> nn.Module:
        """A model for evaluation, with averaged values where they are given."""
        result = copy.deepcopy(self.module)
        if average is not None:
            result.load_state_dict(average, strict=False)
        return self.settled(result)

    def settled(self, module: nn.Module) -> nn.Module:
        """``module`` as it is evaluated and kept."""
        return module.eval()


class QuantizedStudent(Student):
    """A quantized model in training, whose weights stay on their grid in every forward pass."""

    on_grid = True

    def prepare(self) -> None:
        """Attach an estimator to each layer that learns."""
        learn.prepare(
            self.module,
            self.recipe.method,
            learn_exponents=self.recipe.learn_exponents,
            **self.recipe.options,
        )
        for _, conv in learn.learnable(self.module):
            conv.ghost_batch = self.recipe.ghost_batch

    def before_step(self, progress: float, seed: Callable[[], int]) -> None:
        """Do what every student does, and move the estimators on."""
        super().before_step(progress, seed)
        learn.advance(self.module, progress, seed())

    def freeze(self, frozen: bool) -> None:
        """Let BatchNorm keep its statistics, or move them."""
        for _, conv in learn.learnable(self.module):
            conv.statistics = "frozen" if frozen else "batch"

    def statistics(self) -> list[Tensor]:
        """The running means, which are all that BatchNorm moves on the grid."""
        convs = (conv for _, conv in learn.learnable(self.module))
        return [conv.mean for conv in convs if conv.plan.eps is not None]

    def settled(self, module: QuantizedModel) -> QuantizedModel:
        """``module`` with what it learnt in its weights and exponents.

        Raises
        ------
        Diverged
            What it learnt is not finite, or its sums do not fit.
        """
        try:
            learn.finish(module)
        except ModelError as error:
            raise Diverged(f"{error}; the model stays as it was") from None
        return module


def student_of(model: nn.Module, recipe: Recipe, device: torch.device) -> Student:
    """The student for this kind of model."""
    kind = QuantizedStudent if isinstance(model, QuantizedModel) else Student
    return kind(model, recipe, device)


def _to_channels_last(module):
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
