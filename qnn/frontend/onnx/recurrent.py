"""ONNX's recurrent layers in PyTorch's words: gates in another order, and axes too."""

from collections.abc import Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.aten.recurrent import MOST_STEPS
from qnn.frontend.onnx.call import OnnxCall, Reader
from qnn.frontend.onnx.recurrent_steps import OnnxCell, functions_of, names_of, walk

# Which of ONNX's gates each of PyTorch's is.
GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
CURE = "export the model again"
SHORTER = "give it a shorter sequence"
RUN = {"LSTM": torch.lstm, "GRU": torch.gru, "RNN": torch.rnn_tanh}


def layer(call: OnnxCall, kind: str) -> tuple[Tensor, ...]:
    """All steps' outputs (steps, directions, batch, hidden), and the last states."""
    backwards = call.attribute("direction", "forward") == "reverse"
    # With a layout of 1 images lie before steps and before directions.
    images_first = bool(call.attribute("layout", 0))
    x = call[0].transpose(0, 1) if images_first else call[0]
    x = x.flip(0) if backwards else x
    _check_lengths(call, x.shape[0])
    hidden = call.attribute("hidden_size")
    call.require(bool(hidden) and hidden > 0, "a hidden_size", f"{hidden}", CURE)
    given = [call.tensor(n) for n in ((5, 6) if kind == "LSTM" else (5,))]
    given = [each.transpose(0, 1) if images_first and each is not None else each for each in given]
    _check_shapes(call, kind, x, given)
    found, *last = (_stepped if _is_odd(call, kind) else _at_once)(call, kind, x, given)
    found = found.flip(0) if backwards else found
    if images_first:
        return found.permute(2, 0, 1, 3), *(each.transpose(0, 1) for each in last)
    return found, *last


def _is_odd(call, kind):
    """Whether PyTorch has no call for it."""
    usual = USUAL[kind] * call[1].shape[0]
    return (
        (kind == "GRU" and not call.attribute("linear_before_reset", 0))
        or bool(call.attribute("clip") or call.attribute("input_forget"))
        or names_of(call, usual) != usual
        or call.tensor(7) is not None
    )


def _at_once(call, kind, x, states):
    """PyTorch's own layer: outputs (steps, directions, batch, hidden), and the last states."""
    directions, hidden = call[1].shape[0], call.attribute("hidden_size")
    zeros = torch.zeros(directions, x.shape[1], hidden, device=x.device)
    states = [zeros if state is None else state for state in states]
    params = [each for n in range(directions) for each in _weights(call, kind, n, hidden)]
    # One layer, no dropout, not in training; steps before images, as ONNX has them.
    biased = call.tensor(3) is not None
    options = (biased, 1, 0.0, False, directions == 2, False)
    found, *last = RUN[kind](x, states if kind == "LSTM" else states[0], params, *options)
    return found.unflatten(-1, (directions, hidden)).transpose(1, 2), *last


def _stepped(call, kind, x, states):
    """The same, each step and direction for itself."""
    directions = call[1].shape[0]
    call.require(len(x) <= MOST_STEPS, f"at most {MOST_STEPS} steps", f"{len(x)}", SHORTER)
    functions = functions_of(call, USUAL[kind] * directions)
    each = len(USUAL[kind])
    outputs, lasts = [], []
    for n in range(directions):
        biases = call.tensor(3)
        bias, state_bias = (None, None) if biases is None else biases[n].chunk(2)
        cell = OnnxCell(
            functions=functions[n * each : (n + 1) * each],
            of_state=call[2][n],
            state_bias=state_bias,
            peepholes=() if call.tensor(7) is None else call[7][n].chunk(3),
            reset_first=not call.attribute("linear_before_reset", 0),
            coupled=bool(call.attribute("input_forget", 0)),
            limit=call.attribute("clip"),
        )
        inputs = F.linear(x.flip(0) if n else x, call[1][n], bias)
        found, last = walk(kind, cell, inputs, [s if s is None else s[n] for s in states])
        outputs.append(found.flip(0) if n else found)
        lasts.append(last)
    return torch.stack(outputs, 1), *(torch.stack(each) for each in zip(*lasts, strict=True))


def _check_shapes(call, kind, x, states):
    """PyTorch's own layers look at no shape, and read and write beyond what is too short."""
    hidden, gates = call.attribute("hidden_size"), len(GATES[kind])
    directions = 2 if call.attribute("direction", "forward") == "bidirectional" else 1
    call.require(x.dim() == 3, "operands (steps, images, values)", f"{tuple(x.shape)}", CURE)
    wanted = {
        1: (directions, gates * hidden, x.shape[2]),
        2: (directions, gates * hidden, hidden),
        3: (directions, 2 * gates * hidden),
        7: (directions, 3 * hidden),
    }
    found = {place: call.tensor(place) for place in wanted}
    pairs = [(found[n], shape) for n, shape in wanted.items() if n < 3 or found[n] is not None]
    pairs += [(s, (directions, x.shape[1], hidden)) for s in states if s is not None]
    for tensor, shape in pairs:
        call.require(tuple(tensor.shape) == shape, f"{shape}", f"{tuple(tensor.shape)}", CURE)


def _check_lengths(call, steps):
    # A shorter one would end in zeros, and its state would be that of an earlier step.
    lengths = call.ints(4)
    call.require(
        lengths is None or set(lengths) == {steps},
        f"sequences of all {steps} steps",
        f"the lengths {lengths}",
        "leave them out",
    )


def _weights(call, kind, direction, hidden):
    """Of one direction: of the input, of the state, and the two biases."""
    biases = call.tensor(3)
    found = [call[1][direction], call[2][direction]]
    if biases is not None:
        found += biases[direction].unflatten(0, (2, -1)).unbind(0)
    return [_ordered(each, kind, hidden) for each in found]


def _ordered(weights, kind, hidden):
    # Gates lie below one another, each of as many rows as there are hidden values.
    parts = weights.split(hidden)
    return torch.cat([parts[n] for n in GATES[kind]])


OPERATORS: Mapping[str, Reader] = {kind: partial(layer, kind=kind) for kind in GATES}
