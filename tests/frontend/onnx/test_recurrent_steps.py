"""Recurrent layers that PyTorch has no call for: what onnxruntime computes, and its integers."""

import numpy as np
import pytest
import torch

from qnn.design import compile
from qnn.errors import QnnError
from qnn.frontend.aten.recurrent import MOST_STEPS
from qnn.frontend.onnx.read import from_onnx
from qnn.ptq.export import export
from sim.verify import verify
from tests.frontend.onnx.files import check_equal, helper, write
from tests.nearest import quantize

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, WIDE, HIDDEN = 4, 5, 3
GENERATOR = np.random.default_rng(5)
node = helper.make_node


def some(*shape):
    return GENERATOR.uniform(-1, 1, shape).astype(np.float32)


def file(path, kind, peepholes=False, steps=STEPS, **options):
    """One layer over (images, steps, values), whose every step is an output."""
    count = 1 + (options.get("direction") == "bidirectional")
    rows = GATES[kind] * HIDDEN
    constants = {
        "w": some(count, rows, WIDE),
        "r": some(count, rows, HIDDEN),
        "b": some(count, 2 * rows),
    }
    given = ["s", "w", "r", "b"]
    if peepholes:
        constants["p"] = some(count, 3 * HIDDEN)
        given += ["", "", "", "p"]
    nodes = [
        node("Transpose", ["x"], ["s"], perm=[1, 0, 2]),
        node(kind, given, ["all"], hidden_size=HIDDEN, **options),
        node("Transpose", ["all"], ["y"], perm=[2, 0, 1, 3]),
    ]
    return write(path, nodes, {"x": ["n", steps, WIDE]}, ["y"], constants)


def named(*functions, alpha=(), beta=()):
    options = {"activation_alpha": alpha, "activation_beta": beta}
    return {"activations": functions} | {key: given for key, given in options.items() if given}


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GRU", {}),
        ("GRU", {"clip": 0.5}),
        ("GRU", {"clip": 0.5, "linear_before_reset": 1}),
        ("RNN", {"clip": 0.3}),
        ("LSTM", {"clip": 0.3}),
        ("LSTM", {"input_forget": 1}),
        ("LSTM", {"peepholes": True}),
        ("LSTM", {"peepholes": True, "clip": 0.3}),
    ],
)
def test_what_pytorch_has_not(kind, options, direction, tmp_path):
    path = file(tmp_path / "m.onnx", kind, direction=direction, **options)
    check_equal(path, (STEPS, WIDE))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GRU", named("HardSigmoid", "Relu")),
        ("GRU", named("sigmoid", "softsign") | {"linear_before_reset": 1}),
        ("LSTM", named("HardSigmoid", "Softsign", "Relu")),
        # Constants belong to the functions that have some, in their order.
        (
            "LSTM",
            named("HardSigmoid", "LeakyRelu", "ScaledTanh", alpha=[0.3, 0.2, 1.5], beta=[0.4, 0.7]),
        ),
        ("RNN", named("Relu")),
        ("RNN", named("Affine", alpha=[0.3], beta=[0.4])),
        ("RNN", named("Elu", alpha=[0.3])),
        ("RNN", named("Softplus")),
        ("RNN", named("ThresholdedRelu", alpha=[0.3])),
        ("RNN", named("Relu", "Tanh") | {"direction": "bidirectional"}),
    ],
)
def test_other_functions(kind, options, tmp_path):
    check_equal(file(tmp_path / "m.onnx", kind, **options), (STEPS, WIDE))


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(
    ("kind", "options"), [("GRU", {}), ("RNN", {"clip": 0.3}), ("LSTM", {"input_forget": 1})]
)
def test_states_that_are_given_and_the_last_ones(kind, options, direction, tmp_path):
    """Without a bias; all steps' outputs, and the last ones of each state."""
    count = 1 + (direction == "bidirectional")
    rows, states = GATES[kind] * HIDDEN, ("h", "c") if kind == "LSTM" else ("h",)
    constants = {"w": some(count, rows, WIDE), "r": some(count, rows, HIDDEN)}
    begun, ended = ([f"{state} {when}" for state in states] for when in ("begun", "ended"))
    given, found = ["s", "w", "r", "", "", *begun], ["all", *ended]
    nodes = [
        node("Transpose", ["x"], ["s"], perm=[1, 0, 2]),
        *(node("Transpose", [s], [b], perm=[1, 0, 2]) for s, b in zip(states, begun, strict=True)),
        node(kind, given, found, hidden_size=HIDDEN, direction=direction, **options),
        node("Transpose", ["all"], ["y"], perm=[2, 0, 1, 3]),
        *(node("Transpose", [e], [f"last {e[0]}"], perm=[1, 0, 2]) for e in ended),
    ]
    inputs = {"x": ["n", STEPS, WIDE]} | {state: ["n", count, HIDDEN] for state in states}
    outputs = ["y", *(f"last {state}" for state in states)]
    path = write(tmp_path / "m.onnx", nodes, inputs, outputs, constants)
    check_equal(path, (STEPS, WIDE), *[(count, HIDDEN)] * len(states))


@pytest.mark.parametrize("options", [{}, named("HardSigmoid", "Tanh") | {"clip": 2.0}])
def test_integers_are_those_of_the_compiled_network(options, tmp_path):
    model = from_onnx(file(tmp_path / "m.onnx", "GRU", **options))
    images = torch.from_numpy(some(16, STEPS, WIDE))
    quantized = quantize(model, images, terms=3)
    with torch.no_grad():
        assert float((quantized(images) - model(images)).abs().max()) < 0.1
    verify(compile(export(quantized), config="test"), images[:2], device="functional")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (named("Sigmoid", "Gelu"), "needs functions that ONNX defines, not 'Gelu'"),
        (named("Sigmoid"), "needs 2 functions, not 1"),
        ({"steps": MOST_STEPS + 1}, f"needs at most {MOST_STEPS} steps, not {MOST_STEPS + 1}"),
    ],
)
def test_what_is_refused(options, text, tmp_path):
    with pytest.raises(QnnError) as error:
        from_onnx(file(tmp_path / "m.onnx", "GRU", **options))
    assert "\n" not in str(error.value)
    assert text in str(error.value)
