import json

import pytest
import torch
import typer

from qnn.cli.rounding import rounding_options
from qnn.nn import artifact

QUICK = ("--rounding", "discquant", "--terms", "1", "--set", "steps=3", "--set", "batch=8")


def test_options_are_of_the_kind_of_their_defaults():
    texts = ["steps=7", "rate=0.2", "betas=0.8,0.99", "start=uniform", "tune_bias=true"]
    assert rounding_options("discquant", texts) == {
        "steps": 7,
        "rate": 0.2,
        "betas": (0.8, 0.99),
        "start": "uniform",
        "tune_bias": True,
    }
    assert rounding_options("nearest", None) == {}


@pytest.mark.parametrize(
    ("method", "setting", "text"),
    [
        (
            "up",
            "a=1",
            "rounding must be one of nearest, discquant, adaround, gptq, latent, not 'up'",
        ),
        ("nearest", "a=1", "nearest has no option 'a'; it has none"),
        ("discquant", "steps=few", "--set steps needs a value like 1000, not 'few'"),
        ("discquant", "tune_bias=1", "--set tune_bias needs a value like true, not '1'"),
        ("discquant", "betas=a", "--set betas needs a value like 0.9,0.999, not 'a'"),
        ("discquant", "rate=-1", "discquant needs rate over 0, not -1.0"),
    ],
)
def test_an_option_of_no_use_is_refused(method, setting, text):
    with pytest.raises(typer.BadParameter) as error:
        rounding_options(method, [setting])
    assert str(error.value) == text


def test_quantize_rounds_by_the_method_and_resumes(qnn, checkpoint, tmp_path):
    kept, model = tmp_path / "run.safetensors", tmp_path / "model.safetensors"
    command = ("quantize", "digits_cnn", "--checkpoint", checkpoint, "-o", model, *QUICK)
    command = (*command, "--augment", "--rounding-samples", "64", "--resume", kept, "--json")
    code, text, _ = qnn(*command)
    assert code == 0
    assert json.loads(text)["model"] == str(model)
    first = artifact.load(model).state_dict()
    assert qnn(*command)[:2] == (0, text)
    again = artifact.load(model).state_dict()
    assert all(torch.equal(again[name], value) for name, value in first.items())
    before = model.read_bytes()
    assert qnn(*command[:-1], "--set", "seed=1") == (
        3,
        "",
        f"error: {kept}: a rounding checkpoint of other options; choose another path, or remove it "
        f"to start again\n",
    )
    assert model.read_bytes() == before
