"""ATen's recurrent layers and cells, written out step by step."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.aten.call import Call
from qnn.frontend.cells import CELLS, CellWeights
from qnn.frontend.faults import FaultyModel
from qnn.frontend.one_step import OneStep, Term
from qnn.frontend.ops.conv import pointwise
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.through import over_last_axis
from qnn.frontend.views import Held, View, computed, is_view, known, whole

# Of one layer in one direction: each is a dozen operators, which the compiler takes apart.
MOST_STEPS = 256


def layers(call: Call, kind: str) -> list[Held]:
    """All steps' outputs, and the last states of each layer and direction."""
    _check(call)
    cell = CELLS[kind]
    x = _sequence(call)
    steps = x.shape[1] if isinstance(x, Tensor) else x.index.shape[1]
    if steps > MOST_STEPS:
        raise call.refuse(
            f"at most {MOST_STEPS} steps, as each becomes operators of its own",
            f"{steps}",
            "give it fewer steps, from a convolution or pooling with a stride before it, or put "
            "convolutions over time in its place",
        )
    # An LSTM has its output and its memory for a state, and others their output alone.
    given, directions = call["hx"], ("", "_reverse")[: 1 + call["bidirectional"]]
    given = given if isinstance(given, list) else [given]
    weights = _weights(call, cell)
    ends: list[tuple[Term, ...]] = []
    for layer in range(call["num_layers"]):
        outputs = []
        for direction in directions:
            states = [_state(call, each, len(ends)) for each in given]
            name = f"{call.name}.l{layer}{direction}"
            found, last = _unrolled(
                call, name, cell, x, weights[len(ends)], states, reverse=bool(direction)
            )
            outputs.append(found)
            ends.append(last)
        x = _beside(call, outputs)
    x = x if call["batch_first"] else replace(x, index=x.index.transpose(0, 1))
    lasts = [_layered(call, [end[n] for end in ends]) for n in range(cell.states)]
    return [known(x), *lasts]


def cell_of(call: Call, kind: str) -> Held | list[Held]:
    """One step."""
    cell = CELLS[kind]
    keys = ("w_ih", "w_hh", "b_ih", "b_hh")
    weights = CellWeights(*(call.weight(key) for key in keys))
    given = call["hx"]
    given = given if isinstance(given, list) else [given]
    states = [_vector(call, each) for each in given]
    step = OneStep(call.name, call.make)
    x = _vector(call, call["input"])
    inputs = [step.linear(f"{gate}.input", x, w, b) for gate, w, b in cell.of_gates(weights)]
    # A loop over cells has several of this call, of which each reads the states of the one before.
    found = [_computed(call, each) for each in cell.step(step, inputs, states, weights)]
    return found if len(found) > 1 else found[0]


def _check(call):
    if "batch_sizes" in call.arguments:
        raise call.refuse(
            "sequences of one length", "packed ones", "leave pack_padded_sequence out"
        )
    call.neutral("has_biases", "num_layers", "bidirectional", "batch_first")
    train, dropout = call["train"], call["dropout"]
    if train and dropout:
        raise call.refuse("to do nothing at random", "dropout in training", "call model.eval()")


def _weights(call, cell):
    """Those of each layer and direction, in PyTorch's order."""
    params = call["params"]
    if not all(isinstance(each, Tensor) for each in params):
        raise call.refuse("constant weights", "some computed from the input", "use parameters")
    biased = call["has_biases"]
    sets = call["num_layers"] * (1 + call["bidirectional"])
    size, least = len(params) // sets, 4 if biased else 2
    # nn.LSTM, nn.GRU and nn.RNN have no others; PyTorch itself would read past some.
    if len(params) % sets or size not in (least, least + (cell.states > 1)):
        needs = f"{least} parameters for each of {sets} layers and directions"
        raise call.refuse(
            needs, f"{len(params)}", "use the parameters of nn.GRU, nn.LSTM or nn.RNN"
        )
    found = []
    for start in range(0, len(params), size):
        of_input, of_state, *more = (each.float() for each in params[start : start + size])
        # Without biases none are there; a projection is the last of each set.
        biases, more = (more[:2], more[2:]) if biased else ((None, None), more)
        found.append(CellWeights(of_input, of_state, *biases, *more))
    return found


