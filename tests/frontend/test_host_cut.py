"""The host decodes what stands at the end of a network; the network keeps everything else."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import qnn
from qnn.frontend.capture import capture
from qnn.frontend.faults import FaultyModel
from qnn.frontend.fuse import fuse
from qnn.ir.encode import decode, encode_input
from qnn.ir.reference import reference
from qnn.ir.serialize import from_bytes, to_bytes
from qnn.ir.text import parse, text
from qnn.tasks.structures import tensors_of
from tests.detectors import DETECTORS, detector
from tests.float_results import float_results
from tests.frontend.test_odd_models import Made
from tests.nearest import quantize


@pytest.fixture
def images():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", DETECTORS)
def test_boxes_are_decoded_by_the_host_and_are_the_same_everywhere(name, images):
    model = detector(name)
    wanted = tensors_of(model(images))
    fused = fuse(capture(model, images))
    # The network ends in its last convolutions: no table, product or grid is left in it.
    assert [type(node).__name__ for node in fused.nodes] == ["FloatInput", *["FloatConv"] * 5]
    for found, real in zip(float_results(fused, images), wanted, strict=True):
        torch.testing.assert_close(found, real, rtol=1e-4, atol=1e-4)
    quantized = quantize(model, images, weight_bits=3, terms=4)
    graph = qnn.export(quantized)
    graph = parse(text(from_bytes(to_bytes(graph)), full=True))
    found = decode(graph, reference(graph, encode_input(graph, images.numpy())))
    for got, same, real in zip(
        tensors_of(found), tensors_of(quantized(images)), wanted, strict=True
    ):
        assert np.array_equal(got, same.numpy())
        assert got.shape == tuple(real.shape)
        assert np.abs(got - real.detach().numpy()).max() < 0.02 * float(real.detach().abs().max())


def conv(outputs):
    return nn.Conv2d(3, outputs, 3, padding=1)


def places(index):
    """Row and column of a place in a map of 16 columns."""
    return torch.stack([index // 16, index % 16], -1)


GRID = torch.arange(512.0).reshape(2, 16, 16)

# The steps of the host, by the ends of networks.
CUTS = {
    "a sigmoid alone": (lambda m, x: m.a(x).sigmoid(), ()),
    "a heat map beside decoded boxes": (
        lambda m, x: (m.a(x).sigmoid(), m.b(x) + GRID),
        ("constant", "add"),
    ),
    "a sigmoid before a grid": (
        lambda m, x: (m.a(x)[:, :2].sigmoid() * 2 - 0.5 + GRID) * 8,
        (
            "slice",
            "sigmoid",
            *("constant", "mul"),
            *("constant", "sub"),
            *("constant", "add"),
            *("constant", "mul"),
        ),
    ),
    "a factor of each channel": (lambda m, x: m.a(x) * GRID[:, :1, :1].repeat(2, 1, 1), ()),
    "a clamp": (lambda m, x: m.a(x).clamp(0, 1), ()),
    "the input and a residual": (lambda m, x: x - m.c(x), ()),
    "a softmax": (lambda m, x: m.a(x).relu().softmax(1), ("softmax",)),
    "a softmax that is computed on": (
        lambda m, x: m.a(x).softmax(1) * 2,
        ("softmax", "constant", "mul"),
    ),
    "a softmax before a layer": (lambda m, x: m.d(m.a(x).softmax(1)), ()),
    "a grid before a layer": (lambda m, x: m.e(m.b(x) + GRID), ()),
    "classes of a larger map": (
        lambda m, x: F.interpolate(m.a(x), scale_factor=2.0, mode="bilinear").argmax(1),
        ("argmax",),
    ),
    "a mask": (lambda m, x: m.a(x).sigmoid() > 0.6, ("bool",)),
    "a mask of integers": (lambda m, x: (m.a(x) > 0.1).long(), ("long",)),
    "classes from one on": (
        lambda m, x: m.a(x).argmax(1) + 1,
        ("argmax", "constant", "add", "long"),
    ),
    "the least": (lambda m, x: m.a(x).argmin(1, keepdim=True), ("neg", "argmax", "reshape")),
    "classes as reals": (lambda m, x: m.a(x).argmax(1).float(), ("argmax", "float")),
    "classes that are moved": (lambda m, x: m.a(x).argmax(1).mT, ("argmax", "permute")),
    "the row and column of a peak": (
        lambda m, x: places(m.a(x).flatten(2).argmax(2)),
        (
            *("argmax", "constant", "div", "floor", "long", "reshape"),
            *("div", "floor", "mul", "sub", "long", "reshape", "cat"),
        ),
    ),
    "a maximum and its place": (
        lambda m, x: m.a(x).mean((2, 3)).topk(1),
        ("amax", "reshape", "argmax", "reshape"),
    ),
    "a softmax in double precision": (
        lambda m, x: m.a(x).softmax(1, dtype=torch.float64).float(),
        ("softmax",),
    ),
    "a softmax before a layer of each channel": (lambda m, x: m.f(m.a(x).softmax(1)), ()),
    # As many rows as columns: the numbers would fit the wrong axis.
    "a softmax before a matrix of one column": (
        lambda m, x: m.a(x)[:, :, 0, :4].softmax(2) @ GRID[0, 0, :4, None],
        (),
    ),
    "both results of a maximum": (lambda m, x: m.a(x).softmax(1).max(1)[1], ("argmax",)),
}


@pytest.mark.filterwarnings("ignore::qnn.errors.QnnWarning")  # each end uses some of the layers
@pytest.mark.parametrize("name", CUTS)
def test_the_host_gets_what_is_decoded_and_no_more(name, images):
    finish, steps = CUTS[name]
    model = Made(
        finish,
        a=conv(4),
        b=conv(2),
        c=conv(3),
        d=nn.Conv2d(4, 2, 1),
        e=nn.Conv2d(2, 2, 1),
        f=nn.Conv2d(4, 4, 1, groups=4, bias=False),
    ).eval()
    graph = capture(model, images)
    found = () if graph.host is None else tuple(step.name for step in graph.host.steps)
    assert found == steps
    wanted = tensors_of(model(images))
    for got, real in zip(float_results(graph, images), wanted, strict=True):
        torch.testing.assert_close(got, real, rtol=1e-4, atol=1e-4)


WHOLE = {
    "labels of boxes": (lambda y: (y.softmax(1) + GRID[0]).max(1)[1] + 1, np.int64),
    "peaks": (lambda y: places(y.flatten(2).argmax(2)), np.int64),
    "a mask": (lambda y: y > 0.2, np.bool_),
    "classes as reals": (lambda y: y.argmax(1).float() * 2, np.float64),
}


@pytest.mark.parametrize("name", WHOLE)
def test_integers_and_masks_are_of_their_kind_and_the_same_everywhere(name, images):
    end, kind = WHOLE[name]
    model = Made(lambda m, x: end(m.a(x)), a=conv(4)).eval()
    wanted = model(images).numpy()
    quantized = quantize(model, images, weight_bits=4, terms=4)
    graph = from_bytes(to_bytes(qnn.export(quantized)))
    (found,) = decode(graph, reference(graph, encode_input(graph, images.numpy())))
    assert (found.dtype, found.shape) == (kind, wanted.shape)
    np.testing.assert_array_equal(found, quantized(images).numpy())
    assert (found == wanted).mean() > 0.9


def test_a_grid_that_differs_from_image_to_image_is_refused(images):
    grid = torch.arange(2.0 * 512).reshape(2, 2, 16, 16)
    model = Made(lambda m, x: m.b(x) + grid[: len(x)], b=conv(2)).eval()
    with pytest.raises(FaultyModel) as caught:
        capture(model, images)
    assert str(caught.value).partition(") ")[2] == (
        "needs a constant that is the same for all images, not one that differs from image to "
        "image; give it as an input of the network"
    )


def test_training_and_rounding_go_through_decoded_boxes(images):
    model = detector("YOLOv8")
    quantized = quantize(
        model, images, weight_bits=3, rounding="adaround", rounding_options={"steps": 2}
    )
    before = quantized(images)
    qnn.train(quantized, images, qnn.Recipe(epochs=1, batch=3), teacher=model)
    assert quantized(images).shape == before.shape == model(images).shape
    quantized.train()(images).square().mean().backward()
    assert all(
        float(p.grad.abs().max()) > 0 for n, p in quantized.named_parameters() if "heads" in n
    )
