"""Steps of learnt rounding are measured beside float ones, each in turn."""

import json

import pytest
import torch
from torch import nn

from qnn.bench import rounding_cost
from qnn.bench.rounding_cost import FORMS, LEARNT, WARM_UP, Laps, compared
from qnn.bench.step_networks import STEP_NETWORKS, StepNetwork
from qnn.cli.app import main


def tiny():
    layers = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))


TINY = StepNetwork(tiny, (3, 6, 6), batch=4)


@pytest.mark.parametrize(
    ("name", "parameters", "outputs"),
    [
        # Of the papers: 0.27, 1.0 and 2.2 million, the last for ten classes.
        ("resnet20", 269_722, (10,)),
        ("densenet40", 1_019_722, (10,)),
        ("mobilenetv2", 2_236_682, (10,)),
        ("unet", 117_412, (4, 64, 64)),
    ],
)
def test_networks_have_the_sizes_that_papers_give(name, parameters, outputs):
    network = STEP_NETWORKS[name]
    model = network.module()
    assert sum(p.numel() for p in model.parameters()) == parameters
    with torch.no_grad():
        assert model(network.images()[:2]).shape == (2, *outputs)


def test_others_take_a_turn_after_each_step():
    ran = []
    laps = Laps({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")})
    laps.begin()
    for _ in range(WARM_UP + 2):
        ran.append("own")
        laps.after("own")
    assert ran == ["own", "a", "b"] * (WARM_UP + 2)
    found = laps.milliseconds()
    assert list(found) == ["own", "a", "b"]
    assert all(0 <= spent < 1000 for spent in found.values())


def test_a_median_leaves_out_the_first_steps():
    laps = Laps({}, {"own": [9.0, 9.0, 0.1, 0.3, 0.2]})
    assert laps.milliseconds() == {"own": 200.0}


def test_ratios_are_to_float_in_its_faster_format():
    milliseconds = {"float contiguous": 20.0, "float channels_last": 10.0} | dict.fromkeys(
        LEARNT, 15.0
    )
    mebibytes = {"float contiguous": 50.0, "float channels_last": 100.0} | dict.fromkeys(
        LEARNT, 120.0
    )
    found = compared("resnet20", milliseconds, mebibytes)
    assert found.time_to_float == dict.fromkeys(LEARNT, 1.5)
    assert found.memory_to_float == dict.fromkeys(LEARNT, 1.2)


def test_a_process_says_what_it_measured(monkeypatch, capsys):
    monkeypatch.setitem(STEP_NETWORKS, "tiny", TINY)
    rounding_cost.main(["time", "tiny", "4", "1"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(found) == set(FORMS)
    assert all(found[form] > 0 for form in FORMS if form != "adaround")
    for form in ("float contiguous", "discquant"):
        rounding_cost.main(["memory", "tiny", "4", form])
        assert json.loads(capsys.readouterr().out.splitlines()[-1])[form] >= 0


def test_each_form_has_a_process_and_the_command_a_row(monkeypatch, capsys):
    asked = []

    def child(kind, *rest):
        asked.append((kind, *rest))
        return dict.fromkeys(FORMS, 10.0) if kind == "time" else {rest[2]: 100.0}

    monkeypatch.setattr(rounding_cost, "_child", child)
    with pytest.raises(SystemExit) as left:
        main(["bench", "rounding", "--only", "unet", "--steps", "3", "--batch", "8", "--json"])
    assert not left.value.code
    found = json.loads(capsys.readouterr().out)
    assert asked == [
        ("time", "unet", "8", "3"),
        *(("memory", "unet", "8", form) for form in FORMS),
    ]
    assert found["batch"] == 8
    (unet,) = found["networks"]
    assert unet["time_to_float"] == unet["memory_to_float"] == dict.fromkeys(LEARNT, 1.0)
    with pytest.raises(SystemExit):
        main(["bench", "rounding", "--only", "unet"])
    assert capsys.readouterr().out.count("unet") == len(FORMS)


def test_a_network_that_there_is_not_is_one_line(capsys):
    with pytest.raises(SystemExit) as left:
        main(["bench", "rounding", "--only", "vgg"])
    assert left.value.code == 2
    text = "must be one of resnet20, densenet40, mobilenetv2, unet, not 'vgg'"
    assert text in " ".join(capsys.readouterr().err.split())
