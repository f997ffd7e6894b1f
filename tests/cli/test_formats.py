import json

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from qnn.cli.formats import (
    MOST_TERMS,
    choice,
    described,
    layer_bits,
    pixel_numbers,
)
from qnn.ir.ops import conv
from qnn.nn import artifact
from qnn.nn.zoo import ZOO

NAMES = st.text("abc.*?_0", min_size=1)


@given(st.dictionaries(NAMES, st.integers(2, 5), min_size=1))
def test_pairs_are_read_in_their_order(wanted):
    text = ", ".join(f"{name}={bits}" for name, bits in wanted.items())
    found = choice("--weight-bits", text, 2, 5)
    assert list(found.items()) == list(wanted.items())


def test_one_number_is_for_all():
    assert choice("--terms", "7", 1, 7) == 7


@pytest.mark.parametrize(
    "text", ["", "1", "6", "x", "3,4", "a=3,", "a=3,4", "=3", "a=", "a=6", "a=3,a=4", "-3", "3.0"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(typer.BadParameter) as caught:
        choice("--weight-bits", text, 2, 5)
    assert str(caught.value) == (
        f"--weight-bits needs a number from 2 to 5, or LAYER=NUMBER with commas, each layer or "
        f"pattern once, not '{text}'"
    )


def quantized(qnn, checkpoint, out, *arguments):
    fixed = ("quantize", "digits_cnn", "--checkpoint", checkpoint, "-o", out, "--samples", 64)
    return qnn(*fixed, "--rounding", "nearest", *arguments)


def test_layers_may_have_bits_and_terms_of_their_own(qnn, checkpoint, tmp_path):
    out = tmp_path / "m.safetensors"
    options = ("--weight-bits", "stem.*=5,fc=2,*=3", "--terms", "fc=2,*=1")
    code, text, err = quantized(qnn, checkpoint, out, *options)
    assert (code, err) == (0, "")
    plan = artifact.load(out).plan
    layers = {layer.name: layer for layer in plan.layers}
    assert layer_bits(plan) == {
        "stem.0": 5,
        "conv1.0": 3,
        "conv2.0": 3,
        "wide.0": 3,
        "narrow.0": 3,
        "last.0": 3,
        "fc": 2,
    }
    assert plan.layer_terms == {name: 2 if name == "fc" else 1 for name in layer_bits(plan)}
    products = {name: layers[name].products for name in layer_bits(plan)}
    assert products["fc"] == 320
    mean = 1 + 320 / sum(products.values())
    assert plan.mean_terms == pytest.approx(mean)
    assert described(plan) == "2- to 5-bit weights of up to 2 terms, 1.00 on average"
    assert text.startswith(f"{out}: {described(plan)}; of 64 test images float gets ")
    build = tmp_path / "build"
    assert qnn("compile", out, "-o", build)[0] == 0
    assert qnn("verify", build, "--device", "functional", "--images", 1)[0] == 0


def test_a_budget_is_kept_and_its_use_is_printed(qnn, checkpoint, tmp_path):
    out = tmp_path / "m.safetensors"
    code, text, err = quantized(qnn, checkpoint, out, "--terms-budget", "1.6")
    assert (code, err) == (0, "")
    plan = artifact.load(out).plan
    terms, mean = plan.layer_terms, plan.mean_terms
    assert mean <= 1.6
    assert len(set(terms.values())) > 1
    most = max(terms.values())
    assert described(plan) == f"3-bit weights of up to {most} terms, {mean:.2f} on average"
    title, header, *rows, last = text.splitlines()
    assert title.strip() == f"terms of least loss: {mean:.2f} on average"
    names = "layer products terms loss loss with 1 loss with 2 loss with 3 loss with 4"
    assert header.split() == names.split()
    assert {row.split()[0]: int(row.split()[2]) for row in rows} == terms
    assert last.startswith(f"{out}: {described(plan)}; of 64 test images")
    code, text, err = quantized(qnn, checkpoint, out, "--terms-budget", "1.6", "--json")
    assert (code, err) == (0, "")
    result = json.loads(text)
    assert (result["terms"], result["mean_terms"]) == (terms, mean)
    assert result["weight_bits"] == layer_bits(plan)


def test_patterns_that_match_no_layer_are_one_line(qnn, checkpoint, tmp_path):
    out = tmp_path / "m.safetensors"
    assert quantized(qnn, checkpoint, out, "--weight-bits", "conv9=4,*=3", "--terms", "1") == (
        3,
        "",
        "error: weight_bits needs patterns that match a layer, not 'conv9'; the layers are stem.0, "
        "conv1.0, conv2.0, wide.0, narrow.0, last.0, fc, mean\n",
    )


def test_terms_and_a_budget_together_are_refused(qnn, checkpoint, tmp_path):
    options = ("--terms", "2", "--terms-budget", "3")
    code, out, err = quantized(qnn, checkpoint, tmp_path / "m.safetensors", *options)
    assert (code, out) == (2, "")
    assert err.endswith("Invalid value: --terms-budget replaces --terms; give one of them\n")


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ((None, None), (ZOO["resnet20"].mean, ZOO["resnet20"].std)),
        # A mean of 0 is given, though it is false to Python.
        (("0", None), (0.0, ZOO["resnet20"].std)),
        ((None, "1,2,3"), (ZOO["resnet20"].mean, (1.0, 2.0, 3.0))),
    ],
)
def test_what_pixels_mean_is_as_given_or_else_as_the_zoo_has_it(texts, wanted):
    assert pixel_numbers("resnet20", *texts) == wanted


def test_a_models_own_pixels_mean_what_is_given_alone():
    assert pixel_numbers("nets:build", "0.5", "1") == (0.5, 1.0)
    assert pixel_numbers("nets:build", None, None) == (None, None)


def test_the_most_terms_are_those_of_a_graph():
    assert MOST_TERMS == conv.MOST_TERMS
