"""What models write with two computed tensors becomes sums, products and fixed convolutions."""

import pytest
import torch
from torch import nn

import qnn
from qnn.errors import QnnError
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.run import run
from qnn.ir.reference import reference
from tests.nearest import quantize

SHAPE = (6, 7, 5)


class Two(nn.Module):
    """``join`` of a map and of what ``pooled`` leaves of a second one."""

    def __init__(self, join, pooled=lambda x: x):
        super().__init__()
        self.one, self.other = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 3, padding=1)
        self.join, self.pooled = join, pooled

    def forward(self, x):
        return self.join(self.one(x), self.pooled(self.other(x)))


POOLED = {
    "map": lambda x: x,
    "gate": lambda x: x.mean((2, 3), keepdim=True),
    "mask": lambda x: x.mean(1, keepdim=True),
    "column": lambda x: x.mean(3, keepdim=True),
    "row": lambda x: x.mean(2, keepdim=True),
    "row for all channels": lambda x: x.mean((1, 2), keepdim=True),
    "one value": lambda x: x.mean((1, 2, 3), keepdim=True),
}
JOINS = {
    "product": torch.mul,
    "product turned round": lambda a, b: b * a,
    "sum": torch.add,
    "sum times a number": lambda a, b: torch.add(a, b, alpha=0.5),
    "difference": torch.sub,
    "difference turned round": torch.rsub,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "maximum by its short name": torch.max,
    "minimum by its short name": torch.min,
    "maximum of halves": lambda a, b: torch.max(*torch.split(a + b, 3, 1)),
    "clamped product": lambda a, b: (a * b).clamp(-0.1, 0.2),
}


class Mask(nn.Module):
    """One value for each pixel, by a convolution to one channel."""

    def __init__(self, join):
        super().__init__()
        self.one, self.other = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 1, 3, padding=1)
        self.join = join

    def forward(self, x):
        return self.join(self.one(x), self.other(x))


def made(join, kind):
    torch.manual_seed(3)
    return (Mask(join) if kind == "mask" else Two(join, POOLED[kind])).eval()


@pytest.mark.parametrize("kind", POOLED)
@pytest.mark.parametrize("join", JOINS)
def test_each_is_computed_as_the_model_does_whatever_is_spread(join, kind):
    model = made(JOINS[join], kind)
    images = torch.randn(4, *SHAPE)
    fused = fuse(capture(model, images[:1]), checked=True)
    got = run(fused, images)[fused.outputs[0].name]
    torch.testing.assert_close(got, model(images), atol=1e-5, rtol=1e-5)
    for node in fused.nodes:
        if node.multiplies:
            first, second = (fused[name].shape for name in node.inputs)
            assert first == node.shape
            assert second[0] in (first[0], 1)
            assert second[1:] in (first[1:], (1, 1))


@pytest.mark.parametrize("kind", ["map", "gate", "mask", "column"])
@pytest.mark.parametrize("join", ["product", "difference", "minimum"])
def test_the_quantized_model_is_its_graph_and_near_the_float_one(join, kind):
    model = made(JOINS[join], kind)
    images = torch.randn(32, *SHAPE)
    quantized = quantize(model, images, terms=4, activation_bits=12)
    tensors = quantized.tensors(images)
    graph = qnn.export(quantized)
    found = reference(graph, tensors[graph.inputs[0].name].numpy())
    for name, tensor in found.items():
        assert (tensor == tensors[name].numpy()).all(), name
    error = quantized(images) - model(images)
    assert error.norm() < 0.01 * model(images).norm()


