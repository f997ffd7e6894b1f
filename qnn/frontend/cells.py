"""Recurrent cells: what one step of a GRU, LSTM or plain RNN computes, as PyTorch defines it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from qnn.frontend.one_step import OneStep, Term


@dataclass(frozen=True)
class CellWeights:
    """The parameters of one layer in one direction; those of its gates lie one after the other.

    Members
    -------
    of_input, of_state : (gates * hidden, inputs) and (gates * hidden, state)
    input_bias, state_bias : (gates * hidden,), or None
    projection : (state, hidden), what a state is made smaller by, or None
    """

    of_input: Tensor
    of_state: Tensor
    input_bias: Tensor | None = None
    state_bias: Tensor | None = None
    projection: Tensor | None = None


@dataclass(frozen=True)
class RecurrentCell:
    """One kind of cell.

    Members
    -------
    gates : their names, in the order of the weights
    step : gives the new states, of which the first is the cell's output
    apart : the gate whose bias of the state is multiplied and cannot join that of the input
    states : how many it keeps
    """

    gates: tuple[str, ...]
    step: Callable[[OneStep, Sequence[Term], Sequence[Term], CellWeights], tuple[Term, ...]]
    apart: str | None = None
    states: int = 1

    def of_gates(self, weights: CellWeights) -> list[tuple[str, Tensor, Tensor | None]]:
        """Name, weight and bias of each gate's part that reads the input."""
        count = len(self.gates)
        own = _parts(weights.input_bias, count)
        others = _parts(weights.state_bias, count)
        # Added once for all steps, where nothing multiplies the one of the state alone.
        biases = [
            bias if other is None or name == self.apart else other if bias is None else bias + other
            for name, bias, other in zip(self.gates, own, others, strict=True)
        ]
        return list(zip(self.gates, weights.of_input.chunk(count), biases, strict=True))


def _gru(step, inputs, states, weights):
    (h,) = states
    of_reset, of_update, of_new = weights.of_state.chunk(3)
    reset = _gate(step, "reset", "sigmoid", inputs[0], h, of_reset)
    update = _gate(step, "update", "sigmoid", inputs[1], h, of_update)
    kept = step.linear("new.state", h, of_new, _parts(weights.state_bias, 3)[2])
    kept = step.product("new.kept", reset, kept)
    new = step.activated("new", "tanh", step.sum("new.sum", inputs[2], kept))
    change = step.product("change", update, step.difference("old", h, new))
    return (step.sum("output", new, change),)


def _lstm(step, inputs, states, weights):
    h, c = states
    kinds = (("input", "sigmoid"), ("forget", "sigmoid"), ("cell", "tanh"), ("output", "sigmoid"))
    entering, forget, cell, leaving = (
        _gate(step, name, kind, x, h, weight)
        for (name, kind), x, weight in zip(kinds, inputs, weights.of_state.chunk(4), strict=True)
    )
    kept = step.product("kept", forget, c)
    c = step.sum("memory", kept, step.product("entering", entering, cell))
    h = step.product("result", leaving, step.activated("bounded", "tanh", c))
    if weights.projection is not None:
        h = step.linear("projection", h, weights.projection)
    return h, c


def _plain(kind):
    def step_(step, inputs, states, weights):
        return (_gate(step, "output", kind, inputs[0], states[0], weights.of_state),)

    return step_


def _gate(step, name, kind, x, h, weight):
    """An activation of what the input and the state give a gate."""
    of_state = step.linear(f"{name}.state", h, weight)
    return step.activated(name, kind, step.sum(f"{name}.sum", x, of_state))


def _parts(bias, count):
    return [None] * count if bias is None else bias.chunk(count)


CELLS: Mapping[str, RecurrentCell] = MappingProxyType(
    {
        "gru": RecurrentCell(gates=("reset", "update", "new"), step=_gru, apart="new"),
        "lstm": RecurrentCell(gates=("input", "forget", "cell", "output"), step=_lstm, states=2),
        "rnn_tanh": RecurrentCell(gates=("output",), step=_plain("tanh")),
        "rnn_relu": RecurrentCell(gates=("output",), step=_plain("relu")),
    }
)
