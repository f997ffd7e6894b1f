"""Outputs are laid out and finished by the host: the same values in every executor."""

from collections import namedtuple
from functools import reduce
from operator import getitem

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils import _pytree

import qnn
from qnn.errors import CompileError
from qnn.frontend.capture import capture
from qnn.frontend.faults import FaultyModel
from qnn.frontend.fuse import fuse
from qnn.host.named import paths_of
from qnn.ir.check import check
from qnn.ir.encode import decode, encode_input
from qnn.ir.graph import Graph, Output, results_of
from qnn.ir.reference import reference
from qnn.ir.serialize import from_bytes, to_bytes
from qnn.ir.text import parse, text
from qnn.tasks.structures import on_tensors, tensors_of
from tests.float_results import float_results
from tests.frontend.test_odd_models import Made
from tests.nearest import quantize


def conv(outputs: int):
    return nn.Conv2d(3, outputs, 3, padding=1)


def yolo(m, x):
    return m.a(x).view(len(x), 3, 5, 8, 8).permute(0, 1, 3, 4, 2)


def ssd(m, x):
    boxes = m.a(x).permute(0, 2, 3, 1).reshape(len(x), -1, 5)
    return {"boxes": boxes, "scores": [m.b(x).flatten(2).mT.softmax(-1)]}


HEADS = {
    "YOLO's head": (Made(yolo, a=conv(15)), "a 3x8x8x5 axes=3x5x64:0.2.1"),
    "flat boxes": (
        Made(lambda m, x: yolo(m, x).reshape(len(x), -1, 5), a=conv(15)),
        "a 192x5 axes=3x5x64:0.2.1",
    ),
    "SSD's heads": (
        Made(ssd, a=conv(15), b=conv(4)),
        "a 192x5 axes=15x64:1.0, b 64x4 axes=4x64:1.0",
        "%2 = softmax(%1; 2)",
        'return {"boxes": 0, "scores": [2]}',
    ),
    "classes": (
        Made(lambda m, x: m.a(x.flatten(1)).softmax(1), a=nn.Linear(192, 10)),
        "a 10",
        "%1 = softmax(%0; 1)",
        "return 1",
    ),
    "logarithms": (
        Made(lambda m, x: m.a(x.flatten(1)).log_softmax(-1), a=nn.Linear(192, 10)),
        "a 10",
        "%1 = log_softmax(%0; 1)",
        "return 1",
    ),
    "classes of pixels": (
        Made(lambda m, x: m.a(x).softmax(1), a=conv(4)),
        "a 4x8x8",
        "%1 = softmax(%0; 1)",
        "return 1",
    ),
    "numbers of classes": (
        Made(lambda m, x: m.a(x.flatten(1)).argmax(-1), a=nn.Linear(192, 10)),
        "a 10",
        "%1 = argmax(%0; 1)",
        "return 1",
    ),
    "classes of pixels by number": (
        Made(lambda m, x: m.a(x).argmax(1), a=conv(4)),
        "a 4x8x8",
        "%1 = argmax(%0; 1)",
        "return 1",
    ),
    "classes of pixels that keep the axis": (
        Made(lambda m, x: m.a(x).argmax(1, keepdim=True), a=conv(4)),
        "a 4x8x8",
        "%1 = argmax(%0; 1)",
        "%2 = reshape(%1; 0,1,8,8)",
        "return 2",
    ),
    "the most probable classes": (
        Made(lambda m, x: torch.max(m.a(x).softmax(1), 1)[1], a=conv(4)),
        "a 4x8x8",
        "%1 = argmax(%0; 1)",
        "return 1",
    ),
    "the first of the best": (
        Made(lambda m, x: m.a(x.flatten(1)).topk(1).indices, a=nn.Linear(192, 10)),
        "a 10",
        "%1 = argmax(%0; 1)",
        "%2 = reshape(%1; 0,1)",
        "return 2",
    ),
    "scores and classes": (
        Made(lambda m, x: (lambda y: {"out": y, "mask": y.argmax(1)})(m.a(x)), a=conv(4)),
        "a 4x8x8",
        "%1 = argmax(%0; 1)",
        'return {"out": 0, "mask": 1}',
    ),
    "channels last": (
        Made(lambda m, x: m.a(x).permute(0, 2, 3, 1).argmax(-1), a=conv(4)),
        "a 8x8x4 axes=4x64:1.0",
        "%1 = argmax(%0; 3)",
        "return 1",
    ),
    "parts": (
        Made(lambda m, x: m.a(x).split([2, 5], 1), a=conv(7)),
        "a.0 2x8x8, a.1 5x8x8",
    ),
}


