"""What a network loses on images held out: nothing as a copy, and each changed answer by hand."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.run import blocks_of, unfinished
from qnn.ptq.auto.held_out import HeldOut
from qnn.ptq.auto.options import Auto
from qnn.tasks.kinds import TaskKind
from qnn.tasks.lost import OWN_ERROR


@dataclass
class Answering:
    """A network that gives such answers, whatever it is asked, in parts as it is asked."""

    answers: tuple[Tensor, ...]
    told: int = 0

    def unfinished(self, *images: Tensor) -> tuple[Tensor, ...]:
        """The next answers."""
        part = slice(self.told, self.told + len(images[0]))
        self.told = part.stop
        return tuple(each[part] for each in self.answers)


def loss_against(answers, *kinds, errors=None):
    """What gives the loss of other answers, where the float network's are given."""
    answers = answers if isinstance(answers, tuple) else (answers,)
    images = torch.zeros(len(answers[0]), 1, 1, 1)
    known = (None,) * len(kinds) if errors is None else (errors,)
    held = HeldOut((images,), answers, kinds, tuple(1.0 for _ in kinds), known)
    return lambda *other: held.loss(Answering(other))


LOGITS = torch.tensor([[0.0, 2.0, -1.0], [1.0, 0.5, 0.0], [0.3, 0.3, -3.0], [5.0, -5.0, 0.0]])
MAPS = torch.randn(300, 3, 2, 2, generator=torch.Generator().manual_seed(0))
COINS = torch.tensor([[2.0], [-0.1], [0.4], [-3.0]])


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (LOGITS, TaskKind.CLASSES),
        (MAPS, TaskKind.PIXELS),
        (COINS, TaskKind.BINARY),
        (MAPS, TaskKind.MULTILABEL),
        (MAPS, TaskKind.REGRESSION),
        (MAPS, TaskKind.RECONSTRUCTION),
    ],
)
def test_a_copy_loses_nothing_and_others_do(answers, kind):
    loss = loss_against(answers, kind)
    same = loss(answers)
    # Of classes, as many images as did not change leave room for one that would.
    assert (same.lost, same.error) == (0, 100 / len(answers) if kind.classifies else 0)
    assert same.distance == pytest.approx(0, abs=1e-12)
    # In other axes too, as the integer network's blocks have them.
    assert loss(answers.reshape(len(answers), -1)).lost == 0
    other = loss(-answers)
    assert other.lost > 0
    assert other.error > 0
    assert other.distance > 0


def test_a_changed_class_costs_how_much_surer_the_float_network_was_of_its_own():
    loss = loss_against(LOGITS, TaskKind.CLASSES)
    got = LOGITS.clone()
    got[0] = torch.tensor([9.0, 0.0, 0.0])
    got[2] = torch.tensor([0.0, 1.0, 0.0])  # which was for as likely
    sure = LOGITS[0].double().softmax(0)
    each = torch.tensor([float(sure[1] - sure[0]), 0, 0.1, 0]) * 100
    found = loss(got)
    assert found.lost == pytest.approx(float(each.mean()))
    assert found.error == pytest.approx(float(each.std()) / 2)
    # Values that keep the order are no changed answers, and still at a distance.
    scaled = loss(LOGITS * 3)
    assert scaled.lost == 0
    assert scaled.distance > 0


def test_pixels_of_an_image_count_as_their_mean():
    loss = loss_against(MAPS, TaskKind.PIXELS)
    got = MAPS.clone()
    got[7, :, 1, 0] = -got[7, :, 1, 0]
    sure = MAPS[7, :, 1, 0].double().softmax(0)
    expected = float(sure.max() - sure.min()) / 4 / 300
    assert loss(got).lost == pytest.approx(100 * expected)


@pytest.mark.parametrize("probable", [False, True])
def test_a_changed_coin_costs_how_far_the_float_one_was_from_even(probable):
    answers = COINS.sigmoid() if probable else COINS
    loss = loss_against(answers, TaskKind.BINARY)
    got = answers.clone()
    got[0] = 0.2 if probable else -0.3
    expected = 100 * (2 * float(COINS[0].sigmoid()) - 1) / 4
    assert loss(got).lost == pytest.approx(expected)
    # Nearer to even, on the same side.
    got = answers.clone()
    got[3] = 0.45 if probable else -0.01
    assert loss(got).lost == 0


def of_network(model, images, kind):
    graph = fuse(capture(model, images))
    blocks = blocks_of(graph, (images,))
    return HeldOut.of(graph, blocks, [kind]), unfinished(graph, *blocks)[0]


def test_values_lose_the_share_by_which_the_tasks_error_grows():
    torch.manual_seed(0)
    held, wanted = of_network(nn.Linear(4, 3), torch.randn(200, 4), TaskKind.REGRESSION)
    off = torch.randn(wanted.shape)
    found = held.loss(Answering((wanted + off,)))
    own = OWN_ERROR * float((wanted - wanted.mean(0)).square().mean())
    assert found.lost == pytest.approx(100 * float(off.square().mean()) / own, rel=1e-4)


