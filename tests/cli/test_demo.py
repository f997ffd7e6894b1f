import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hw.spec.config import SvpeConfig
from qnn.cli import demo
from qnn.cli.demo import DemoResult, StepClock, integer_accuracy, utilisation
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Input
from qnn.quant.qtype import QType
from tests.operators import conv

RESULT = DemoResult(
    float_accuracy=99.5,
    quantized_accuracy=98.25,
    images_simulated=4,
    values_compared=17104,
    mismatches=0,
    cycles_per_image=8887.0,
    array_utilisation=0.75,
    array_lut=1784,
    array_dsp=0,
    seconds=100.5,
)


@pytest.fixture
def measured(monkeypatch):
    """Let the demo measure ``RESULT``, with some fields changed."""

    def set_result(**changes):
        monkeypatch.setattr(demo, "run_demo", lambda *_: replace(RESULT, **changes))

    return set_result


def test_json_is_the_result_alone(qnn, measured):
    measured()
    code, out, _ = qnn("demo", "--json")
    assert code == 0
    assert json.loads(out) == {
        "float_accuracy": 99.5,
        "quantized_accuracy": 98.25,
        "images_simulated": 4,
        "values_compared": 17104,
        "mismatches": 0,
        "cycles_per_image": 8887.0,
        "array_utilisation": 0.75,
        "array_lut": 1784,
        "array_dsp": 0,
        "seconds": 100.5,
    }


def test_the_table_has_every_number(qnn, measured):
    measured()
    _, out, _ = qnn("demo")
    for text in ("99.50 %", "98.25 %", "17,104", "8,887", "75.0%", "1,784", "100.5"):
        assert text in out


def test_a_mismatch_leaves_with_1(qnn, measured):
    measured(mismatches=3)
    assert qnn("demo", "--json")[0] == 1


def test_seconds_of_each_step_are_kept_and_said(capsys):
    clock = StepClock()
    with clock.step("think") as report:
        report(1, 2)
    assert list(clock.steps) == ["think"]
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"think: {clock.steps['think']:.1f} s\n")


def test_utilisation_is_work_over_room():
    layers = [SimpleNamespace(macs=600), SimpleNamespace(macs=200)]  # two images of 400
    image = SimpleNamespace(config=SvpeConfig(lanes=2, rows=2, columns=1), layers=layers, batch=2)
    assert utilisation(image, cycles=200) == 400 / (200 * 4)


def test_accuracy_is_of_the_integers():
    # a network that gives back its two inputs: the greater one is the answer
    table = np.tile(np.arange(256, dtype=np.int64), (2, 1))
    pixel = Input(name="x", shape=(2, 1, 1), type=QType(8, False, 0), table=table)
    same = conv(
        name="y",
        input="x",
        shape=(2, 1, 1),
        type=QType(32, True, 2),
        codes=np.array([[3, 0], [0, 3]], np.int8).reshape(1, 2, 2, 1, 1),
        weight_bits=3,
        rounded=False,
    )
    graph = Graph((pixel, same), (Output("y", (2,)),))
    pixels = np.array([[5, 9], [9, 5], [0, 255], [1, 0]], np.uint8).reshape(4, 2, 1, 1)
    assert integer_accuracy(graph, pixels, np.array([1, 0, 1, 1])) == 75.0
