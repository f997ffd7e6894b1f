"""Weights of a design learn together: answers come nearer, and time and interruptions are kept."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from qnn.interrupt import Interrupted
from qnn.nn.model import QuantizedModel
from qnn.ptq.auto import learn as learning
from qnn.ptq.auto.held_out import HeldOut
from qnn.ptq.auto.learn import learn
from qnn.ptq.calibrated import Calibrated
from qnn.ptq.round_layers import round_layers
from qnn.quant.rounding.checkpoint import Checkpoint
from qnn.tasks.kinds import TaskKind
from tests.ptq.test_inputs import equal_to_its_integers
from tests.ptq.trained import calibrated_on, classifier

KINDS = (TaskKind.CLASSES,)
LONG = 1e9  # seconds


@pytest.fixture(scope="module")
def start() -> Calibrated:
    """A trained network with the types of its tensors, and images that it learns from."""
    model, images = classifier()
    return calibrated_on(model, images)


def rounded(start: Calibrated, images: Tensor) -> QuantizedModel:
    quantized = start.build(1, "auto")
    round_layers(quantized, start.graph, (images,))
    return quantized


def state(quantized: QuantizedModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in quantized.state_dict().items()}


def equal(one, other) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_answers_come_nearer(start):
    """To the images that it learns from; whether to others too is measured in the search."""
    images = classifier()[1]
    # Nearest weights, as those of layers rounded in order are near already.
    quantized = start.build(1, "auto")
    judge = HeldOut.of(start.graph, (images,), KINDS)
    before = judge.loss(quantized)
    assert learn(quantized, start, (images,), KINDS, LONG)
    assert judge.loss(quantized).distance < before.distance
    equal_to_its_integers(quantized, (images[:4],))


def test_without_time_nothing_changes(start, tmp_path):
    images = classifier()[1]
    quantized, kept = rounded(start, images), tmp_path / "kept"
    before = state(quantized)
    assert not learn(quantized, start, (images,), KINDS, 0.0, Checkpoint(kept))
    assert equal(before, state(quantized))
    assert not kept.exists()


def test_an_interruption_changes_nothing_in_the_end(start, tmp_path, monkeypatch):
    images = classifier()[1]
    whole, again, kept = rounded(start, images), rounded(start, images), tmp_path / "kept"
    assert learn(whole, start, (images,), KINDS, LONG)
    with monkeypatch.context() as patch:
        patch.setattr(
            "qnn.quant.rounding.checkpoint.stoppable", lambda _may: nullcontext(lambda: True)
        )
        before = state(again)
        with pytest.raises(Interrupted, match="stopped after 1 of"):
            learn(again, start, (images,), KINDS, LONG, Checkpoint(kept))
    assert equal(before, state(again))
    assert learn(again, start, (images,), KINDS, LONG, Checkpoint(kept))
    assert equal(state(whole), state(again))
    assert not kept.exists()


def test_large_images_come_few_at_a_time(start, monkeypatch):
    """A step of them takes no more memory than one of usual images."""
    images, asked = torch.zeros(100, 2, 8, 8), []

    def seen(quantized, source, options, *_args, **_more):
        asked.append((len(source.data[0]), options.batch))

    monkeypatch.setattr(learning, "round_quantized", seen)
    for pixels, batch in ((1 << 20, 64), (64 * 20, 20), (64, 1)):
        monkeypatch.setattr(learning, "BATCH_PIXELS", pixels)
        assert learn(None, start, (images,), KINDS, LONG)
        assert asked.pop() == (100, batch)
    monkeypatch.setattr(learning, "BATCH_PIXELS", 1 << 20)
    assert learn(None, start, (images[:3],), KINDS, LONG)
    assert asked.pop() == (3, 3)
