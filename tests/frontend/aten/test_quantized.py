"""Programs of PyTorch's PT2E flow: float networks again, and what they were calibrated to."""

import pytest
import torch
from torch import nn

import qnn
from qnn.errors import ModelError
from qnn.frontend.capture import capture
from tests.nearest import quantize

decomposed = pytest.importorskip("torch.ao.quantization.fx._decomposed")
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(16, 2, 6, 6, generator=GENERATOR) * 2 - 1


class Converted(nn.Module):
    """Two layers as ``convert_pt2e`` writes them: weights are integers, activations rounded."""

    def __init__(self, scale=0.02, zero=10, low=0, high=255, dtype=torch.uint8):
        super().__init__()
        for name, shape in (("w", (3, 2, 3, 3)), ("v", (4, 3, 1, 1))):
            values = torch.randint(-127, 128, shape, generator=GENERATOR, dtype=torch.int8)
            self.register_buffer(name, values)
            self.register_buffer(f"{name}_scale", torch.rand(shape[0], generator=GENERATOR) / 100)
            self.register_buffer(f"{name}_zero", torch.zeros(shape[0], dtype=torch.int64))
        self.numbers = (scale, zero, low, high, dtype)

    def weight(self, name):
        scale, zero = getattr(self, f"{name}_scale"), getattr(self, f"{name}_zero")
        read = torch.ops.quantized_decomposed.dequantize_per_channel
        return read(getattr(self, name), scale, zero, 0, -128, 127, torch.int8)

    def rounded(self, x, *numbers):
        given = torch.ops.quantized_decomposed.quantize_per_tensor(x, *numbers)
        return torch.ops.quantized_decomposed.dequantize_per_tensor(given, *numbers)

    def forward(self, x):
        x = self.rounded(x, 1 / 127, 0, -128, 127, torch.int8)
        x = self.rounded(torch.conv2d(x, self.weight("w")), *self.numbers)
        return torch.conv2d(x, self.weight("v"))


def floats(model, x):
    """The same without rounding, within the same range."""
    scale, zero, low, high, _ = model.numbers
    x = torch.conv2d(x, model.weight("w")).clamp((low - zero) * scale, (high - zero) * scale)
    return torch.conv2d(x, model.weight("v"))


@pytest.mark.parametrize("exported", [False, True])
def test_a_converted_program_is_its_float_network(exported):
    model = Converted()
    given = torch.export.export(model, (IMAGES,)) if exported else model
    graph = capture(given, IMAGES)
    assert [node.kind for node in graph.nodes] == ["input", "conv", "clamp", "conv"]
    assert (graph.nodes[2].low, graph.nodes[2].high) == pytest.approx((-0.2, 4.9))
    with torch.no_grad():
        wide = quantize(given, IMAGES, weight_bits=5, terms=4, activation_bits=14)
        torch.testing.assert_close(
            wide(IMAGES).float(), floats(model, IMAGES), atol=0.01, rtol=0.01
        )
        # Its own rounding is half a step at most, of each of the operands of a sum.
        assert (wide(IMAGES) - model(IMAGES)).abs().max() < 0.1 * model(IMAGES).abs().max()


def test_a_converted_program_comes_back_from_its_file(tmp_path):
    model = Converted()
    torch.export.save(torch.export.export(model, (IMAGES,)), tmp_path / "model.pt2")
    found = qnn.from_pt2(tmp_path / "model.pt2")
    torch.testing.assert_close(found(IMAGES), model(IMAGES))
    ours, wanted = (qnn.export(quantize(each, IMAGES)) for each in (found, model))
    assert [node.type for node in ours.nodes] == [node.type for node in wanted.nodes]
    for one, other in zip(ours.nodes[1:], wanted.nodes[1:], strict=True):
        assert torch.equal(torch.from_numpy(one.codes), torch.from_numpy(other.codes))


def test_the_range_that_it_was_calibrated_to_decides_exponents():
    narrow, broad = (Converted(scale, 0) for scale in (1 / 1024, 1 / 64))
    narrow.load_state_dict(broad.state_dict())
    exponents = [
        qnn.export(quantize(each, 4 * IMAGES)).nodes[1].type.exponent for each in (narrow, broad)
    ]
    # 255 steps of 1/1024 reach 1/4.
    assert exponents[0] >= 10 > exponents[1]


def test_a_scale_that_the_data_decide_is_refused():
    class Dynamic(nn.Module):
        def forward(self, x):
            scale, zero = torch.ops.quantized_decomposed.choose_qparams(
                x, 0, 255, 1e-6, torch.uint8
            )
            numbers = (x, scale, zero, 0, 255, torch.uint8)
            return torch.ops.quantized_decomposed.quantize_per_tensor(*numbers).float()

    with pytest.raises(ModelError, match="is not supported"):
        capture(Dynamic(), IMAGES)
