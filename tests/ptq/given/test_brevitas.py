import math
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from torch import nn

import qnn
from qnn.errors import ModelError
from qnn.ptq.auto.options import Auto
from tests.brevitas_networks import (
    FIXED,
    QUIET,
    SHIFTED,
    SIGNED,
    SIZE,
    UNSIGNED,
    FinnCnv,
    Residual,
    Rounding,
    bnn,
    calibrated,
    networks,
    reals,
    small_cnn,
)

pytestmark = QUIET
REQUANTIZE = "or quantize its float network with requantize=True (--requantize)"


def quantized(model, images, **options):
    """The quantized network, and what was said of it."""
    said = []
    found = qnn.quantize(model, images, auto=Auto(report=said.append), **options)
    return found, "\n".join(said)


def differing(found, model, images):
    """Outputs that differ by more than the last places of Brevitas' float32 sums."""
    with torch.no_grad():
        wanted = reals(model(images))
    return int(((found(images) - wanted).abs() > 2.0**-18 * wanted.abs().max()).sum())


def pictures(*shape, count=16):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(3))


@settings(max_examples=10)
@given(networks())
def test_random_networks_give_the_integers_of_brevitas(case):
    model, images = case.model, case.images
    found, said = quantized(model, images)
    if "and none can on others" in said:
        assert differing(found, model, images) == 0
    else:
        # What may differ is named, with the reason.
        assert "layer '" in said
        assert "not explained" not in said


@pytest.mark.parametrize("rounding", [Rounding.ROUND, Rounding.FLOOR, Rounding.DPU])
def test_eight_bits_everywhere_are_exact_whatever_the_rounding(rounding):
    wide = {"bit_width": 8, "float_to_int_impl_type": rounding}
    model = nn.Sequential(
        bnn.QuantIdentity(**SIGNED),
        bnn.QuantConv2d(2, 8, 3, bias=False, **FIXED),
        bnn.QuantReLU(**UNSIGNED, **wide),
        bnn.QuantConv2d(8, 8, 3, bias=False, **FIXED),
        bnn.QuantIdentity(**SIGNED, **wide),
    )
    images = pictures(2, SIZE, SIZE, count=64)
    found, said = quantized(calibrated(model, 2, SIZE, SIZE), images)
    assert differing(found, model, images) == 0
    assert said.startswith("taken with its own quantizers: 0 of 26,624 values of 2 layers differ")
    assert ("computed twice" in said) == (rounding != Rounding.FLOOR)


def test_halves_that_may_go_up_are_counted_and_cost_no_second_layer():
    model = calibrated(
        nn.Sequential(
            bnn.QuantIdentity(**SIGNED),
            bnn.QuantConv2d(2, 8, 3, bias=False, **FIXED),
            bnn.QuantReLU(**UNSIGNED),
        ),
        *(2, SIZE, SIZE),
    )
    images = pictures(2, SIZE, SIZE, count=64)
    found, said = quantized(model, images, ties="up")
    differs = differing(found, model, images)
    assert 0 < differs < 0.02 * 64 * 8 * 36
    assert said.splitlines()[1] == (
        f"layer '1', quantizer '2' (0..255*{model[2].act_quant.scale():g},EVEN): halves go up "
        f"here, and the network rounds them to even numbers; {differs:,} of 18,432 values differ, "
        f"by 1 steps at most"
    )
    assert [layer.name for layer in found.plan.convs] == ["1"]


def test_the_integers_of_a_quant_tensor_are_those_of_the_graph():
    model = nn.Sequential(small_cnn(), bnn.QuantIdentity(**SIGNED))
    images = pictures(2, SIZE, SIZE)
    calibrated(model, 2, SIZE, SIZE)
    found, _ = quantized(model, images)
    wanted = model(images).int()
    graph = qnn.export(found)
    result = qnn.simulate(qnn.compile(graph, config="test"), images.numpy(), device="functional")
    assert result.outputs[0].tolist() == wanted.tolist()


def test_weights_of_the_network_survive_in_the_graph():
    model = small_cnn()
    found, _ = quantized(model, pictures(2, SIZE, SIZE))
    with torch.no_grad():
        conv = model[1].quant_weight()
    layer = found.layer("1")
    kept = layer.folded()[0]
    assert torch.equal(kept, conv.value.double())
    steps = kept / float(conv.scale)
    assert torch.equal(steps, conv.int().double())


