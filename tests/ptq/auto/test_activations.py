"""Bits of activations: the fewest that leave most of a target to the weights."""

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import qnn
from hw.spec.config import named_config
from hw.spec.isa.codes import MOST_FACTOR_BITS
from qnn.errors import ModelError
from qnn.interrupt import Interrupted
from qnn.ptq.auto.activations import MOST_BITS, SHARE, USUAL_BITS, choose_activations
from qnn.ptq.auto.held_out import Loss
from qnn.ptq.export import export
from qnn.ptq.quantize import quantize
from tests.ptq.auto.test_automatic import same, searched, stopped_after
from tests.ptq.test_inputs import equal_to_its_integers
from tests.ptq.trained import classifier, with_doubts

FALLING = st.lists(st.floats(0, 4), min_size=9, max_size=9).map(lambda v: sorted(v, reverse=True))


@given(FALLING, st.integers(USUAL_BITS, MOST_BITS))
def test_the_fewest_that_suffice_are_found_or_all_that_there_are(lost, most):
    losses = {bits: Loss(lost[bits - USUAL_BITS], 0.1, 0.0) for bits in range(8, 17)}
    asked = []
    found = choose_activations(
        losses.__getitem__, lambda bits: not asked.append(bits) and bits <= most, 1.0
    )
    enough = [bits for bits in range(8, most + 1) if losses[bits].lost <= SHARE]
    assert found.bits == min(enough, default=most)
    assert found.suffice(1.0) == bool(enough)
    assert dict(found.losses) == {bits: losses[bits] for bits in found.losses}
    # Each costs a pass over the images.
    assert len(asked) == len(set(asked)) <= 4
    assert not asked or losses[8].lost > SHARE


def test_it_is_told_which_and_why():
    losses = {8: Loss(1.5, 0.5, 0.0), 12: Loss(0.0, 0.0, 0.0), 10: Loss(0.25, None, 0.0)}
    found = choose_activations(
        lambda bits: losses.get(bits, Loss(0.75, 0.25, 0.0)), lambda bits: True, 0.5
    )
    assert found.text(0.5, "points") == (
        "10-bit activations: alone they lose 0.25 of the 0.5 points that may be lost; with 9 bits "
        "0.75 +- 0.25"
    )
    enough = choose_activations(lambda bits: losses[12], lambda bits: False, 2.0)
    assert enough.text(2.0, "%") == (
        "8-bit activations: alone they lose 0.00 +- 0.00 of the 2 % that may be lost"
    )


NARROW = named_config("test", activation_bits=9, accumulator_bits=40)


# Activations of 8 bits move the difference of two logits by 0.04, those of 12 bits by 0.008.
DOUBT = 0.03


@lru_cache
def doubting():
    """A network, and images of which many lie where 8-bit activations decide otherwise."""
    model, images = classifier()
    return model, with_doubts(model, images, DOUBT)


@pytest.fixture(scope="module")
def of_much():
    """What was found where 8-bit activations alone take more than their share."""
    return searched(*doubting(), target=0.1)


def test_more_bits_are_taken_where_the_target_needs_them(of_much):
    quantized, result, lines = of_much
    assert quantized.plan.activation_bits == result.activations.bits > 8
    assert not _of(result, 8) <= SHARE * result.target
    assert _of(result, result.activations.bits) <= SHARE * result.target
    assert result.activations.text(0.1, "points") in lines
    equal_to_its_integers(quantized, (doubting()[1][:4],))
    # A named configuration is as wide as its network.
    design = qnn.compile(export(quantized), "test")
    assert design.config.activation_bits == quantized.plan.activation_bits


def _of(result, bits):
    return result.activations.losses[bits].lost


def test_what_leaves_enough_stays_as_it_is():
    asked, result, _ = searched(*classifier(), target=5.0)
    assert list(result.activations.losses) == [8]
    assert same(asked, searched(*classifier(), target=5.0, activation_bits=8)[0])


def test_where_nothing_is_searched_there_are_eight():
    quantized = quantize(*classifier(), rounding="nearest", terms=1)
    assert quantized.plan.activation_bits == USUAL_BITS


def test_no_more_bits_than_the_array_has():
    costs = qnn.cycles_on(NARROW)
    quantized, _, lines = searched(*doubting(), target=0.001, costs=costs, seconds=1e-9)
    assert quantized.plan.activation_bits <= 9
    text = "12-bit activations are left out: tensor 'x' needs 12-bit activations, but the"
    assert any(line.startswith(text) for line in lines)
    assert qnn.compile(export(quantized), NARROW).config == NARROW


class Gated(nn.Module):
    """A classifier that multiplies two tensors."""

    def __init__(self):
        super().__init__()
        self.classifier = classifier()[0]

    def forward(self, x):
        return self.classifier(x * x.sigmoid().mean((2, 3), keepdim=True))


def test_no_more_bits_than_any_array_multiplies():
    model = Gated().eval()
    # 9 bits move the difference of its logits by 0.02.
    images = with_doubts(model, classifier()[1], 0.01)
    quantized, _, lines = searched(model, images, target=1e-6, seconds=1e-9)
    assert quantized.plan.activation_bits == MOST_FACTOR_BITS
    (refused,) = [line for line in lines if line.startswith("12-bit activations are left out: ")]
    assert refused.endswith(f"needs at most {MOST_FACTOR_BITS} on any array")
    assert qnn.compile(export(quantized), "test").config.activation_bits == MOST_FACTOR_BITS


@pytest.mark.parametrize("rounding", ["nearest", "gptq"])
def test_other_roundings_take_the_bits_that_were_found(rounding):
    quantized, result, _ = searched(*doubting(), target=0.1, rounding=rounding)
    assert quantized.plan.activation_bits == result.activations.bits > 8


def test_an_interrupted_search_goes_on_with_the_same_bits(of_much, tmp_path, monkeypatch):
    kept, options = tmp_path / "kept", {"target": 0.1}
    # The bits are what is known first.
    with stopped_after(monkeypatch, 1), pytest.raises(Interrupted):
        searched(*doubting(), checkpoint=kept, **options)
    with pytest.raises(ModelError, match="a rounding checkpoint of another grid"):
        searched(*doubting(), checkpoint=kept, target=0.1, activation_bits=8)
    monkeypatch.setattr(
        "qnn.ptq.auto.automatic.choose_activations", lambda *_: pytest.fail("chosen again")
    )
    quantized, result, lines = searched(*doubting(), checkpoint=kept, **options)
    assert same(of_much[0], quantized)
    assert result == of_much[1]
    assert result.activations.text(0.1, "points") in lines


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"activation_bits": "few"},
            "quantize needs activation_bits from 2 to 16 or 'auto', not 'few'",
        ),
        ({"activation_bits": 8.5}, "quantize needs activation_bits from 2 to 16, not 8.5"),
    ],
)
def test_other_bits_are_refused(options, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        quantize(*classifier(), **options)
