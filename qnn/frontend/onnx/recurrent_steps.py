"""ONNX's recurrent layers that PyTorch has no call for, written out over their steps.

They have other functions than PyTorch's, or a reset gate before the product with the state, as
Keras's GRU with ``reset_after=False``, or limits, coupled gates and peepholes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall
from qnn.frontend.onnx.named import Function, named


@dataclass(frozen=True)
class OnnxCell:
    """One direction of a layer.

    Members
    -------
    functions : of the gates and of what they let through, in ONNX's order
    of_state : (gates * hidden, hidden), the weights of the state
    state_bias : (gates * hidden,), or None
    peepholes : (hidden,) for each gate that looks at an LSTM's memory, in ONNX's order; none or 3
    reset_first : whether a GRU's reset gate multiplies the state and not the product with it
    coupled : whether an LSTM forgets as much as it does not take in
    limit : what gates are cut off at before their functions, or None
    """

    functions: Sequence[Function]
    of_state: Tensor
    state_bias: Tensor | None = None
    peepholes: Sequence[Tensor] = ()
    reset_first: bool = False
    coupled: bool = False
    limit: float | None = None

    def gate(self, number: int, x: Tensor) -> Tensor:
        """A function of what is given to a gate."""
        return self.functions[number](torch.clamp(x, -self.limit, self.limit) if self.limit else x)


def names_of(call: OnnxCall, usual: Sequence[str]) -> list[str]:
    """The names of a layer's functions, in ONNX's order; ``usual`` where it has none."""
    names = call.attribute("activations", usual)
    return [
        str(each.decode(errors="replace") if isinstance(each, bytes) else each) for each in names
    ]


def functions_of(call: OnnxCall, usual: Sequence[str]) -> list[Function]:
    """The functions of a layer, in ONNX's order, with its constants."""
    names = names_of(call, usual)
    call.require(len(names) == len(usual), f"{len(usual)} functions", f"{len(names)}", "name each")
    given = {name: iter(call.attribute(f"activation_{name}", [])) for name in ("alpha", "beta")}
    # A function takes the next constants of the list, if it has any.
    return [named(call, name, given) for name in names]


def walk(
    kind: str, cell: OnnxCell, inputs: Tensor, states: Sequence[Tensor | None]
) -> tuple[Tensor, list[Tensor]]:
    """All steps' outputs (steps, batch, hidden), and the last states (batch, hidden).

    Parameters
    ----------
    kind : LSTM, GRU or RNN
    inputs : (steps, batch, gates * hidden), what the input gives the gates, its bias added
    states : (batch, hidden), those that the layer begins with; None for zeros
    """
    step, outputs, last = _STEPS[kind], [], list(states)
    for one in inputs.unbind(0):
        last = step(cell, one, last)
        outputs.append(last[0])
    return torch.stack(outputs), last


def _rnn(cell, x, states):
    (h,) = states
    return [cell.gate(0, x + _linear(h, cell.of_state, cell.state_bias))]


def _gru(cell, x, states):
    (h,) = states
    hidden = cell.of_state.shape[-1]
    weights = cell.of_state.split(hidden)
    biases = [None] * 3 if cell.state_bias is None else cell.state_bias.split(hidden)
    of_update, of_reset, of_new = x.split(hidden, -1)
    update = cell.gate(0, of_update + _linear(h, weights[0], biases[0]))
    reset = cell.gate(0, of_reset + _linear(h, weights[1], biases[1]))
    if cell.reset_first:
        kept = _linear(None if h is None else reset * h, weights[2], biases[2])
    else:
        kept = reset * _linear(h, weights[2], biases[2])
    new = cell.gate(1, of_new + kept)
    return [new - update * new if h is None else new + update * (h - new)]


def _lstm(cell, x, states):
    h, c = states
    given = x + _linear(h, cell.of_state, cell.state_bias)
    entering, leaving, forget, new = given.split(cell.of_state.shape[-1], -1)
    if cell.peepholes and c is not None:
        # Of what the memory was; what leaves looks at what it is now.
        entering, forget = entering + cell.peepholes[0] * c, forget + cell.peepholes[2] * c
    entering = cell.gate(0, entering)
    forget = 1 - entering if cell.coupled else cell.gate(0, forget)
    new = entering * cell.gate(1, new)
    c = new if c is None else forget * c + new
    if cell.peepholes:
        leaving = leaving + cell.peepholes[1] * c
    # The memory is not cut off, as onnxruntime has it.
    return [cell.gate(0, leaving) * cell.functions[2](c), c]


def _linear(state, weight, bias):
    """What a state gives a gate; a state of zeros gives the bias alone."""
    if state is None:
        return 0.0 if bias is None else bias
    return F.linear(state, weight, bias)


_STEPS = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}