def test_a_residual_of_brevitas_is_one_sum():
    both = {f"{end}_quant": SIGNED["act_quant"] for end in ("input", "output")}
    body = bnn.QuantConv2d(2, 2, 3, padding=1, bias=False, weight_bit_width=2, **FIXED)
    add = bnn.QuantEltwiseAdd(**both, return_quant_tensor=True)
    model = calibrated(
        nn.Sequential(bnn.QuantIdentity(**SIGNED), Residual(body, add)), 2, SIZE, SIZE
    )
    images = pictures(2, SIZE, SIZE)
    found, said = quantized(model, images)
    assert differing(found, model, images) == 0
    assert "and none can on others" in said


@pytest.mark.parametrize("act", [bnn.QuantSigmoid, bnn.QuantTanh])
def test_functions_of_few_sums_are_exact_tables(act):
    kind = SIGNED if act is bnn.QuantTanh else UNSIGNED
    model = nn.Sequential(
        bnn.QuantIdentity(bit_width=3, **SIGNED),
        bnn.QuantConv2d(2, 4, 3, bias=False, weight_bit_width=2, **FIXED),
        act(**kind),
    )
    images = pictures(2, SIZE, SIZE)
    found, said = quantized(calibrated(model, 2, SIZE, SIZE), images)
    assert differing(found, model, images) == 0
    assert "and none can on others" in said


def test_sequences_are_exact():
    model = nn.Sequential(
        bnn.QuantIdentity(**SIGNED),
        bnn.QuantConv1d(2, 4, 3, bias=False, weight_bit_width=3, **FIXED),
        bnn.QuantReLU(bit_width=4, **UNSIGNED),
    )
    images = pictures(2, 16)
    found, _ = quantized(calibrated(model, 2, 16), images)
    assert differing(found, model, images) == 0


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_zero_points_are_taken_as_they_are(bits):
    shifted = SHIFTED | {"bit_width": bits}
    model = nn.Sequential(
        bnn.QuantIdentity(**shifted),
        bnn.QuantConv2d(2, 4, 3, padding=1, weight_bit_width=4, **FIXED),
        bnn.QuantIdentity(**shifted),
    )
    images = pictures(2, SIZE, SIZE)
    found, said = quantized(calibrated(model, 2, SIZE, SIZE), images)
    assert float(model[2].act_quant.zero_point()) > 0
    assert differing(found, model, images) == 0
    assert "and none can on others" in said


@pytest.mark.parametrize("bits", [(1, 1), (2, 2)])
def test_normalised_layers_of_few_bits_are_exact_tables(bits):
    model = calibrated(FinnCnv(*bits, width=4), 3, 32, 32)
    images = torch.randint(0, 256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(1)) / 255
    found, said = quantized(model, images)
    assert "and none can on others" in said
    assert differing(found, model, images) == 0


def test_a_wide_layer_behind_a_normalisation_is_explained():
    model = nn.Sequential(
        bnn.QuantIdentity(**SIGNED),
        bnn.QuantConv2d(2, 8, 3, bias=False, **FIXED),
        nn.BatchNorm2d(8),
        bnn.QuantReLU(**UNSIGNED),
    )
    calibrated(model, 2, SIZE, SIZE)
    images = pictures(2, SIZE, SIZE, count=64)
    found, said = quantized(model, images)
    differs = differing(found, model, images)
    assert 0 < differs < 0.05 * 64 * 8 * 36
    assert said.splitlines() == [
        f"taken with its own quantizers: {differs} of 18,432 values of 1 layers differ on 64 "
        f"images",
        f"layer '1', quantizer '3' (0..255*{model[3].act_quant.scale():g},EVEN): BatchNorm's or a "
        f"mean's factors are no powers of two, and its sums fill no table; {differs} of 18,432 "
        f"values differ, by 1 steps at most",
        f"output: {differs} of 18,432 values differ, by {model[3].act_quant.scale():g} at most",
    ]
    # More terms come closer.
    closer, _ = quantized(model, images, terms=7)
    assert differing(closer, model, images) < differs


