import json
from dataclasses import asdict
from importlib import metadata

import pytest

from qnn.bench import cost, rival
from qnn.bench.cost import Cost, best, times
from qnn.bench.fresh_process import peak_mebibytes
from qnn.bench.steps import NETWORKS, SETUPS, Setup
from qnn.errors import ToolError

FLOAT = Setup(network="float", precision="fp32", memory_format="channels_last")
QUANTIZED = Setup(network="quantized", precision="fp32", memory_format="channels_last")
BREVITAS = Setup(network="brevitas", precision="fp32", memory_format="channels_last")


@pytest.fixture
def no_brevitas(monkeypatch):
    def version(_name):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(rival.metadata, "version", version)


def test_every_network_has_every_form():
    assert len({setup.name for setup in SETUPS}) == len(SETUPS) == len(NETWORKS) * 2 * 2


def test_steps_take_turns_in_an_order_that_rotates():
    calls = []
    steps = {name: lambda name=name: calls.append(name) for name in "abc"}
    found = times(steps, 4)
    assert list(found) == ["a", "b", "c"]
    turns = ["".join(calls[start : start + 3]) for start in range(0, len(calls), 3)]
    assert turns == ["abc", "bca", "cab", "abc", "bca", "cab"]


def test_each_network_counts_in_its_faster_format():
    slow = Cost(network="float", precision="fp32", memory_format="a", milliseconds=3, mebibytes=1)
    fast = Cost(network="float", precision="fp32", memory_format="b", milliseconds=2, mebibytes=4)
    ours = Cost(**{**asdict(fast), "network": "quantized", "milliseconds": 3, "mebibytes": 5})
    costs = (slow, fast, ours, Cost(**asdict(BREVITAS), skipped="why"))
    assert best(costs, "float", "fp32") == fast
    assert best(costs, "brevitas", "fp32") is None
    assert cost._ratios(costs, "float", "milliseconds") == {"fp32": 1.5}
    assert cost._ratios(costs, "float", "mebibytes") == {"fp32": 1.25}
    assert cost._ratios(costs, "brevitas", "milliseconds") == {"fp32": None}


def test_without_brevitas_the_reason_is_said(no_brevitas):
    assert rival.missing() == "brevitas is not installed; pip install 'brevitas==0.13.*'"


def test_another_brevitas_is_no_comparison(monkeypatch):
    monkeypatch.setattr(rival.metadata, "version", lambda _: "0.14.0")
    assert rival.missing() == "brevitas 0.14.0 is not 0.13; pip install 'brevitas==0.13.*'"
    monkeypatch.setattr(rival.metadata, "version", lambda _: "0.13.4")
    assert rival.missing() is None


def test_what_is_skipped_stands_in_the_result(no_brevitas, monkeypatch):
    asked = []

    def child(kind, *rest):
        asked.append((kind, *rest))
        names = rest[1:] if kind == "time" else rest
        return dict.fromkeys(names, 10.0 if kind == "time" else 100.0)

    monkeypatch.setattr(cost, "_child", child)
    found = cost.measure(5, (FLOAT, QUANTIZED, BREVITAS)).to_fields()
    assert asked == [
        ("time", "5", FLOAT.name, QUANTIZED.name),
        ("memory", FLOAT.name),
        ("memory", QUANTIZED.name),
    ]
    assert [(c["network"], c["skipped"]) for c in found["costs"]] == [
        ("float", None),
        ("quantized", None),
        ("brevitas", rival.missing()),
    ]
    assert found["time_to_float"] == found["memory_to_float"] == {"fp32": 1.0}
    assert found["time_to_brevitas"] == {"fp32": None}


def test_a_process_that_fails_is_one_line():
    with pytest.raises(ToolError) as caught:
        cost._child("memory", "nothing")
    assert str(caught.value) == (
        "bench training: measuring 'memory nothing' failed: KeyError: 'nothing'"
    )


def test_a_process_says_what_it_measured(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(cost, "step", lambda setup: lambda: ran.append(setup.name))
    cost.main(["time", "2", FLOAT.name, QUANTIZED.name])
    assert list(json.loads(capsys.readouterr().out)) == [FLOAT.name, QUANTIZED.name]
    assert ran.count(FLOAT.name) == ran.count(QUANTIZED.name) == cost.WARM_UP + 2
    cost.main(["memory", FLOAT.name])
    assert json.loads(capsys.readouterr().out)[FLOAT.name] >= 0


def test_peak_memory_grows_with_what_is_held():
    before = peak_mebibytes()
    held = bytearray(b"x" * (300 << 20))
    assert peak_mebibytes() >= len(held) / (1 << 20) > 0
    assert peak_mebibytes() >= before


@pytest.mark.slow
def test_a_step_on_the_grid_costs_little_more_than_float():
    found = cost.measure(7, (FLOAT, QUANTIZED))
    assert found.time_to_float["fp32"] <= 1.5
    assert found.memory_to_float["fp32"] <= 1.5


@pytest.mark.slow
def test_a_step_on_the_grid_costs_less_than_brevitas():
    if rival.missing():
        pytest.skip(rival.missing())
    found = cost.measure(7, (BREVITAS, QUANTIZED))
    assert found.time_to_brevitas["fp32"] < 1
    assert found.memory_to_brevitas["fp32"] < 1
