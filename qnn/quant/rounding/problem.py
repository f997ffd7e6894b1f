"""What a rounding method is given, and what it gives: a network, its grids, and data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.quant import pow2
from qnn.quant.by_terms import Terms
from qnn.tasks.kinds import TaskKind

Progress = Callable[[int, int, float], None]  # done, in all, share of weights already rounded


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """One layer's weights and their grid.

    Members
    -------
    w : (outputs, ...) float, BatchNorm folded
    exponent : (outputs,) integers
    bits, terms : the format, as in ``qnn.quant.pow2``; terms may differ by output channel
    """

    w: Tensor
    exponent: Tensor
    bits: int
    terms: Terms = 1

    def nearest(self) -> Tensor:
        """Signed indices of the nearest values, (terms, outputs, ...) int8."""
        return self.indices(self.w)

    def indices(self, values: Tensor) -> Tensor:
        """Signed indices of values on the grid, (terms, outputs, ...) int8."""
        return pow2.nearest(values, self.exponent, self.bits, self.terms)

    def values(self, indices: Tensor) -> Tensor:
        """Reals of signed indices, (outputs, ...) float64."""
        return pow2.values(indices, self.exponent, self.bits)


@dataclass(frozen=True, eq=False)
class Answers:
    """The results of a network for a batch, at its outputs and inside of it.

    Members
    -------
    outputs : its results
    inner : results inside of it, by the name of the module that gives them
    """

    outputs: tuple[Tensor, ...]
    inner: Mapping[str, Tensor] = field(default_factory=dict)


Batch = tuple[Tensor, ...]  # samples of each input of the network, (count, ...)
# Answers for a prepared batch, with the results of the modules of these names.
Teacher = Callable[[Batch, Sequence[str]], Answers]


@dataclass(frozen=True, eq=False)
class Problem:
    """A network to round, and the answers that it should keep.

    Members
    -------
    model : what runs; its own weights are not changed
    layers : grids of parameters of ``model``, by their dotted names
    teacher : the answers that a batch should have
    data : (count, ...), of which batches are drawn; of several inputs a tuple with one for each
    prepare : makes of what is drawn of ``data``, with a generator, what the network takes
    tuned : names of parameters that a method may learn beside the rounding
    scales : modules that can be compared inside, and what turns their results into the teacher's
    kinds : what each output is for; none: as far as its shape tells
    """

    model: nn.Module
    layers: Mapping[str, LayerWeights]
    teacher: Teacher | None = None
    data: Tensor | Batch | None = None
    prepare: Callable[[Any, torch.Generator], Any] | None = None
    tuned: tuple[str, ...] = ()
    scales: Mapping[str, float] = field(default_factory=dict)
    kinds: tuple[TaskKind, ...] = ()

    def __post_init__(self):
        # With duplicates: a tied weight has two names, and rounding one would round the other too.
        parameters = dict(self.model.named_parameters(remove_duplicate=False))
        for name in (*self.layers, *self.tuned):
            _check_parameter(name, parameters)
        for name, layer in self.layers.items():
            if not bool(torch.isfinite(layer.w).all()):
                raise ModelError(
                    f"rounding needs finite weights, but '{name}' holds NaN or infinity; check "
                    f"the checkpoint"
                )

    @property
    def inputs(self) -> Batch:
        """The data of each input; of a problem without any, none."""
        return () if self.data is None else as_batch(self.data)

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return len(self.inputs[0]) if self.inputs else 0

    @property
    def device(self) -> torch.device:
        """The device that the network is on."""
        return next(self.model.parameters()).device

    def given(self, name: str, indices: Tensor) -> Tensor:
        """A layer's weights at those indices, (outputs, ...) float32, where the network is."""
        return self.layers[name].values(indices).float().to(self.device)


@dataclass(frozen=True, eq=False)
class Rounded:
    """The codes, and the tuned parameters, that a method found.

    Members
    -------
    indices : of every layer, (terms, outputs, ...) int8
    tuned : new values of the parameters that the problem let it learn, if it did
    """

    indices: dict[str, Tensor]
    tuned: dict[str, Tensor] = field(default_factory=dict)


def as_batch(given: Tensor | Batch) -> Batch:
    """One tensor for each input, of what may be a single one."""
    return given if isinstance(given, tuple) else (given,)


def _check_parameter(name, parameters):
    if name not in parameters:
        raise ModelError(
            f"rounding needs a parameter '{name}', which the model has not; give names as "
            f"named_parameters lists them"
        )
    for other, parameter in parameters.items():
        if other != name and parameter is parameters[name]:
            raise ModelError(
                f"rounding needs weights of one layer, but '{name}' is also '{other}'; leave it "
                f"out or give each its own tensor"
            )
