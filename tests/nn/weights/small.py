"""A small network and its weights, and what loading a file into it says."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from qnn.errors import ModelError
from qnn.nn.weights import load_weights


def network():
    torch.manual_seed(1)
    return nn.Sequential(
        OrderedDict(conv=nn.Conv2d(1, 2, 3), bn=nn.BatchNorm2d(2), fc=nn.Linear(2, 3))
    )


STATE = network().state_dict()


def under(prefix, state=STATE):
    return {prefix + name: tensor for name, tensor in state.items()}


def loaded(path):
    """The notes about a checkpoint that gives all the weights of ``STATE``."""
    model = network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7)
    notes = [load_weights(model, path, "net").note]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, STATE[name]), name
    return [note.removeprefix(f"checkpoint {path}: ") for note in notes if note]


def refusal(path, model=None):
    with pytest.raises(ModelError) as caught:
        load_weights(model or network(), path, "net")
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(path), "FILE")


def renamed(state=STATE, **changes):
    """The state with other words in its names."""
    names = {name: name for name in state}
    for old, new in changes.items():
        names = {name: changed.replace(old, new) for name, changed in names.items()}
    return {names[name]: tensor for name, tensor in state.items()}


FIT = "checkpoint FILE does not fit model 'net': "
TAIL = "; give the checkpoint of this model"
