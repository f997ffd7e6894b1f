"""What a search keeps: all of it comes back, of its own run alone."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn.errors import ModelError
from qnn.ptq.auto.designs import Designs, designs_at
from qnn.ptq.auto.held_out import Loss
from qnn.ptq.round_layers import FittedLayer
from qnn.quant.rounding.checkpoint import PARTS, Keeper

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LOSSES = st.builds(Loss, FLOATS, st.none() | FLOATS, FLOATS)
NOTES = st.recursive(FLOATS | NAMES, lambda inner: st.dictionaries(NAMES, inner, max_size=3))


def unkept():
    return Designs(Keeper(None, {}, lambda: False))


def layer(seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (1 + seed % 3, 2, 3, 1, 1)
    codes = torch.randint(-3, 4, shape, generator=generator).to(torch.int8)
    return FittedLayer(codes, torch.tensor([3, -2]), torch.randn(2, generator=generator).double())


def same(one, other):
    return all(
        torch.equal(getattr(one, piece), getattr(other, piece))
        for piece in ("indices", "exponent", "bias")
    )


@given(
    st.dictionaries(NAMES, LOSSES, max_size=3),
    st.dictionaries(NAMES, NOTES, max_size=3),
    st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(0, 99), max_size=3), max_size=12),
)
def test_the_state_comes_back_whole(losses, notes, layers):
    known = unkept()
    known.losses, known.notes = losses, notes
    known.layers = {
        key: {name: layer(seed) for name, seed in found.items()} for key, found in layers.items()
    }
    again = unkept()
    again.restore(known.tensors())
    assert again.losses == losses
    assert again.notes == notes
    assert {key: list(found) for key, found in again.layers.items()} == {
        key: list(found) for key, found in layers.items()
    }
    for key, found in known.layers.items():
        assert all(same(one, again.layers[key][name]) for name, one in found.items())


def test_layers_of_the_best_and_the_last_design_are_kept():
    known = unkept()
    for key in ("one", "two", "three"):
        known.layer(key, "conv", layer(1))
        known.loss(key, Loss(1.0, 0.1, 0.5))
        known.best = "one"
    assert list(known.layers) == ["one", "three"]
    assert list(known.losses) == ["one", "two", "three"]


def test_a_note_is_made_once():
    known, calls = unkept(), []
    for _ in range(2):
        assert known.note("costs", lambda: calls.append(1) or {"a": 2}) == {"a": 2}
    assert calls == [1]


OWNER = {
    "method": "auto",
    "options": [0.5, None, ["classes"]],
    "model": ["text", torch.arange(3.0)],
    "grid": [3, 8],
    "data": [torch.ones(2, 2)],
}


def written(path, owner):
    with designs_at(path, owner) as designs:
        designs.loss("one", Loss(1.0, None, 0.5))
        designs.keeper.checkpoint.save(designs.keeper.identity, designs.tensors())


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("method", "nearest"),
        ("options", [0.25, None, ["classes"]]),
        ("model", ["text", torch.arange(3.0) + 1]),
        ("grid", [3, 7]),
        ("data", [torch.ones(4)]),
    ],
)
def test_another_runs_checkpoint_is_refused(tmp_path, part, other):
    path = tmp_path / "kept"
    written(path, OWNER)
    with designs_at(path, OWNER) as designs:
        assert designs.losses == {"one": Loss(1.0, None, 0.5)}
    with pytest.raises(ModelError, match=f"kept: a rounding checkpoint of {PARTS[part]}; choose"):
        with designs_at(path, {**OWNER, part: other}):
            pass


def test_what_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "kept"
    path.write_text(json.dumps({"a": 1}))
    with pytest.raises(ModelError, match="kept: cannot be read as a rounding checkpoint"):
        with designs_at(path, OWNER):
            pass
