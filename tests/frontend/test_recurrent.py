"""Recurrent layers are written out step by step, and compute what PyTorch does."""

import pytest
import torch
from torch import nn
from torch.utils import _pytree

from qnn.errors import ModelError
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from tests.float_results import float_results
from tests.frontend.test_odd_models import HERE, Made

STEPS, FEATURES, HIDDEN = 4, 5, 3
BOTH = {"num_layers": 2, "bidirectional": True}
CASES = {
    "GRU": (nn.GRU, {}),
    "GRU without bias": (nn.GRU, {"bias": False}),
    "GRU of two layers in both directions": (nn.GRU, BOTH),
    "LSTM": (nn.LSTM, {}),
    "LSTM without bias in both directions": (nn.LSTM, {"bias": False, "bidirectional": True}),
    "LSTM of two layers": (nn.LSTM, {"num_layers": 2}),
    "LSTM with a projection": (nn.LSTM, {"proj_size": 2, **BOTH}),
    "RNN of tanh": (nn.RNN, {}),
    "RNN of ReLU": (nn.RNN, {"nonlinearity": "relu", **BOTH}),
}


def sequence(steps=STEPS):
    return torch.randn(2, steps, FEATURES, generator=torch.Generator().manual_seed(0))


def graph_of(model, x):
    """The fused graph, after a test that it gives what the model does, in its shapes."""
    graph = fuse(capture(model.eval(), x), checked=True)
    with torch.no_grad():
        wanted, got = _pytree.tree_leaves(model(x)), float_results(graph, x)
    for found, tensor in zip(got, wanted, strict=True):
        torch.testing.assert_close(found, tensor, atol=1e-5, rtol=1e-4)
    return graph


def every_use(m, x):
    """All steps as they are, behind layers and as features; the last step, and the states."""
    whole, states = m.r(x)
    states = states if isinstance(states, tuple) else (states,)
    return whole, whole.mean(1), whole.flatten(1), whole[:, -1], [each[-1] for each in states]


@pytest.mark.parametrize("name", CASES)
def test_a_recurrent_layer_is_its_steps(name):
    kind, fields = CASES[name]
    torch.manual_seed(0)
    graph_of(Made(every_use, r=kind(FEATURES, HIDDEN, batch_first=True, **fields)), sequence())


def test_a_step_is_a_layer_of_the_state_for_each_gate_and_tables(golden):
    torch.manual_seed(0)
    for name in ("GRU", "LSTM"):
        kind, fields = CASES[name]
        layer = kind(FEATURES, HIDDEN, batch_first=True, **fields)
        graph = graph_of(Made(lambda m, x: m.r(x)[0][:, -1], r=layer), sequence(2))
        golden(f"recurrent_{name.lower()}.txt", f"{graph}\n")


def stacked(m, x):
    return m.b(m.a(x.transpose(0, 1))[0])[0].transpose(0, 1)


def states_given(m, x):
    first = m.start.expand(1, len(x), HIDDEN)
    return m.r(x, (first, first - 1))[0][:, -1]


def decoded(m, x):
    _, end = m.a(x)
    return m.b(x, end)[0][:, -1]


def between_convolutions(m, x):
    x = m.conv(x.transpose(1, 2)).relu().transpose(1, 2)
    x, _ = m.r(x)
    return m.last(m.head(x).relu().transpose(1, 2)).mean(2)


def of_cells(m, x):
    h = x.new_zeros(len(x), HIDDEN)
    outputs = []
    for number in range(x.shape[1]):
        h = m.cell(x[:, number], h)
        outputs.append(h)
    return torch.stack(outputs, 1), h


def of_a_memory(m, x):
    state = None
    for number in range(x.shape[1]):
        state = m.cell(x[:, number], state)
    return state


def by_hand(m, x):
    h = torch.zeros(len(x), HIDDEN)
    for step in x.unbind(1):
        h = torch.tanh(m.a(torch.cat([step, h], 1)))
    return m.b(h)


def layer(kind=nn.GRU, inputs=FEATURES, **fields):
    return kind(inputs, HIDDEN, **{"batch_first": True, **fields})


USES = {
    "steps first": lambda: Made(
        stacked, a=layer(batch_first=False), b=layer(nn.RNN, HIDDEN, batch_first=False)
    ),
    "a state that is learned": lambda: Made(
        states_given, r=layer(nn.LSTM), start=nn.Parameter(torch.tensor([0.5, 0.0, -1.0]))
    ),
    "a state that another layer gives": lambda: Made(decoded, a=layer(), b=layer()),
    "convolutions before and behind": lambda: Made(
        between_convolutions,
        conv=nn.Conv1d(FEATURES, 4, 3, padding=1),
        r=layer(inputs=4, bidirectional=True),
        head=nn.Linear(2 * HIDDEN, 4),
        last=nn.Conv1d(4, 2, 3),
    ),
    "cells in a loop": lambda: Made(of_cells, cell=nn.GRUCell(FEATURES, HIDDEN)),
    "plain cells in a loop": lambda: Made(
        of_cells, cell=nn.RNNCell(FEATURES, HIDDEN, nonlinearity="relu")
    ),
    "cells with a memory": lambda: Made(of_a_memory, cell=nn.LSTMCell(FEATURES, HIDDEN)),
    "a recurrence by hand": lambda: Made(
        by_hand, a=nn.Linear(FEATURES + HIDDEN, HIDDEN), b=nn.Linear(HIDDEN, 2)
    ),
}


@pytest.mark.parametrize("name", USES)
def test_a_recurrence_is_used_as_networks_use_it(name):
    torch.manual_seed(0)
    graph_of(USES[name](), sequence())


def packed(m, x):
    lengths = torch.full((len(x),), x.shape[1])
    return m.r(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True))[1][-1]


def test_packed_sequences_are_refused_with_what_to_do():
    with pytest.raises(ModelError) as caught:
        capture(Made(packed, r=layer()).eval(), sequence())
    text = str(caught.value)
    assert text.startswith("model (test_recurrent.py:")
    assert " cannot be captured by torch.export: " in text
    assert text.endswith(
        "; give recurrent layers sequences of one length, without pack_padded_sequence"
    )


def test_too_many_steps_and_steps_of_other_images_are_refused():
    image = torch.randn(1, 6, FEATURES)
    for model, x, text in (
        (
            Made(lambda m, x: m.r(x)[0][:, -1], r=layer()),
            torch.randn(1, 257, FEATURES),
            "needs at most 256 steps, as each becomes operators of its own, not 257; give it fewer "
            "steps, from a convolution or pooling with a stride before it, or put convolutions "
            "over time in its place",
        ),
        (
            Made(lambda m, x: m.r(x)[0][:, -1], r=layer(batch_first=False)),
            image,
            "needs its batch as the second axis, not steps that are images of the batch; make it "
            "with batch_first=True, or move the axes before it",
        ),
        (
            Made(lambda m, x: m.r(m.a(x).squeeze(1))[0], r=layer(), a=nn.Conv1d(6, 1, 1)),
            image,
            "needs its batch as the first axis, not steps that are images of the batch; make it "
            "with batch_first=True, or move the axes before it",
        ),
    ):
        with pytest.raises(ModelError) as caught:
            capture(model.eval(), x)
        line = str(caught.value).partition(f"{HERE}) ")
        assert line[0] == "layer 'r' (aten.gru, "
        assert line[2] == text
