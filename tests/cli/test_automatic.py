"""``qnn quantize`` that chooses by itself: what it tells, saves and advises."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from qnn.cli.automatic import Automatic
from qnn.nn import artifact
from qnn.nn.data import digits
from qnn.nn.zoo import DigitsCnn
from qnn.ptq.auto.activations import Activations
from qnn.ptq.auto.held_out import Loss
from qnn.ptq.auto.options import AutoResult
from qnn.quant.rounding.checkpoint import Keeper

KEYS = ("expected_loss", "expected_loss_error", "target", "relative_cost", "cost_of")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights of the zoo's ``digits_cnn`` that know most digits."""
    path = tmp_path_factory.mktemp("trained") / "digits.pt"
    images = torch.as_tensor(digits().x_train)
    x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    labels = torch.as_tensor(digits().y_train).long()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = DigitsCnn()
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(40):
            drawn = torch.randint(len(x), (64,))
            optimizer.zero_grad()
            F.cross_entropy(model(x[drawn]), labels[drawn]).backward()
            optimizer.step()
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture
def quantized(qnn, trained, tmp_path):
    """What a command line of the trained network gives: JSON and lines, and the model's path."""

    def run(*options):
        out = tmp_path / "model.safetensors"
        command = ("quantize", "digits_cnn", "--checkpoint", trained, "-o", out, "--samples", 300)
        code, text, err = qnn(*command, *options, "--json")
        assert code == 0, err
        assert not (tmp_path / "model.safetensors.resume").exists()
        return json.loads(text), err.splitlines(), out

    return run


def test_without_a_word_the_cheapest_within_half_a_point_is_written(quantized):
    result, lines, out = quantized()
    assert result["target"] == 0.5
    assert 0 <= result["expected_loss"] <= 0.5
    assert result["expected_loss_error"] >= 0
    assert result["cost_of"] == "products"
    assert result["relative_cost"] >= 1
    # Of 300 images a few more or less are right by chance.
    if result["advice"]:
        assert result["advice"].startswith("accuracy fell by ")
        assert (
            "try, in this order: a smaller loss on images held out (--target 0.125); "
            in (result["advice"])
        )
    assert result["quantized_accuracy"] > result["float_accuracy"] - 3
    plan = artifact.load(out).plan
    assert plan.rounding == "auto"
    chosen = {layer.name: layer.terms for layer in plan.convs if not layer.fixed}
    assert result["terms"] == chosen
    assert lines[0] == "note: auto: 300 images; after 300 s no further design is tried"
    assert lines[1].startswith("note: types of all tensors chosen on 300 images (")
    assert any(each.startswith("note: 150 images to fit, 150 held out, prep") for each in lines)
    assert lines[-1].startswith("note: expected loss ")


def test_cycles_of_a_configuration_are_saved(quantized):
    result, lines, out = quantized("--target", 0.02, "--config", "test")
    assert result["cost_of"] == "cycles"
    assert result["expected_loss"] <= 0.02
    assert any(line.startswith("note: costs of the layers found") for line in lines)
    learnt = [conv for conv in artifact.load(out).plan.convs if not conv.fixed]
    products = sum(conv.products for conv in learnt)
    by_products = sum(conv.products * conv.mean_terms for conv in learnt) / products
    # Not all of a layer's cycles are those of its terms.
    assert 1 < result["relative_cost"] < by_products


def test_terms_that_are_given_are_rounded_in_order_and_measured(quantized):
    result, _, _ = quantized("--terms", "fc=3,*=1")
    assert set(KEYS) <= set(result)
    assert result["terms"]["fc"] == 3
    assert result["relative_cost"] > 1
    plain, lines, _ = quantized("--terms", "1", "--rounding", "nearest")
    assert not set(KEYS) & set(plain)
    assert not [line for line in lines if line.startswith("note: auto")]


def test_a_target_that_is_missed_advises_training(quantized):
    asked = ("--target", "1e-9", "--seconds", "1e-9", "--activation-bits", 3)
    result, lines, out = quantized(*asked)
    assert result["expected_loss"] > result["target"]
    assert result["activation_bits"] == 3
    (told,) = (line for line in lines if line.startswith("note: 3-bit activations: alone they "))
    alone = told.removeprefix("note: 3-bit activations: alone they lose ").partition(" of the ")[0]
    assert result["advice"] == (
        f"the target of 1e-09 is missed: {result['expected_loss']:.2f} +- "
        f"{result['expected_loss_error']:.2f} is lost, {alone} by 3-bit activations "
        f"(--activation-bits auto); train on the grid, which says what is lost then: qnn train "
        f"{out} --data digits --steps 4000 --target 1e-09 -o "
        f"{out.with_name('model_trained.safetensors')}"
    )


def test_activations_get_the_bits_that_the_target_needs(quantized):
    result, lines, out = quantized(
        "--target", "1e-9", "--seconds", "1e-9", "--activation-bits=auto"
    )
    plan = artifact.load(out).plan
    assert result["activation_bits"] == plan.activation_bits > 8
    assert any(line.startswith(f"note: {plan.activation_bits}-bit activations: ") for line in lines)


def test_labels_in_a_file_tell_a_regressions_own_error(qnn, tmp_path, trained):
    drawn, x = np.random.default_rng(0), digits().x_train[:300].numpy()
    model, told = DigitsCnn().eval(), {}
    model.load_state_dict(torch.load(trained, weights_only=True))
    with torch.no_grad():
        answers = model(torch.from_numpy(x).float() / 255).numpy()
    for name, far in (("near", 0.1), ("far", 1.0)):
        errors = drawn.standard_normal(answers.shape, dtype=np.float32)
        y = answers + far * answers.std() * errors
        data, out = tmp_path / f"{name}.npz", tmp_path / f"{name}.safetensors"
        np.savez(data, x_train=x, y_train=y, x_test=x[:50], y_test=y[:50])
        given = ("--checkpoint", trained, "--data", data, "--terms", 1, "--activation-bits", 8)
        code, text, err = qnn("quantize", "digits_cnn", *given, "-o", out, "--json")
        assert code == 0, err
        assert "nothing tells it" not in err
        told[name] = json.loads(text)["expected_loss"]
    # Of squared errors that are a hundredfold, what is lost is a smaller part.
    assert told["near"] > 50 * told["far"] > 0