def _sequence(call):
    """The input as (batch, steps, features)."""
    value = call["input"]
    if computed(value):
        value = _viewed(call, value, call.rank("input"))
        index = value.index if call["batch_first"] else value.index.transpose(0, 1)
        view = replace(value, name=call.name, site=call.site, index=index)
        try:
            view.of_one_image(call.make.batch)
        except FaultyModel:
            # The most usual mistake with these layers, which PyTorch has no way to tell.
            raise call.refuse(
                f"its batch as the {'first' if call['batch_first'] else 'second'} axis",
                "steps that are images of the batch",
                "make it with batch_first=True, or move the axes before it",
            ) from None
        return view
    return value if call["batch_first"] else value.transpose(0, 1)


def _unrolled(call, name, cell, x, weights, states, *, reverse):
    """The operator of each step's output, and the states at the end."""
    inputs = [
        _gate_inputs(call, f"{name}.{gate}", x, w, b) for gate, w, b in cell.of_gates(weights)
    ]
    count = x.shape[1] if isinstance(x, Tensor) else x.index.shape[1]
    outputs: list[FloatOperator] = []
    for number in range(count)[:: -1 if reverse else 1]:
        step = OneStep(f"{name}.{number}", call.make)
        # Selected step by step, so that the selections lie near what reads them.
        own = [each(number, step.name) for each in inputs]
        states = cell.step(step, own, states, weights)
        outputs.append(_computed(call, states[0]))
    return outputs[:: -1 if reverse else 1], tuple(states)


def _gate_inputs(call, name, x, weight, bias):
    """What a gate has of the input at each step, computed for all steps at once."""
    if isinstance(x, Tensor):
        found = F.linear(_alike(call, x), weight, bias)
        return lambda number, step: found[number]
    source, back = over_last_axis(x, len(weight), call.make)
    every = back(call.make.add(pointwise(name, source, weight, bias)))
    gate = name.rpartition(".")[2]

    def of_step(number, step):
        index = every.index[:, number]
        return call.make(replace(every, name=f"{step}.{gate}.input", index=index))

    return of_step


def _state(call, value, number):
    """The state that a layer begins with."""
    if not computed(value):
        return _alike(call, value[number])
    view = _viewed(call, value, 3)
    return call.make(replace(view, index=view.index[number]))


def _vector(call, value):
    if not computed(value):
        return _alike(call, value)
    return call.make(value) if is_view(value) else value


def _alike(call, constant):
    """A constant of each image, without the batch."""
    if not bool((constant == constant[:1]).all()):
        raise call.refuse("one constant for all images", "several", "give it as an input")
    return constant[0].float()


def _viewed(call, value, rank):
    if is_view(value):
        return value
    return whole(value, (call.make.batch, *value.shape[: rank - 1]))


def _computed(call, term):
    if isinstance(term, Tensor):
        raise call.refuse("an input that its output depends on", "a constant", "leave it out")
    return term


def _beside(call, directions):
    """(batch, steps, features of all directions) of an operator for each step and direction."""
    return _view(call, directions)


def _layered(call, states):
    """(layers and directions, batch, features) of their last states."""
    view = _view(call, [[_computed(call, each) for each in states]])
    return known(replace(view, index=view.index.transpose(0, 1)))


def _view(call, lists):
    """(batch, operators, features): of each list an axis of operators, the features beside."""
    sources = tuple({node.name: node for nodes in lists for node in nodes}.values())
    sizes = [node.shape[0] for node in sources]
    starts = dict(zip((node.name for node in sources), accumulate(sizes, initial=0), strict=False))
    places = [
        torch.stack([starts[node.name] + torch.arange(node.shape[0]) for node in nodes])
        for nodes in lists
    ]
    images = torch.arange(call.make.batch) * sum(sizes)
    # Each image has all of them, as views count.
    index = images[:, None, None] + torch.cat(places, 1)
    return View(call.name, call.site, sources, index)


OPERATORS: Mapping[str, Callable[[Call], Held | list[Held]]] = {
    **{f"aten.{kind}": partial(layers, kind=kind) for kind in CELLS},
    **{
        f"aten.{name}": partial(cell_of, kind=kind)
        for name, kind in (
            *(("gru_cell", "gru"), ("lstm_cell", "lstm")),
            *(("rnn_tanh_cell", "rnn_tanh"), ("rnn_relu_cell", "rnn_relu")),
        )
    },
}