@pytest.fixture
def images():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", HEADS)
def test_an_output_has_the_users_shape_and_values_everywhere(name, images):
    model, outputs, *host = HEADS[name]
    quantized = quantize(model.eval(), images, weight_bits=3, terms=4)
    graph = qnn.export(quantized)
    lines = [f"return {outputs}", *(f"host {line}" for line in host)]
    assert text(graph).splitlines()[-len(lines) :] == lines
    # Through a file and through text, as both have to tell the host all.
    graph = parse(text(from_bytes(to_bytes(graph)), full=True))
    with torch.no_grad():
        wanted, given = (_pytree.tree_leaves(each(images)) for each in (model, quantized))
    found = decode(graph, reference(graph, encode_input(graph, images.numpy())))
    for real, got, same in zip(wanted, _pytree.tree_leaves(found), given, strict=True):
        assert np.array_equal(got, same.numpy())
        assert got.shape == tuple(real.shape)
        if real.dtype == torch.int64:  # classes, of which rounding may change some
            assert got.dtype == np.int64
            assert (got == real.numpy()).mean() > 0.7
            continue
        assert np.abs(got - real.numpy()).max() < 0.1 * np.abs(real.numpy()).max()


def test_a_float_graph_lays_its_outputs_out_as_the_model_does(images):
    for model, *_ in HEADS.values():
        graph = fuse(capture(model, images))
        wanted = _pytree.tree_leaves(model(images))
        for found, real in zip(float_results(graph, images), wanted, strict=True):
            torch.testing.assert_close(found, real)


def test_an_order_that_is_none_is_refused(images):
    graph = qnn.export(quantize(HEADS["parts"][0].eval(), images, weight_bits=3))
    for axes in ("2x64:0.0", "2x63:1.0", "64:0;softmax=0"):
        wrong = Graph(graph.nodes, (Output("a.0", (2, 8, 8), axes), graph.outputs[1]))
        with pytest.raises(CompileError, match=r"^output 'a\.0' needs "):
            check(wrong)


def test_of_equal_scores_the_first_is_the_class_everywhere(images):
    model = Made(lambda m, x: m.a(x).argmax(1), a=conv(4)).eval()
    with torch.no_grad():
        for each in (model.a.weight, model.a.bias):
            each[2:] = each[:2]  # so that two classes are equal everywhere
    quantized = quantize(model, images, weight_bits=3)
    graph = qnn.export(quantized)
    tensors = reference(graph, encode_input(graph, images.numpy()))
    integers = torch.from_numpy(tensors["a"])
    greatest = integers == integers.amax(1, keepdim=True)
    assert (greatest.sum(1) > 1).any()
    (found,) = decode(graph, tensors)
    assert np.array_equal(found, greatest.int().argmax(1).numpy())
    assert np.array_equal(found, integers.argmax(1).numpy())
    assert np.array_equal(found, quantized(images).numpy())


Pair = namedtuple("Pair", "first second")