def test_advice_has_what_training_must_be_told_too(quantized):
    asked = ("--task", "classes", "--layout", "nhwc", "--activation-bits", 3)
    result, _, out = quantized("--target", "1e-9", "--seconds", "1e-9", *asked)
    assert result["advice"].endswith(
        f"qnn train {out} --data digits --layout nhwc --task classes --steps 4000 --target "
        f"1e-09 -o {out.with_name('model_trained.safetensors')}"
    )


def test_advice_is_quoted_for_a_shell_and_of_networks_that_training_takes():
    search = Automatic(None, "auto")
    search.options.outcome(AutoResult({}, Loss(1.5, 0.25, 0.1), 0.5, 1.0, {}))
    path, options = Path("my models/m.safetensors"), {"--data": "$x.npz", "--task": None}
    assert search.advice(path, 1, 1000, True, options) == (
        "the target of 0.5 is missed: 1.50 +- 0.25 is lost; train on the grid, which says what is "
        "lost then: qnn train 'my models/m.safetensors' --data '$x.npz' --steps 3000 --target 0.5 "
        "-o 'my models/m_trained.safetensors'"
    )
    assert search.advice(path, 2, 1000, True, options) == (
        "the target of 0.5 is missed: 1.50 +- 0.25 is lost; qnn train takes networks of one input, "
        "and this one has 2: give more --activation-bits"
    )
    assert search.advice(path, 1, 999, False, {}) == (
        "the target of 0.5 is missed: 1.50 +- 0.25 is lost; let it choose the terms (--terms "
        "auto); or train on the grid, though 999 images may be too few to learn from, which says "
        "what is lost then: qnn train 'my models/m.safetensors' --target 0.5 -o "
        "'my models/m_trained.safetensors'"
    )
    search.options.outcome(AutoResult({}, Loss(0.5, 0.25, 0.1), 0.5, 1.0, {}))
    assert search.advice(path, 2, 1000, True, options) is None


@pytest.mark.parametrize(
    ("lost", "images", "steps"),
    [(0.6, 5000, None), (1.0, 999, None), (1.0, 5000, 2000), (9.0, 5000, 4000), (9.0, 51200, 8000)],
)
def test_training_that_has_far_to_go_is_advised_to_go_far(lost, images, steps):
    search = Automatic(None, "auto")
    search.options.outcome(AutoResult({}, Loss(lost, 0.1, 0.1), 0.5, 1.0, {}))
    told = shlex.split(search.advice(Path("m.safetensors"), 1, images, True, {}))
    given = told[told.index("--steps") + 1] if "--steps" in told else None
    assert given == (steps and str(steps))


def test_one_image_has_an_expected_loss_without_an_error(qnn, trained, tmp_path):
    out = tmp_path / "model.safetensors"
    command = ("quantize", "digits_cnn", "--checkpoint", trained, "-o", out, "--samples", 1)
    code, text, _ = qnn(*command, "--json")
    assert code == 0
    assert json.loads(text)["expected_loss_error"] is None


@pytest.mark.slow
@pytest.mark.parametrize("rounding", ["auto", "gptq"])
def test_an_interrupted_search_says_how_it_goes_on_to_the_same_model(
    qnn, trained, tmp_path, monkeypatch, rounding
):
    fixed = ("quantize", "digits_cnn", "--checkpoint", trained, "--samples", 100)
    fixed = (*fixed, "--target", 0.01, "--rounding", rounding)
    out, whole = tmp_path / "out.safetensors", tmp_path / "whole.safetensors"
    after, seen = Keeper.after, []

    def stopping(self, *arguments, **named):
        seen.append(arguments)
        # In the layers of the second design, and for gptq in its own layers too.
        if len(seen) in (10, 45, 120):
            self.asked = lambda: True
        after(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "after", stopping)
        for _ in range(9):
            code, _, err = qnn(*fixed, "-o", out)
            if code != 130:
                break
            assert "error: interrupted: stopped after " in err
            assert "; go on with: " in err
            assert not out.exists()
    assert code == 0
    assert len(seen) > 45
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.safetensors"]
    assert qnn(*fixed, "-o", whole)[0] == 0
    one, other = (artifact.load(path).state_dict() for path in (out, whole))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_bits_that_were_chosen_are_not_advised():
    few = Activations(16, {16: Loss(0.4, 0.1, 0.1)})
    outcome = AutoResult({}, Loss(1.5, 0.25, 0.1), 0.5, 1.0, {}, activations=few)
    missed = "the target of 0.5 is missed: 1.50 +- 0.25 is lost, 0.40 +- 0.10 by 16-bit activations"
    for chosen, by_bits, more in (
        (True, missed, "a larger --target"),
        (False, f"{missed} (--activation-bits auto)", "more --activation-bits"),
    ):
        search = Automatic(None, "auto", chosen)
        search.options.outcome(outcome)
        advised = search.advice(Path("m.safetensors"), 1, 1000, True, {})
        assert advised.startswith(f"{by_bits}; train on the grid, ")
        advised = search.advice(Path("m.safetensors"), 2, 1000, True, {})
        assert advised.startswith(f"{by_bits}; qnn train takes networks of one input")
        assert advised.endswith(f": give {more}")
