"""Weights of trained networks put on their grids: of any module, and of a quantized one."""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from qnn.errors import ModelError, QnnWarning
from qnn.nn import learn
from qnn.nn.memory_format import channels_last
from qnn.nn.model import QuantizedModel
from qnn.nn.scales import sums_limit, sums_reach
from qnn.quant.by_terms import Terms
from qnn.quant.rounding import (
    Answers,
    Batch,
    Checkpoint,
    LayerWeights,
    Problem,
    Progress,
    Teacher,
    rounding,
)
from qnn.quant.rounding.distillation import module_teacher
from qnn.quant.search_exponent import search_exponent
from qnn.tasks.kinds import TaskKind

Augment = Callable[[Any, torch.Generator], Any]


@torch.no_grad()
def round_module(
    module: nn.Module,
    names: Sequence[str],
    data: Tensor | Batch | None = None,
    method: str = "discquant",
    weight_bits: int = 3,
    terms: int | Mapping[str, Terms] = 1,
    *,
    options: Mapping[str, Any] | object | None = None,
    tuned: Sequence[str] = (),
    inner: Sequence[str] = (),
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> nn.Module:
    """A copy of ``module``, in evaluation mode, whose named weights are on power-of-two grids.

    Each row of a weight (its first dimension) has its own exponent, of least squared error.

    Parameters
    ----------
    names : of the parameters to round, as ``named_parameters`` lists them
    data : (count, ...) what ``module`` takes, of several inputs a tuple; "nearest" needs none
    terms : of all weights, or of each by its name, also row by row:
        ``qnn.nn.module_terms.choose_module_terms`` finds them for a mean
    options : of the method; see ``qnn.quant.rounding``
    tuned : parameters that the method may learn too, if its options say so
    inner : modules inside whose results the method may compare

    Raises
    ------
    ModelError
        A name is no parameter, a shared one, or of a layer that the method cannot take; or
        weights that a method learns are not float32.
    ValueError
        A method, format or option that does not exist.
    """
    chosen = rounding(method)
    settings = chosen.choose(options)
    # Its own weights stay float until all are rounded: the same module is its teacher.
    result = copy.deepcopy(module).eval().requires_grad_(False)
    parameters = dict(result.named_parameters(remove_duplicate=False))
    absent = torch.zeros(1)  # the problem refuses a name that is no parameter
    given = dict.fromkeys(names, terms) if isinstance(terms, int) else terms
    _check_terms(given, names, parameters)
    layers = {
        name: _on_grid(parameters.get(name, absent), weight_bits, given[name]) for name in names
    }
    scales = dict.fromkeys(inner, 1.0)
    teacher = module_teacher(result)
    problem = Problem(result, layers, teacher, data, tuned=tuple(tuned), scales=scales)
    if method != "nearest":
        _check_learnable(method, layers)
    found = chosen.run(problem, settings, progress, checkpoint)
    for name, layer in layers.items():
        parameters[name].copy_(layer.values(found.indices[name]))
    for name, value in found.tuned.items():
        parameters[name].copy_(value)
    return result


def _check_terms(terms, names, parameters):
    for name in names:
        if name not in terms:
            raise ModelError(f"round_module needs terms of '{name}', but has those of {[*terms]}")
        # A name that is no parameter is the problem's to refuse.
        rows = len(parameters[name]) if name in parameters else None
        if rows is not None and not isinstance(terms[name], int) and len(terms[name]) != rows:
            raise ModelError(
                f"round_module needs terms of each of the {rows} rows of '{name}', or one number, "
                f"not {len(terms[name])}"
            )


def _check_learnable(method, layers):
    if not layers:
        raise ModelError(f"{method} needs names of parameters to round, but got none")
    for name, layer in layers.items():
        if layer.w.dtype != torch.float32:
            raise ModelError(
                f"{method} needs float32 weights, but '{name}' is of {layer.w.dtype}; give the "
                f"module's .float()"
            )


def _on_grid(weight, bits, terms):
    weight = weight.detach().cpu()  # grids live there, wherever the network is
    return LayerWeights(weight, search_exponent(weight, bits, terms), bits, terms)


@dataclass(frozen=True, eq=False)
class Source:
    """A teacher and data, from which a rounding method learns.

    Members
    -------
    teacher : answers of the float network; results inside by the layers' names
    data : (count, ...) of each input, pixels or reals, as the quantized network takes them
    augment : changes what is drawn of them, a tensor or of several inputs a tuple, with a generator
    kinds : what each output is for; none: as far as its shape tells
    """

    teacher: Teacher
    data: Batch
    augment: Augment | None = None
    kinds: tuple[TaskKind, ...] = ()


@torch.no_grad()
def round_quantized(
    quantized: QuantizedModel,
    source: Source,
    options: Mapping[str, Any] | object | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    device: torch.device | str = "cpu",
    *,
    method: str | None = None,
) -> None:
    """Choose the codes of every layer that learns, in place.

    Activations are quantized while the method looks for codes: it sees what evaluation sees.

    Parameters
    ----------
    method : of ``qnn.quant.rounding.ROUNDINGS``; None: the one that the plan names

    Raises
    ------
    ModelError
        The method cannot take the model or its data, or the sums outgrow the accumulator.
    ValueError
        The method has no such options.
    """
    chosen = rounding(method or quantized.plan.rounding)
    settings = chosen.choose(options)
    if not any(learn.learnable(quantized)):
        return
    entry = _Entry(learn.folded_copy(quantized)).requires_grad_(False).to(device)
    # The CPU's convolutions are faster in it.
    entry.to(memory_format=torch.channels_last)
    keys = {name: _key(entry, conv) for name, conv in learn.learnable(entry.quantized)}
    layers = {
        f"{key}.weight": LayerWeights(
            conv.folded()[0],
            conv.weight_exponent,
            conv.plan.weight_bits,
            conv.plan.grid_terms,
        )
        for (name, conv), key in zip(learn.learnable(quantized), keys.values(), strict=True)
    }
    problem = Problem(
        entry,
        layers,
        _renamed(source.teacher, keys),
        source.data if len(source.data) > 1 else source.data[0],
        source.augment,
        tuple(
            f"{key}.bias"
            for name, key in keys.items()
            if entry.quantized.layer(name).bias is not None
        ),
        {key: quantized.type(name).scale for name, key in keys.items()},
        source.kinds,
    )
    found = chosen.run(problem, settings, progress, checkpoint)
    for name, key in keys.items():
        conv = quantized.layer(name)
        bias = found.tuned.get(f"{key}.bias")
        if bias is not None:
            # The method learnt the folded bias; the difference goes where the layer keeps it.
            conv.add_bias(bias.cpu() - conv.folded_bias())
        _set_codes(name, conv, found.indices[f"{key}.weight"])
    learn.finish(quantized)


def _set_codes(name, conv, indices):
    """Choose the codes that a method found, but for channels whose sums they do not fit.

    Exponents and the epilogue are those of the nearest codes, which fit: whoever moves weights
    together can go beyond them.
    """
    nearest = conv.indices()
    conv.set_codes(indices, conv.weight_exponent)
    over = sums_reach(conv, conv.indices()) >= sums_limit(conv)
    count = int(over.sum())
    if count:
        kept = torch.where(over[:, None, None, None], nearest, indices.to(nearest.device))
        conv.set_codes(kept, conv.weight_exponent)
        text = (
            f"layer '{name}': {count} of {len(over)} channels keep the nearest weights, as sums of "
            f"those that rounding chose would outgrow the accumulator; narrower activations or "
            f"fewer terms leave more room"
        )
        warnings.warn(text, QnnWarning, stacklevel=2)


class _Entry(nn.Module):
    """A quantized network that takes pixels and reals alike, with a way to each layer's name."""

    def __init__(self, quantized):
        super().__init__()
        self.quantized = quantized

    def forward(self, *inputs):
        # Scores, as the teacher's answers are.
        return self.quantized.unfinished(*map(channels_last, inputs))


def _key(entry, conv):
    return next(name for name, module in entry.named_modules() if module is conv)


def _renamed(teacher, keys):
    """The teacher's results inside by the names of ``_Entry``'s modules."""
    names = {key: name for name, key in keys.items()}

    def answers(x, inner):
        wanted = teacher(x, [names[key] for key in inner])
        return Answers(wanted.outputs, {key: wanted.inner[names[key]] for key in inner})

    return answers
