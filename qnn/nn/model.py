"""A quantized network: a torch module whose results in evaluation are integers, exactly."""

from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.host.results import nested_as
from qnn.ir.shape import joined, laid_out, to_blocks, user_shape, usual_axes
from qnn.nn.exact import exact
from qnn.nn.input_layer import QuantInput
from qnn.nn.layer_plans import type_of
from qnn.nn.layers import LAYERS
from qnn.nn.plan import Plan
from qnn.quant.qtype import QType


class QuantizedModel(nn.Module):
    """The network that ``plan`` lays out; its numbers come from ``load_state_dict``.

    ``forward`` takes what the float model takes, ``from_pixels`` 8-bit pixels. In evaluation
    every tensor equals ``q * 2**-exponent`` for the integers q of the exported graph.
    """

    def __init__(self, plan: Plan):
        super().__init__()
        self.plan = plan
        self.layers = nn.ModuleDict(
            {_key(layer.name): LAYERS[type(layer)](layer) for layer in plan.layers}
        )
        self._bind()

    def _bind(self):
        """Give each convolution the range of its operands, which their plans fix."""
        reach = {}
        for layer in self.plan.layers:
            if layer.selects:
                reach[layer.name] = max(reach[name] for name in layer.inputs)
            else:
                # Whatever the exponent is, which may not be known yet.
                reach[layer.name] = type_of(layer).reach
        for layer in self.plan.convs:
            module = self.layer(layer.name)
            module.input_reach = reach[layer.inputs[0]]
            module.skip_reach = reach[layer.inputs[-1]] if len(layer.inputs) == 2 else 0

    def __repr__(self) -> str:
        # In one line; `print(model.layers)` has each layer, as torch shows it.
        bits = sorted({layer.weight_bits for layer in self.plan.learned})
        widths = ", ".join(map(str, bits)) or "no"
        return f"<QuantizedModel: {len(self.plan.layers)} layers, {widths}-bit weights>"

    def layer(self, name: str) -> nn.Module:
        """The layer that computes the tensor ``name``."""
        return self.layers[_key(name)]

    @property
    def inputs(self) -> tuple[QuantInput, ...]:
        """The layers that take what the user gives, in order."""
        return tuple(self.layer(plan.name) for plan in self.plan.network_inputs)

    def type(self, name: str) -> QType:
        """The type of the tensor ``name``."""
        module = self.layer(name)
        while module.plan.selects:
            module = self.layer(module.plan.inputs[0])
        return module.type

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the float model gives, on the grid: a tensor, or a tuple if there are several.

        Where the float model gives a dictionary or a named tuple, so does this: ``found["out"]``
        and ``found.out``, see ``qnn.host.named``. In training, gradients go through what the host
        computes, also through a last softmax or log-softmax; in the place of an argmax, which has
        none, there are its scores.
        """
        return self._results(self._run(self._encode(inputs, [False] * len(inputs))))

    def unfinished(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The scores of what ``forward`` gives, of 8-bit pixels or reals.

        Such are what a softmax or an argmax is computed of, the images' axis first.
        """
        return self._scores(self._run(self._encode(inputs, _are_pixels(inputs))))

    def finished_and_unfinished(self, *inputs: Tensor) -> tuple[Any, tuple[Tensor, ...]]:
        """What ``forward`` and ``unfinished`` give, of one run."""
        values = self._run(self._encode(inputs, _are_pixels(inputs)))
        return self._results(values), self._scores(values)

    def from_pixels(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """``forward`` of 8-bit pixels, (batch, channels, height, width) uint8.

        Of several inputs, those that were quantized without mean and std get reals here too.
        """
        tables = [source.table is not None for source in self.inputs]
        pixels = tables if any(tables) else [True] * len(inputs)
        return self._results(self._run(self._encode(inputs, pixels)))

    @torch.no_grad()
    def tensors(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Integers of every tensor, int64 (batch, channels, ...), of 8-bit pixels or reals."""
        values = self._run(self._encode(inputs, _are_pixels(inputs)), keep=True)
        return {name: value.to(torch.int64) for name, value in values.items()}

    def _encode(self, inputs, pixels):
        """Integers of each input, by name; ``pixels`` tells which are 8-bit pixels."""
        sources = self.inputs
        if len(inputs) != len(sources):
            names = ", ".join(f"'{source.plan.name}'" for source in sources)
            raise ModelError(
                f"model needs {len(sources)} inputs ({names}), not {len(inputs)}; give one tensor "
                f"for each"
            )
        each = zip(sources, inputs, pixels, strict=True)
        return {source.plan.name: _encoded(source, x, coded) for source, x, coded in each}

    def _run(self, values, keep=False):
        """Integers of the outputs, or of every tensor, as floats."""
        # Inputs are there already, encoded as the caller said.
        rest = [layer for layer in self.plan.layers if layer.name not in values]
        # The last reader of each tensor, behind which it can go: memory is that of the widest
        # place.
        last = {name: layer.name for layer in rest for name in layer.inputs}
        kept = {name for name, _ in self.plan.outputs}
        # Training may use TF32 and autocast, as its rounding is noise among others; evaluation may
        # not.
        with nullcontext() if self.training else exact():
            for layer in rest:
                values[layer.name] = self.layer(layer.name)(*(values[n] for n in layer.inputs))
                done = [n for n in set(layer.inputs) if last[n] == layer.name and n not in kept]
                for name in () if keep else done:
                    del values[name]
        return values

    def _results(self, values):
        tensors, host = self._tensors(values), self.plan.host
        if not self.training or host is None:
            return _evaluated(tensors, host)
        # By PyTorch's own functions, which have gradients; a class has none, and its scores have.
        wanted = [
            score if host.end_of(place)[0] == "argmax" else result
            for place, (result, score) in enumerate(zip(host.results, host.scores, strict=True))
        ]
        return host.nested(host.values(tensors, wanted, torch))

    def _scores(self, values):
        tensors, host = self._tensors(values), self.plan.host
        return tensors if host is None else tuple(host.values(tensors, host.scores, torch))

    def _tensors(self, values):
        parts = [
            laid_out(values[name] * self.type(name).scale, axes, shape)
            for name, shape, axes in self.plan.results
        ]
        return joined(parts, [axes for *_, axes in self.plan.results], torch.cat)


def _are_pixels(inputs):
    return [x.dtype == torch.uint8 for x in inputs]


def _evaluated(tensors, host):
    """What the user gets, by the same float64 computation as the driver's and the reference's."""
    if host is None:
        return nested_as(None, tensors)
    arrays = [tensor.detach().cpu().double().numpy() for tensor in tensors]
    found = zip(host.results, host.values(arrays, host.results), strict=True)
    # Copies: a step may give a view of what another one reads.
    return host.nested(
        [
            tensors[n]
            if n < len(tensors)
            else torch.from_numpy(np.array(each)).to(tensors[0].device)
            for n, each in found
        ]
    )


def _encoded(source, x, pixels):
    """Integers of one input's images or vectors."""
    plan = source.plan
    axes = plan.axes or usual_axes(plan.shape)
    given, x = tuple(x.shape), to_blocks(x, axes)
    if x.dim() != 4 or tuple(x.shape[1:]) != plan.shape:
        # A vector may come as an image of one pixel too, whose shape says more.
        wanted = plan.shape if axes == "C" else user_shape(plan.shape, axes)
        raise ModelError(
            f"input '{plan.name}' needs shape (batch, {', '.join(map(str, wanted))}), not "
            f"{given}; reshape the data"
        )
    _check_kind(source, x.dtype, pixels)
    return source.from_pixels(x) if pixels else source(x)


def _check_kind(source, dtype, pixels):
    name = f"input '{source.plan.name}'"
    if pixels and dtype != torch.uint8:
        raise ModelError(
            f"{name} takes 8-bit pixels here, not {dtype}; pass uint8, or call the model"
        )
    if pixels and source.table is None:
        raise ModelError(f"{name} takes reals, not 8-bit pixels; quantize with mean and std")
    if not pixels and dtype == torch.uint8:
        raise ModelError(f"{name} takes reals here, not 8-bit pixels; use from_pixels")
    if not pixels and not dtype.is_floating_point:
        raise ModelError(f"{name} takes reals here, as floats, not {dtype}; pass x.float()")


@cache
def _key(name):
    """A tensor's name as ``nn.ModuleDict`` takes it: no dots, and none of its own attributes."""
    key = name.replace(".", "/")
    # A layer called "items" or "keys" would hide the method of that name.
    return f"{key}/" if hasattr(nn.ModuleDict(), key) else key
