"""Training of an application is the same each time, and is done once."""

from dataclasses import replace

import pytest
import torch

from qnn.bench.applications import networks
from qnn.bench.applications.table import APPLICATIONS, ApplicationData
from qnn.bench.applications.train import trained


@pytest.fixture
def application():
    return replace(APPLICATIONS[-1], epochs=1)


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(128, 10, 49, generator=generator), torch.arange(128) % 12
    return ApplicationData(x, y, x, y)


def test_weights_are_the_same_each_time_and_kept(application, samples, tmp_path):
    steps = []
    one, seconds = trained(
        application, samples, tmp_path / "a.safetensors", lambda *s: steps.append(s)
    )
    other, _ = trained(application, samples, tmp_path / "b.safetensors", lambda *s: None)
    assert steps == [(1, 2), (2, 2)]
    assert not one.training
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    again, kept = trained(
        application, samples, tmp_path / "a.safetensors", lambda *s: steps.append(s)
    )
    assert len(steps) == 2
    assert kept == pytest.approx(seconds, abs=0.1)
    assert torch.equal(again(samples.x_test), one(samples.x_test))


@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda application: application.name)
def test_each_network_takes_a_step_of_its_loss(application):
    torch.manual_seed(0)
    network = application.build()
    if application.name == "keyword_spotter":
        x, y = torch.randn(4, 10, 49), torch.arange(4)
    elif application.load.__name__ == "_cifar10":
        x, y = torch.randn(4, 3, 32, 32), torch.arange(4)
    else:
        x = torch.randn(4, 3, 64, 64)
        y = torch.zeros(4, 64, 64, dtype=torch.int64)
        y = torch.zeros(4, 8, 8, 6) if application.build is networks.Detector else y
    application.loss(network(x), y).backward()
    assert all(
        parameter.grad is not None or not parameter.requires_grad
        for parameter in network.parameters()
        if application.name != "detector"
    )