@pytest.mark.parametrize("shape", [(12,), (5, 12), (3, 4, 4)])
def test_a_reconstructions_own_error_is_known(shape):
    """In the axes of the user: of tokens, those of blocks are others."""
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 3, 1) if len(shape) == 3 else nn.Linear(12, 12)
    with torch.no_grad():
        layer.weight.copy_((torch.eye(len(layer.weight)) * 0.9).reshape(layer.weight.shape))
    images = torch.randn(100, *shape)
    held, wanted = of_network(layer, images, TaskKind.RECONSTRUCTION)
    errors = layer(images).detach() - images
    assert held.own_errors == (pytest.approx(float(errors.square().mean())),)
    # Farther from what is given back by a tenth.
    found = held.loss(Answering((wanted + 0.1 * errors.reshape(wanted.shape),)))
    assert found.lost == pytest.approx(21, rel=1e-2)


def growth(errors, off):
    """Percent, of errors whose mean square is 1: of squares alone, and as it is."""
    square = 100 * float(off.square().mean())
    return square, square + 200 * float((off * errors).mean())


def off_from(errors, share, seed=2):
    """What changes answers by as much of their own errors, and by others."""
    generator = torch.Generator().manual_seed(seed)
    return share * errors + 0.1 * torch.randn(errors.shape, generator=generator)


@pytest.mark.parametrize("share", [0.2, -0.2])
def test_values_that_change_with_the_networks_own_error_lose_what_its_task_says(share):
    errors = MAPS.double()
    off = off_from(errors, share)
    found = loss_against(MAPS, TaskKind.REGRESSION, errors=errors)(MAPS + off)
    square, direct = growth(errors, off)
    assert abs(direct - square) > 30
    # A gain is none.
    assert found.lost == pytest.approx(max(square, direct), rel=1e-2)
    # Where nothing tells the errors, they count as independent.
    unknown = loss_against(MAPS, TaskKind.REGRESSION)(MAPS + off)
    assert unknown.lost == pytest.approx(square, rel=1e-6)


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.003, -0.01]))
def test_what_chance_gives_is_not_lost(seed, share):
    errors = MAPS.double()
    off = off_from(errors, share, seed)
    found = loss_against(MAPS, TaskKind.REGRESSION, errors=errors)(MAPS + off).lost
    square, direct = growth(errors, off)
    each = 200 * (off * errors).flatten(1).mean(1)
    chance = float(each.std()) / len(each) ** 0.5
    if direct - square <= chance:
        assert found == pytest.approx(square, rel=1e-6)
    else:
        assert square - 1e-5 <= found <= direct + 1e-5


def test_the_error_is_that_of_all_that_chance_gives():
    errors = MAPS.double()
    found, direct = [], []
    for seed in range(1, 61):
        off = off_from(errors, 0.0, seed)
        loss = loss_against(MAPS, TaskKind.REGRESSION, errors=errors)(MAPS + off)
        found.append(loss.error)
        direct.append(growth(errors, off)[1])
    assert sum(found) / 60 == pytest.approx(float(torch.tensor(direct).std()), rel=0.3)


@pytest.mark.parametrize("unknown", [slice(100), (slice(None), 0)], ids=["images", "channels"])
def test_values_whose_errors_nothing_tells_count_as_the_others(unknown):
    errors = MAPS.double().clone()
    off = off_from(errors, 0.2)
    errors[unknown] = torch.nan
    found = loss_against(MAPS, TaskKind.REGRESSION, errors=errors)(MAPS + off)
    crossed = 200 * float((off * errors).nanmean())
    assert found.lost == pytest.approx(growth(MAPS, off)[0] + crossed, rel=1e-2)


def test_of_several_outputs_the_worst_counts_and_distances_add_up():
    values = torch.randn(4, 2)
    loss = loss_against((LOGITS, values), TaskKind.CLASSES, TaskKind.REGRESSION)
    one, two = loss(-LOGITS, values), loss(LOGITS, values + 1)
    both = loss(-LOGITS, values + 1)
    assert both.lost == max(one.lost, two.lost)
    assert both.distance == pytest.approx(one.distance + two.distance)


def test_one_image_has_no_standard_error():
    found = loss_against(LOGITS[:1], TaskKind.CLASSES)(-LOGITS[:1])
    assert found.error is None
    assert str(found) == f"{found.lost:.2f}"
    assert "+-" in str(loss_against(LOGITS, TaskKind.CLASSES)(-LOGITS))


def test_beside_classes_values_may_lose_their_own_share():
    values = torch.randn(4, 2)
    kinds = TaskKind.CLASSES, TaskKind.REGRESSION
    both = loss_against((LOGITS, values), *kinds)(LOGITS, values + 1)
    alone = loss_against(values, TaskKind.REGRESSION)(values + 1)
    targets = [Auto().target_for(each) for each in (kinds, kinds[1:])]
    assert targets == [0.5, 2]
    assert both.lost / targets[0] == pytest.approx(alone.lost / targets[1])
