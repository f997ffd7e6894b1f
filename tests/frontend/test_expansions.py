"""Normalisations, norms, quotients and softmax are what the model computes, in exact integers."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import qnn
from hw.spec.config import named_config
from qnn.errors import ModelError
from qnn.frontend.capture import capture
from qnn.frontend.expansions import EXPANSIONS
from qnn.frontend.fuse import fuse
from qnn.ir.encode import encode_input
from sim.verify import verify
from tests.frontend.checks import check_floats, check_integers
from tests.nearest import quantize
from tests.release import ABSENT

LAMBDA = re.compile(r"test_expansions\.py:(\d+)\)")


class Behind(nn.Module):
    """``function`` of what a convolution gives, (8, 6, 6), and of a layer with its own weights."""

    def __init__(self, function, layer=None):
        super().__init__()
        self.conv, self.layer, self.function = nn.Conv2d(3, 8, 3, padding=1), layer, function
        for parameter in () if layer is None else layer.parameters():
            nn.init.uniform_(parameter, 0.5, 1.5)

    def forward(self, x):
        x = self.conv(x)
        return self.function(x) if self.layer is None else self.function(x, self.layer)


class Modern(nn.Module):
    """ConvNeXt's block."""

    def __init__(self):
        super().__init__()
        self.stem, self.depth = nn.Conv2d(3, 8, 2, 2), nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm, self.one, self.two = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)
        self.scale = nn.Parameter(torch.full((8,), 0.1))

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.two(F.gelu(self.one(y))) * self.scale
        return x + y.permute(0, 3, 1, 2)


def last(x, layer):
    """A layer of the channels behind the places, as ConvNeXt has it."""
    return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def tokens(x, layer):
    return layer(x.flatten(2).transpose(1, 2))


def mixed(x):
    """Two paths, of which a softmax of both chooses."""
    paths = x.view(len(x), 2, 4, 6, 6)
    weights = paths.mean((3, 4)).softmax(1)
    return (paths * weights[:, :, :, None, None]).sum(1)


def attended(x):
    """A mean over places, weighted by a softmax of the first channel."""
    weights = x[:, :1].flatten(2).softmax(-1)
    return (x.flatten(2) * weights).sum(-1)


def responded(x):
    """Each channel by its share of all, as ConvNeXt V2 has it."""
    response = x.norm(p=2, dim=(2, 3), keepdim=True)
    return x + x * (response / (response.mean(1, keepdim=True) + 1e-6))


def applied(x, layer):
    return layer(x)


def trained(layer):
    """A layer that has statistics of its own."""
    layer.running_mean.uniform_(-1, 1)
    layer.running_var.uniform_(0.5, 2)
    return layer


NORMS = {
    "group norm": lambda: Behind(applied, nn.GroupNorm(2, 8)),
    "group norm of one group": lambda: Behind(applied, nn.GroupNorm(1, 8)),
    "instance norm": lambda: Behind(applied, nn.InstanceNorm2d(8)),
    "instance norm with weights": lambda: Behind(applied, nn.InstanceNorm2d(8, affine=True)),
    "layer norm of channels": lambda: Behind(last, nn.LayerNorm(8)),
    "layer norm of tokens": lambda: Behind(tokens, nn.LayerNorm(8)),
    "layer norm of rows": lambda: Behind(lambda x: F.layer_norm(x, (6,))),
    "root mean square": lambda: Behind(last, nn.RMSNorm(8)),
    "layer norm of all": lambda: Behind(lambda x: F.layer_norm(x, (8, 6, 6))),
    "response": lambda: Behind(responded),
    "a block with a norm": Modern,
}
VECTORS = {
    "normalised channels": lambda x: F.normalize(x, dim=1),
    "normalised vector": lambda x: F.normalize(x.mean((2, 3))),
    "over a norm of space": lambda x: x / x.norm(dim=(2, 3), keepdim=True),
    "norm of magnitudes": lambda x: torch.linalg.vector_norm(x, 1, 1),
    "greatest magnitude": lambda x: torch.linalg.vector_norm(x, float("inf"), 1),
    "norm of cubes": lambda x: torch.linalg.vector_norm(x, 3, 1),
    "similarity": lambda x: F.cosine_similarity(x, x.flip(1) + 1, dim=1),
    "distance": lambda x: F.pairwise_distance(x.flatten(1), x.flip(1).flatten(1)),
    "variance": lambda x: x.var(1, keepdim=True),
    "biased variance": lambda x: x.var((2, 3), unbiased=False),
    "deviation": lambda x: x.std((2, 3), correction=0),
}
QUOTIENTS = {
    "a map": lambda x: x / (x.flip(1).exp() + 1),
    "a gate": lambda x: x / (x.mean((2, 3), keepdim=True).abs() + 0.5),
    "a mask": lambda x: x / (x.mean(1, keepdim=True).square() + 1),
    "a number of each image": lambda x: x / (x.abs().mean((1, 2, 3), keepdim=True) + 0.1),
    "a gate over a map": lambda x: x.mean((2, 3), keepdim=True) / (x.exp() + 1),
    "a root": lambda x: x * (x.square().mean(1, keepdim=True) + 1).pow(-0.5),
}
CHOICES = {
    "softmax of channels": lambda x: x * x.softmax(1),
    "softmax of an odd number": lambda x: x[:, :7] * x[:, :7].softmax(1),
    "softmax of one": lambda x: x[:, :1].softmax(1) * x,
    "softmax of two paths": mixed,
    "softmax of places": attended,
    "logarithm": lambda x: x.log_softmax(1) * 0.5,
    "logarithm of a sum": lambda x: x.logsumexp(1),
    "greatest channel": lambda x: x.amax(1, keepdim=True) * 0.5,
}
PLAIN = VECTORS | QUOTIENTS | CHOICES
CASES = NORMS | {name: lambda f=f: Behind(f) for name, f in PLAIN.items()}