NAMED = {
    "a dictionary of one": (lambda y: {"out": y}, ("out",), [["out"]]),
    "a dictionary": (
        lambda y: {"out": y, "aux": y.flatten(2)},
        ("out", "aux"),
        [["out"], ["aux"]],
    ),
    "a named tuple": (
        lambda y: Pair(y, y.argmax(1)),
        ("first", "second"),
        [["first"], ["second"]],
    ),
    "a dictionary in a dictionary": (
        lambda y: {"a": {"b": y, "c": {"d": y.mT}}, "e": y.argmax(1)},
        ("a.b", "a.c.d", "e"),
        [["a", "b"], ["a", "c", "d"], ["e"]],
    ),
    "lists in a dictionary": (
        lambda y: {"a": [y, None, y.mT], "b": y},
        ("a.0", "a.2", "b"),
        [["a", 0], ["a", 2], ["b"]],
    ),
    "a dictionary in a tuple": (
        lambda y: (y, {"b": y.mT}),
        ("output_0", "1.b"),
        [[0], [1, "b"]],
    ),
    "keys of several words": (
        lambda y: {"a b": y, 3: y.mT},
        ("a_b", "output_3"),
        [["a_b"], ["output_3"]],
    ),
    "words of tuples": (
        lambda y: {"count": y, "keys": y.mT},
        ("count", "keys"),
        [["count"], ["keys"]],
    ),
    "joined parts": (
        lambda y: {"out": torch.cat([y[:, :2], y[:, 2:].relu()], 1), "b": y},
        ("out", "b"),
        [["out"], ["b"]],
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_results_have_the_names_of_the_users_model_everywhere(name, images):
    finish, names, places = NAMED[name]
    model = Made(lambda m, x: finish(m.a(x)), a=conv(4)).eval()
    quantized = quantize(model, images, weight_bits=3)
    graph = qnn.export(quantized)
    graph = parse(text(from_bytes(to_bytes(graph)), full=True))
    assert tuple(each.name for each in results_of(graph.outputs, graph.host)) == names
    assert len(set(graph.output_names)) == len(graph.outputs)
    found = decode(graph, reference(graph, encode_input(graph, images.numpy())))
    wanted, given = tensors_of(model(images)), quantized(images)
    assert [leaf.shape for leaf in tensors_of(given)] == [leaf.shape for leaf in wanted]
    # PyTorch's own functions over trees look into them.
    twice = on_tensors(lambda leaf: leaf * 2, given)
    for number, place in enumerate(places):
        one, same, double = (reduce(getitem, place, each) for each in (given, found, twice))
        assert torch.equal(one, tensors_of(given)[number])
        assert np.array_equal(same, one.numpy())
        assert torch.equal(double, one * 2)


@pytest.mark.parametrize(
    "finish", [lambda y: (y, y.mT), lambda y: [y], lambda y: y, lambda y: {"a b": y, "a_b": y.mT}]
)
def test_results_without_names_of_their_own_are_as_before(finish, images):
    model = Made(lambda m, x: finish(m.a(x)), a=conv(4)).eval()
    given = quantize(model, images, weight_bits=3)(images)
    assert type(given) in (tuple, torch.Tensor)
    host = capture(model, images).host
    assert host is None or not any(isinstance(k, str) for p in paths_of(host.structure) for k in p)


def test_training_sees_the_scores_that_a_class_is_chosen_by(images):
    model = Made(lambda m, x: m.a(x).argmax(1), a=conv(4)).eval()
    quantized = quantize(model, images, weight_bits=3)
    (scores,) = quantized.unfinished(images)
    assert torch.equal(scores.argmax(1), quantized(images))
    assert torch.equal(quantized.train()(images), scores)


REFUSED_CHOICES = {
    "of all images": (
        lambda m, x: m.a(x).argmax(),
        "needs to run over an axis of one image, not over the batch; name another axis",
    ),
    "over the images": (
        lambda m, x: m.a(x).argmax(0),
        "needs to run over an axis of one image, not over the batch; name another axis",
    ),
    "inside of the network": (
        lambda m, x: F.max_pool2d(m.a(x).argmax(1, keepdim=True).float(), 2),
        "is not supported; leave it out, and let the host choose from the outputs",
    ),
}


@pytest.mark.parametrize("name", REFUSED_CHOICES)
def test_an_argmax_that_the_host_cannot_end_with_is_refused(name, images):
    head, text = REFUSED_CHOICES[name]
    with pytest.raises(FaultyModel) as caught:
        capture(Made(head, a=conv(4)).eval(), images)
    (fault,) = caught.value.faults
    assert (fault.site.operator, f"{fault.problem}; {fault.cure}") == ("aten.argmax", text)


def detector(m, x):
    """Three heads of three sizes, of which the host joins the anchors."""
    small, least = m.b(F.max_pool2d(x, 2)), m.b(F.max_pool2d(x, 4))
    heads = [each.view(len(x), 3, 5, -1).mT.reshape(len(x), -1, 5) for each in (m.a(x), small)]
    last = least.view(len(x), 3, 5, -1).mT.reshape(len(x), -1, 5)
    return torch.cat([each.sigmoid() for each in (*heads, last)], 1)


def boxes(m, x):
    """Boxes and scores, each by a function of its own, joined along both axes of each head."""
    found = []
    for head, y in ((m.a, x), (m.b, F.max_pool2d(x, 2))):
        y = head(y).view(len(x), 3, 5, -1).mT
        found.append(torch.cat([y[..., :4].tanh(), y[..., 4:].sigmoid()], -1).flatten(1, 2))
    return torch.cat(found, 1)


JOINED = {
    "sigmoids": (detector, (252, 5)),
    "boxes and scores": (boxes, (240, 5)),
    "softmax": (
        lambda m, x: torch.cat(
            [m.a(x).flatten(2).mT, m.b(F.max_pool2d(x, 2)).flatten(2).mT], 1
        ).softmax(-1),
        (80, 15),
    ),
}


def test_the_class_of_joined_heads_is_chosen_behind_the_join(images):
    def head(m, x):
        heads = [m.a(x).flatten(2), m.b(F.max_pool2d(x, 2)).flatten(2)]
        return torch.cat(heads, 2).argmax(1)

    model = Made(head, a=conv(5), b=conv(5)).eval()
    quantized = quantize(model, images, weight_bits=3, terms=4)
    graph = qnn.export(quantized)
    assert text(graph).splitlines()[-3:] == [
        "return a 5x64 axes=320:0;join=1, b 5x16 axes=80:0",
        "host %1 = argmax(%0; 1)",
        "host return 1",
    ]
    (found,) = decode(graph, reference(graph, encode_input(graph, images.numpy())))
    assert found.shape == tuple(model(images).shape) == (4, 80)
    assert np.array_equal(found, quantized(images).numpy())


@pytest.mark.parametrize("name", JOINED)
def test_joined_heads_are_one_tensor_of_parts_everywhere(name, images):
    head, shape = JOINED[name]
    model = Made(head, a=conv(15), b=conv(15)).eval()
    quantized = quantize(model, images, weight_bits=3, terms=4)
    graph = qnn.export(quantized)
    graph = parse(text(from_bytes(to_bytes(graph)), full=True))
    # The parts are what the accelerator gives; no place of them is copied.
    assert len(graph.outputs) > 1
    assert not [node.name for node in graph.nodes if node.kind == "interleave"]
    with torch.no_grad():
        wanted, given = model(images), quantized(images)
    (found,) = decode(graph, reference(graph, encode_input(graph, images.numpy())))
    assert found.shape == tuple(wanted.shape) == (4, *shape)
    assert np.array_equal(found, given.numpy())
    assert np.abs(found - wanted.numpy()).max() < 0.1 * wanted.abs().max()
    (result,) = results_of(graph.outputs, graph.host)
    assert (result.name, result.shape) == (graph.outputs[0].name, shape)


def test_parts_that_do_not_continue_each_other_are_refused(images):
    model = Made(detector, a=conv(15), b=conv(15)).eval()
    graph = qnn.export(quantize(model, images, weight_bits=3))
    wrong = Graph(graph.nodes, graph.outputs[:-1])
    assert wrong.outputs
    with pytest.raises(CompileError) as caught:
        check(wrong)
    assert str(caught.value) == (
        "outputs that are one tensor need to follow each other and to differ along its axis "
        "alone, but do not; correct their order, shapes or axes"
    )