def test_pixels_go_through_the_table_of_the_input():
    model = small_cnn()
    pixels = torch.randint(0, 256, (8, 2, SIZE, SIZE), dtype=torch.uint8)
    found = qnn.quantize(model, pixels, mean=0.5, std=0.25, auto=Auto(report=lambda _: None))
    wanted = reals(model((pixels / 255 - 0.5) / 0.25))
    assert torch.allclose(found.from_pixels(pixels).float(), wanted, atol=2.0**-16, rtol=0)


def test_the_user_s_network_stays_as_it_was():
    model, images = small_cnn(), pictures(2, SIZE, SIZE)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    quantized(model, images)
    assert model.training
    assert model[2].return_quant_tensor
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def refused(model, images, **options):
    with pytest.raises(ModelError) as caught:
        qnn.quantize(model, images, **options)
    return str(caught.value)


def test_a_scale_that_is_no_power_of_two_is_one_line():
    model = nn.Sequential(
        bnn.QuantIdentity(scaling_init=0.3, scaling_impl_type="CONST"),
        bnn.QuantConv2d(2, 4, 3, **FIXED),
    ).eval()
    scale = float(model[0].act_quant.scale())
    assert math.frexp(scale)[0] != 0.5
    assert refused(model, pictures(2, SIZE, SIZE)) == (
        f"quantizer '0' needs a scale that is a power of two, but has {scale:.6g}; use "
        f"fixed-point quantizers such as Int8ActPerTensorFixedPoint, {REQUANTIZE}"
    )


def test_weights_on_another_grid_are_one_line():
    model = nn.Sequential(bnn.QuantIdentity(**SIGNED), bnn.QuantConv2d(2, 4, 3))
    text = refused(calibrated(model, 2, SIZE, SIZE), pictures(2, SIZE, SIZE))
    assert text == (
        f"layer '1' needs weights that are sums of at most 7 3-bit powers of two, but has others; "
        f"use quantizers such as Int8WeightPerTensorFixedPoint, {REQUANTIZE}"
    )


def test_options_of_float_networks_are_not_ignored():
    text = refused(small_cnn(), pictures(2, SIZE, SIZE), target=0.2)
    assert text == (
        "target of quantize needs a float network, but this one has quantizers of its own; leave "
        "it out, or quantize the float network with requantize=True (--requantize)"
    )


def test_ties_are_even_or_up():
    with pytest.raises(ValueError, match=r"^ties must be one of even, up, not 'down'$"):
        qnn.quantize(small_cnn(), pictures(2, SIZE, SIZE), ties="down")


def test_any_scales_are_quantized_again_when_that_is_asked():
    torch.manual_seed(1)
    model = nn.Sequential(
        bnn.QuantIdentity(),
        bnn.QuantConv2d(2, 8, 3),
        nn.BatchNorm2d(8),
        bnn.QuantReLU(),
        nn.Flatten(),
        bnn.QuantLinear(288, 3, bias=True),
    )
    calibrated(model, 2, SIZE, SIZE)
    images = pictures(2, SIZE, SIZE, count=64)
    found = qnn.quantize(model, images, requantize=True, rounding="nearest", terms=3)
    wanted = model(images)
    noise = (found(images) - wanted).square().mean() / wanted.var()
    assert noise < 0.001


@pytest.mark.rtl
def test_a_network_of_brevitas_is_equal_in_verilog():
    model, images = small_cnn(), pictures(2, SIZE, SIZE)
    found, _ = quantized(model, images)
    design = qnn.compile(qnn.export(found), config="test")
    result = qnn.simulate(design, images[:2].numpy(), device="rtl")
    wanted = reals(model(images[:2]))
    assert torch.allclose(torch.from_numpy(result.results).float(), wanted, rtol=0, atol=2.0**-16)
    assert qnn.verify(design, images[:2].numpy(), device="rtl").mismatches == 0


def test_the_example_of_the_page_runs_as_it_stands(capsys):
    page = (Path(__file__).resolve().parents[3] / "docs/brevitas.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    torch.manual_seed(1)
    exec(example, {})
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("taken with its own quantizers: 0 of 9,216 values of 1 layers differ")
    assert said[0].endswith("and none can on others")
    assert said[0] in " ".join(page.split())
    assert said[-1].startswith("verify: PASS 0/")