def made(name):
    torch.manual_seed(1)
    return CASES[name]().eval(), torch.randn(12, 3, 6, 6)


@pytest.mark.parametrize("name", CASES)
def test_a_normalisation_or_quotient_is_what_the_model_computes(name):
    check_floats(*made(name))


@pytest.mark.parametrize("name", CASES)
def test_its_integers_are_the_references_and_near_the_float_ones(name):
    check_integers(*made(name), decibels=40)


@pytest.mark.parametrize("name", ["group norm", "layer norm of channels", "softmax of two paths"])
def test_it_verifies_on_the_functional_simulator(name):
    model, images = made(name)
    graph = qnn.export(quantize(model, images, 3, terms=2))
    design = qnn.compile(graph, named_config("test", activation_bits=8), batch=2)
    report = verify(design, encode_input(graph, images[:2].numpy()), "functional")
    assert report.passed, report


@pytest.mark.rtl
def test_a_group_norm_and_a_softmax_are_in_rtl_what_they_are_in_the_reference():
    torch.manual_seed(1)

    def both(x):
        return F.group_norm(x, 2) * x.softmax(1)

    model, images = Behind(both).eval(), torch.randn(4, 3, 4, 4)
    graph = qnn.export(quantize(model, images, 3))
    design = qnn.compile(graph, named_config("test", activation_bits=8))
    report = verify(design, encode_input(graph, images[:1].numpy()), "rtl")
    assert report.passed, report


def test_sums_are_divided_in_the_table_behind_them():
    model, images = made("layer norm of channels")
    fused = fuse(capture(model, images[:1]), checked=True)
    (sums,) = (node for node in fused.convs if node.function is not None and len(node.weight) == 1)
    assert str(sums.function) == "rsqrt(add(mul(x,0.125),1e-05))"
    assert bool((sums.weight == 1).all())


def test_statistics_of_training_need_no_sums():
    layer = trained(nn.InstanceNorm2d(8, affine=True, track_running_stats=True))
    fused = fuse(capture(Behind(applied, layer).eval(), torch.randn(1, 3, 6, 6)), checked=True)
    assert [node.kind for node in fused.nodes] == ["input", "conv"]


def test_a_fault_inside_of_it_is_told_of_the_whole_call():
    with pytest.raises(ModelError) as caught:
        capture(Behind(lambda x: x * x.softmax(0)).eval(), torch.randn(1, 3, 6, 6))
    line = LAMBDA.search(str(caught.value))
    assert line
    assert str(caught.value) == (
        f"model (aten.softmax, test_expansions.py:{line[1]}) needs a reduction of one image, not "
        f"the axis of the batch; name the other axes, as in x.mean((2, 3))"
    )


def test_each_expansion_takes_the_arguments_of_its_schema():
    for name, function in EXPANSIONS.items():
        if name in ABSENT:
            continue
        packet = getattr(torch.ops.aten, name.removeprefix("aten."))
        assert packet.overloads(), name
        assert function.__doc__


def test_vectors_of_fewer_axes_are_compared_along_the_axis_of_both():
    torch.manual_seed(0)
    prototypes = torch.randn(8, 6, 6)
    model = Behind(lambda x: F.cosine_similarity(x, prototypes)).eval()
    check_floats(model, torch.randn(2, 3, 6, 6))


UNKNOWN = {
    "needs the norm of a vector, or 'fro' of a matrix, not order 2 of a matrix; flatten the "
    "matrix's axes": lambda x: torch.linalg.norm(x, 2, dim=(2, 3)),
    "needs more than 1 values for a variance, not 1; keep more axes": lambda x: x[:, :1].var(1),
    "needs a norm of an order over 0, not one that counts values; leave it out": (
        lambda x: torch.linalg.vector_norm(x, 0, dim=1)
    ),
    "needs a constant that is the same for all images, not one that differs from image to image; "
    "give it as an input of the network": (
        lambda x: x.permute(0, 2, 3, 1) + torch.tensor([1.0, 2.0])[:, None, None, None]
    ),
    "needs to keep the batch as the first axis, not a tensor of shape (576,) of 2 images; move "
    "and join the other axes alone": lambda x: x.flatten(),
}


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_it_cannot_compute_is_refused_in_one_line(text):
    with pytest.raises(ModelError) as error:
        capture(Behind(UNKNOWN[text]).eval(), torch.randn(1, 3, 6, 6))
    assert str(error.value).endswith(f") {text}")
