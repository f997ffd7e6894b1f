"""Results with others between them: in RTL as in the reference, in the model's cycles."""

from dataclasses import replace

import pytest

import qnn
from hw.spec.config import SvpeConfig, named_config
from qnn.ir.window import Window
from sim.cycles import simulate_cycles
from sim.exercise import Exercise
from sim.verify import verify
from tests.graphs import images
from tests.sim.checks import check_in_rtl

TEST = named_config("test")
SMALL = replace(TEST, feature_words=256, weight_words=128, parameter_words=16)
WIDE = replace(TEST, columns=8, feature_words=1024)
POINT = Window(kernel=(1, 1))


def woven(config):
    """Phases of unequal sizes: pooled, summed with a skip operand, of several blocks, cut off."""
    net = Exercise(config, seed=4)
    lanes = config.lanes
    x = net.input("x", (lanes + 2, 7, 9), signed=False)
    a = net.conv("a", x, lanes + 2, POINT, relu=True)
    phases = [
        net.pool("pooled", a, Window(kernel=(3, 3), padding=(1, 1, 1, 1))),
        net.conv("summed", a, lanes + 2, Window(kernel=(1, 2)), relu=True),
        net.conv("cut", a, lanes + 2, Window(kernel=(1, 3), padding=(0, -1, 1, 1)), relu=True),
        net.conv("both", a, lanes + 2, Window(kernel=(1, 2), padding=(-1, 0, 0, 0)), relu=True),
    ]
    phases[1] = net.conv("more", phases[1], lanes + 2, POINT, skip=phases[1], relu=True)
    up = net.interleave("up", (2, 2), *phases)
    assert up.shape[1:] == (13, 17)
    last = net.conv("last", up, 3, Window(kernel=(3, 3), padding=(1, 1, 1, 1)), rounded=False)
    return net.graph(last, up)


@pytest.mark.parametrize("config", [TEST, SMALL], ids=["on chip", "in strips"])
def test_phases_are_computed_as_the_reference_says(config):
    graph = woven(config)
    design = qnn.compile(graph, config, batch=2)
    report = verify(design, images(graph, 2), "functional")
    assert report.passed, str(report)
    spread = {layer.name: layer.output.x_step for layer in design.artifact.layers}
    assert {name for name, step in spread.items() if step == 2} == {"pooled", "more", "cut", "both"}


@pytest.mark.rtl
@pytest.mark.parametrize("config", [TEST, SMALL], ids=["on chip", "in strips"])
def test_phases_take_the_cycles_of_the_model_in_rtl(config):
    check_in_rtl(woven(config), config)


def shuffled(config):
    """A pixel shuffle of a map that does not fit: two words are loaded for four results."""
    net = Exercise(config, seed=4)
    x = net.input("x", (2 * config.lanes, 20, 20), signed=False)
    phases = [net.conv(f"phase{n}", x, config.lanes, POINT, relu=True) for n in range(4)]
    return net.graph(net.interleave("up", (2, 2), *phases))


@pytest.mark.rtl
def test_loads_pass_results_with_steps_between_them_cycle_by_cycle_as_in_the_model(monkeypatch):
    design = qnn.compile(shuffled(WIDE), WIDE)
    assert len(design.artifact.layers) > 4  # in strips
    report = verify(design, images(design.graph, 2), "rtl")
    assert report.passed, str(report)
    model = simulate_cycles(design.artifact).cycles
    assert report.run_cycles == (model, model)
    # Of two sides, results that step by two take one throughout.
    monkeypatch.setattr(SvpeConfig, "sides", 2)
    assert simulate_cycles(design.artifact).cycles > 1.1 * model
