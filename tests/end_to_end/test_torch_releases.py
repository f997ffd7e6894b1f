"""The same integers on every release of PyTorch, and of every form that a network comes in."""

import hashlib

import pytest
import torch
from torch import nn

from qnn.design import compile
from qnn.frontend.pt2.read import from_pt2
from qnn.nn.zoo import DigitsCnn, TinyResNet8
from qnn.ptq.export import export
from qnn.store import save as store
from tests.frontend.pt2.networks import WRITTEN, Residual, save
from tests.nearest import quantize


def numbers(count, *shape, seed):
    """Reals of 8 bits that no generator of PyTorch has made, from -1 to 1."""
    values = torch.arange(count * torch.Size(shape).numel(), dtype=torch.int64)
    mixed = (values * 2654435761 + seed * 97) % 2**32 >> 15
    return (mixed % 256 - 128).float().view(count, *shape) / 128


def filled(model):
    """``model`` with weights of such numbers, small enough to keep values near 1."""
    with torch.no_grad():
        for place, tensor in enumerate(model.parameters()):
            reach = (6 / tensor[0].numel()) ** 0.5 if tensor.dim() > 1 else 0.1
            one = 1.0 if tensor.dim() == 1 and place % 3 == 1 else 0.0
            tensor.copy_(numbers(1, *tensor.shape, seed=place)[0] * reach + one)
    return model.eval()


NETWORKS = {
    "residual": (Residual, (3, 8, 8)),
    "digits_cnn": (lambda: filled(DigitsCnn()), (1, 8, 8)),
    "resnet8": (lambda: filled(TinyResNet8()), (3, 32, 32)),
}


def integers(model, shape, tmp_path):
    """The integer network of ``model``, rounded to nearest."""
    graph = export(quantize(model, numbers(16, *shape, seed=1)))
    store(graph, tmp_path / "x.qgraph")
    return graph, digest((tmp_path / "x.qgraph").read_bytes())


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_networks_have_the_accepted_integers(tmp_path, golden):
    lines = []
    for name, (build, shape) in NETWORKS.items():
        graph, found = integers(build(), shape, tmp_path)
        image = digest(compile(graph, config="test").artifact.to_bytes())
        lines += [f"{name} graph {found}", f"{name} image {image}"]
    golden("torch_releases.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("path", WRITTEN, ids=[path.stem for path in WRITTEN])
def test_a_file_of_any_release_gives_the_integers_of_its_module(path, tmp_path):
    shape = NETWORKS["residual"][1]
    assert (
        integers(from_pt2(path), shape, tmp_path)[1] == (integers(Residual(), shape, tmp_path)[1])
    )


def exported(model):
    return torch.export.export(model, (numbers(2, 3, 8, 8, seed=0),))


FORMS = {
    "compiled": torch.compile,
    "exported": exported,
    "the module of a program": lambda model: exported(model).module(),
    "a graph of torch.fx": torch.fx.symbolic_trace,
    "of several devices": nn.DataParallel,
    "in training": lambda model: model.train(),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_network_gives_its_integers(form, tmp_path):
    shape = NETWORKS["residual"][1]
    assert (
        integers(FORMS[form](Residual()), shape, tmp_path)[1]
        == (integers(Residual(), shape, tmp_path)[1])
    )


def test_a_program_that_is_saved_gives_the_integers_of_its_module(tmp_path):
    build, shape = NETWORKS["resnet8"]
    path = save(tmp_path / "x.pt2", build(), numbers(2, *shape, seed=0))
    assert integers(from_pt2(path), shape, tmp_path)[1] == integers(build(), shape, tmp_path)[1]
