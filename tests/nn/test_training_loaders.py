"""``train`` and ``quantize`` take loaders, data sets of items and batches as they take tensors."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

import qnn
from qnn.errors import ModelError
from qnn.nn.training.gather import gathered
from tests.nearest import quantize

X = torch.randn(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 3
ITEMS = TensorDataset(X, Y)
RECIPE = qnn.Recipe(steps=6, batch=8, rate=1e-2)
FORMS = {
    "items": ITEMS,
    "shuffled": DataLoader(ITEMS, 7, shuffle=True),
    "ordered": DataLoader(ITEMS, 16),
    "list": [(X[:30], Y[:30]), [X[30:], Y[30:]]],
}


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))


def trained(data, **given):
    model = network()
    report = qnn.train(model, data, RECIPE, **given)
    return model.state_dict(), report


@pytest.mark.parametrize("form", FORMS)
def test_any_form_of_the_same_data_trains_to_the_same_bits(form):
    wanted, _ = trained((X, Y))
    found, _ = trained(FORMS[form])
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_run_on_a_shuffled_loader_goes_on(tmp_path):
    path = tmp_path / "run.safetensors"
    one, _ = trained(FORMS["shuffled"], checkpoint=path)
    other, _ = trained(FORMS["shuffled"], checkpoint=path)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_validation_data_may_be_a_loader():
    assert trained((X, Y))[1].test_accuracy is None
    assert trained((X, Y), validation=FORMS["ordered"])[1].test_accuracy is not None


def test_random_items_are_the_same_for_the_same_seed_and_leave_the_users_numbers():
    def noisy(batch):
        return torch.randn(len(batch), 2), torch.tensor([y for _, y in batch])

    loader = DataLoader(ITEMS, 8, collate_fn=noisy)
    state = torch.get_rng_state()
    one, other = (gathered(loader, "training", 3)[0] for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, gathered(loader, "training", 4)[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_sampler_chooses_which_items_count():
    weights = [1.0] + [0.0] * 39
    x, _ = gathered(DataLoader(ITEMS, 8, sampler=WeightedRandomSampler(weights, 10)), "test", 0)
    assert torch.equal(x, X[:1].expand(10, 1, 4, 4))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], "train needs training data, but the loader gave no batch; give some"),
        (
            [{"x": X}],
            "train needs training batches of samples and labels, two tensors, not dict; let the "
            "loader's collate_fn give them",
        ),
        (
            [(X, Y), (X, Y, Y)],
            "train needs labels of as many outputs in all training batches, not of 1 and 2; give "
            "all",
        ),
        ([(X, Y), (X,)], "train needs labels in all training batches or in none; give all"),
        (
            [(X, Y), (X[:, :, :3], Y)],
            "train needs training samples of one shape, not (1, 3, 4), (1, 4, 4); make them alike",
        ),
        (
            7,
            "train needs training data as tensors, a loader or batches of samples and labels, but "
            "got int: 'int' object is not iterable; convert them",
        ),
    ],
    ids=["empty", "dict", "outputs", "labels", "shapes", "number"],
)
def test_batches_that_do_not_fit_are_refused(data, text):
    with pytest.raises(ModelError) as caught:
        qnn.train(network(), data, RECIPE)
    assert str(caught.value) == text


def test_a_data_set_of_items_calibrates():
    wanted = quantize(network(), X).state_dict()
    for data in (ITEMS, FORMS["ordered"]):
        found = quantize(network(), data).state_dict()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_batch_of_one_image_and_batchnorm_is_refused_in_one_line():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.BatchNorm1d(3))
    with pytest.raises(ModelError) as caught:
        qnn.train(model, (X, Y), qnn.Recipe(steps=2, batch=1))
    assert str(caught.value) == (
        "train needs two values a channel for the statistics of BatchNorm, but a batch of one "
        "image has one; take larger batches, or freeze_statistics_at=0"
    )
    qnn.train(model, (X, Y), qnn.Recipe(steps=2, batch=1, freeze_statistics_at=0))