def test_a_square_is_a_function_of_its_operand():
    model = Two(lambda a, b: a * a + b.square()).eval()
    images = torch.randn(4, *SHAPE)
    fused = fuse(capture(model, images[:1]), checked=True)
    # A table costs nothing behind the convolution, where a product is an instruction of its own.
    assert not any(node.multiplies for node in fused.nodes)
    squares = [node for node in fused.convs if node.function is not None]
    assert len(squares) == 2
    assert all(node.never_negative(False) for node in squares)
    got = run(fused, images)[fused.outputs[0].name]
    torch.testing.assert_close(got, model(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("greatest", [True, False])
def test_maxima_and_minima_of_tensors_of_one_type_are_exact(greatest):
    class Extremes(nn.Module):
        def forward(self, x, y):
            return torch.maximum(x, y) if greatest else torch.minimum(x, y)

    images = tuple(torch.randint(-127, 128, (16, *SHAPE)) / 64.0 for _ in range(2))
    # The range of each is known to calibration.
    for one, sign in zip(images, (1, -1), strict=True):
        one[:, 0, 0, 0], one[:, 0, 0, 1] = 127 / 64 * sign, -127 / 64 * sign
    quantized = quantize(Extremes().eval(), images)
    assert (quantized(*images) == Extremes()(*images)).all()


def test_what_is_spread_over_space_keeps_its_type():
    fused = fuse(capture(made(torch.mul, "column"), torch.randn(1, *SHAPE)), checked=True)
    (copy,) = (node for node in fused.convs if node.window.kernel == (1, 5) and not node.learned
               and node.window.padding == (0, 0, 4, 4))  # fmt: skip
    assert copy.shares_type


def test_learning_passes_through_products_that_are_not_clamped():
    model = made(lambda a, b: (a * b).relu(), "gate")
    images = torch.randn(16, *SHAPE)
    quantized = quantize(model, images, terms=4)
    product = next(layer for layer in quantized.layers.values() if hasattr(layer, "other_exponent"))
    one = torch.randint(-5, 6, (1, 6, 7, 5)).float().requires_grad_()
    gate = torch.randint(-5, 6, (1, 6, 1, 1)).float().requires_grad_()
    exact = product.eval()(one, gate)
    learnt = product.train()(one, gate)
    assert torch.equal(learnt.detach(), exact)
    learnt.sum().backward()
    shift = int(product.input_exponent + product.other_exponent - product.exponent)
    open_ = (one * gate).detach() > 0  # of a ReLU's results
    scale = 2.0**-shift
    torch.testing.assert_close(one.grad, (gate * open_ * scale).detach().expand_as(one))
    torch.testing.assert_close(gate.grad, (one * open_ * scale).sum((2, 3), keepdim=True).detach())


def test_a_saved_model_with_products_loads_as_it_was(tmp_path):
    images = torch.randn(8, *SHAPE)
    quantized = quantize(made(torch.mul, "gate"), images)
    qnn.save(quantized, tmp_path / "q.safetensors")
    back = qnn.load(tmp_path / "q.safetensors")
    assert back.plan == quantized.plan
    assert torch.equal(back(images), quantized(images))


def test_a_product_whose_operand_has_another_exponent_is_refused(tmp_path):
    images = torch.randn(8, *SHAPE)
    quantized = quantize(made(torch.mul, "gate"), images)
    name = next(plan.name for plan in quantized.plan.layers if "mul" in plan.name)
    quantized.layer(name).other_exponent += 1
    qnn.save(quantized, tmp_path / "q.safetensors")
    with pytest.raises(QnnError, match=rf"layer '{name}' needs the exponent "):
        qnn.load(tmp_path / "q.safetensors")


def test_a_result_has_no_finer_places_than_its_product():
    model = Two(torch.mul).eval()
    with torch.no_grad():
        model.one.weight.mul_(1e-4)
        model.one.bias.fill_(1.0)
        model.other.weight.mul_(1e-6)
        model.other.bias.fill_(0.0)
    images = torch.randn(8, *SHAPE)
    quantized = quantize(model, images)
    product = next(layer for layer in quantized.layers.values() if hasattr(layer, "other_exponent"))
    assert not product.epilogue().left.any()


def test_a_value_per_pixel_is_not_copied_to_the_channels_that_share_it():
    fused = fuse(capture(made(torch.mul, "mask"), torch.randn(1, *SHAPE)), checked=True)
    (product,) = (node for node in fused.nodes if node.multiplies)
    assert fused[product.inputs[1]].shape == (1, *SHAPE[1:])
    assert len(fused.convs) == 2  # those of the model


@pytest.mark.parametrize("factor", [-1.0, 0.3])
def test_a_mean_that_is_subtracted_has_the_factor_in_its_weights(factor):
    def join(a, b):
        return torch.add(a, b, alpha=factor)

    model, images = Two(join, POOLED["mask"]).eval(), torch.randn(4, *SHAPE)
    fused = fuse(capture(model, images[:1]), checked=True)
    assert [conv.shape[0] for conv in fused.convs if conv.fixed] == [1]
    got = run(fused, images)[fused.outputs[0].name]
    torch.testing.assert_close(got, model(images), atol=1e-5, rtol=1e-5)


def test_a_mean_that_others_read_too_is_scaled_apart():
    model = Two(lambda a, b: a - b + a * b, POOLED["mask"]).eval()
    images = torch.randn(4, *SHAPE)
    fused = fuse(capture(model, images[:1]), checked=True)
    assert sum(node.name.endswith(".scaled") for node in fused.nodes) == 1
    got = run(fused, images)[fused.outputs[0].name]
    torch.testing.assert_close(got, model(images), atol=1e-5, rtol=1e-5)
