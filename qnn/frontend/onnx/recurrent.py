"""ONNX's recurrent layers in PyTorch's words: gates in another order, and axes too."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader

# Which of ONNX's gates each of PyTorch's is.
GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
CURE = "export the model again"
RUN = {"LSTM": torch.lstm, "GRU": torch.gru, "RNN": torch.rnn_tanh}


def layer(call: OnnxCall, kind: str) -> tuple[Tensor, ...]:
    """All steps' outputs (steps, directions, batch, hidden), and the last states."""
    directions = call[1].shape[0]
    backwards = call.attribute("direction", "forward") == "reverse"
    _check(call, kind, directions)
    # With a layout of 1 images lie before steps and before directions.
    images_first = bool(call.attribute("layout", 0))
    x = call[0].transpose(0, 1) if images_first else call[0]
    x = x.flip(0) if backwards else x
    _check_lengths(call, x.shape[0])
    hidden, batch = call.attribute("hidden_size"), x.shape[1]
    call.require(bool(hidden) and hidden > 0, "a hidden_size", f"{hidden}", CURE)
    given = [call.tensor(n) for n in ((5, 6) if kind == "LSTM" else (5,))]
    given = [
        torch.zeros(directions, batch, hidden, device=x.device)
        if each is None
        else each.transpose(0, 1)
        if images_first
        else each
        for each in given
    ]
    _check_shapes(call, kind, x, given)
    params = [each for n in range(directions) for each in _weights(call, kind, n, hidden)]
    states = given if kind == "LSTM" else given[0]
    # One layer, no dropout, not in training; steps before images, as ONNX has them.
    biased = call.tensor(3) is not None
    options = (biased, 1, 0.0, False, directions == 2, False)
    found, *last = RUN[kind](x, states, params, *options)
    found = found.unflatten(-1, (directions, hidden)).transpose(1, 2)
    found = found.flip(0) if backwards else found
    if images_first:
        return found.permute(2, 0, 1, 3), *(each.transpose(0, 1) for each in last)
    return found, *last


def _check(call, kind, directions):
    usual = USUAL[kind] * directions
    given = call.attribute("activations", usual)
    call.require(
        [str(each.decode() if isinstance(each, bytes) else each) for each in given] == usual,
        f"the functions {', '.join(USUAL[kind])}",
        "others",
        "train it with those",
    )
    call.require(
        call.tensor(7) is None
        and not call.attribute("clip")
        and not call.attribute("input_forget"),
        "no peepholes, no clip and no coupled gates",
        "some",
        "train it without",
    )
    call.require(
        kind != "GRU" or bool(call.attribute("linear_before_reset", 0)),
        "linear_before_reset=1, as PyTorch's GRU has it",
        "0",
        "train it with reset_after=True",
    )


def _check_shapes(call, kind, x, states):
    """PyTorch's own layers look at no shape, and read and write beyond what is too short."""
    hidden, gates = call.attribute("hidden_size"), len(GATES[kind])
    directions = 2 if call.attribute("direction", "forward") == "bidirectional" else 1
    call.require(x.dim() == 3, "operands (steps, images, values)", f"{tuple(x.shape)}", CURE)
    wanted = {
        1: (directions, gates * hidden, x.shape[2]),
        2: (directions, gates * hidden, hidden),
        3: (directions, 2 * gates * hidden),
    }
    found = {place: call.tensor(place) for place in wanted}
    pairs = [(found[n], shape) for n, shape in wanted.items() if n < 3 or found[n] is not None]
    pairs += [(state, (directions, x.shape[1], hidden)) for state in states]
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
