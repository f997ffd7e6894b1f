"""``evaluate`` at each fidelity, and fingerprints of what it depends on."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import qnn
from qnn.explore import evaluate as module
from qnn.explore import version
from qnn.explore.energy import energy, lane_toggles
from qnn.explore.evaluate import (
    evaluate,
    fingerprint,
    profile_fingerprint,
    rounding_fingerprint,
)
from qnn.explore.evaluation import Fidelity, Figure
from qnn.explore.hardware import CODE_ERROR, FF_ERROR, LUT_ERROR
from qnn.explore.network import FloatNetwork
from qnn.explore.point import ARRAY, ClockInterval, Point
from qnn.explore.profile import Anchor, Profile, rising
from qnn.ir.serialize import from_bytes
from sim.cycles import simulate_cycles
from tests.explore.subjects import network, point, profile

CHEAP = (Fidelity.PROXY, Fidelity.QUICK)


@pytest.fixture(scope="module")
def full():
    return evaluate(network(), profile(), point(2), Fidelity.FULL)


def within(value, figure):
    return figure.low <= value <= figure.high


@pytest.mark.parametrize("fidelity", CHEAP)
def test_an_evaluation_is_a_function_of_its_arguments(fidelity):
    first, again = (evaluate(network(), profile(), point(1), fidelity) for _ in range(2))
    assert first.failure is None
    assert first.figures == again.figures
    assert set(first.figures) == {
        *("lost", "accuracy", "cycles", "fps", "energy", "lut", "ff", "bram18")
    }
    assert all(figure.low <= figure.value <= figure.high for figure in first.figures.values())
    assert first.value("accuracy") == network().float_accuracy - first.value("lost")


def test_each_figure_says_how_it_was_got():
    proxy, quick = (evaluate(network(), profile(), point(1), f).figures for f in CHEAP)
    assert (proxy["lost"].mark, quick["lost"].mark) == ("estimated", "measured")
    assert {name: quick[name].mark for name in ("cycles", "fps", "lut", "energy")} == {
        "cycles": "simulated",
        "fps": "estimated",
        "lut": "estimated",
        "energy": "estimated",
    }


def test_more_terms_lose_less_and_take_longer():
    one, three = (evaluate(network(), profile(), point(k), Fidelity.QUICK) for k in (1, 3))
    assert three.value("lost") <= one.value("lost")
    assert three.value("cycles") > one.value("cycles")
    assert three.value("energy") > one.value("energy")
    assert three.value("lut") == one.value("lut")


def test_a_larger_array_is_faster_and_takes_more():
    small = evaluate(network(), profile(), point(2), Fidelity.PROXY)
    wide = point(2, array={**point().array, "columns": 4})
    large = evaluate(network(), profile(), wide, Fidelity.PROXY)
    assert large.value("fps") > small.value("fps")
    assert large.value("lut") > small.value("lut")
    for name, error in (("lut", LUT_ERROR), ("ff", FF_ERROR)):
        assert large.figures[name].high == pytest.approx((1 + error) * large.value(name))


def test_cores_share_the_frames_and_multiply_the_cells():
    one = evaluate(network(), profile(), point(1), Fidelity.PROXY)
    two = evaluate(network(), profile(), point(1, cores=2), Fidelity.PROXY)
    assert one.value("fps") < two.value("fps") <= 2 * one.value("fps")
    assert two.value("lut") == 2 * one.value("lut")


def test_rates_are_at_the_low_end_of_the_clock():
    clock = ClockInterval(100.0, 150.0, 200.0)
    found = evaluate(network(), profile(), point(1, clock=clock), Fidelity.QUICK)
    assert found.value("fps") == pytest.approx(1e8 / found.value("cycles"))
    assert found.figures["fps"].high == pytest.approx(2e8 / found.value("cycles"))


def test_the_full_fidelity_is_what_quantize_makes(full):
    graph = from_bytes(full.graph)
    config = full.point.config(graph)
    artifact = qnn.compile(graph, config).artifact
    assert simulate_cycles(artifact).cycles == full.value("cycles")
    quantized = qnn.quantize(
        network().model,
        network().given,
        terms=dict(full.point.terms),
        activation_bits=8,
        target=100.0,
        auto=qnn.Auto(report=lambda _line: None),
    )
    assert graph == qnn.export(quantized) or str(graph) == str(qnn.export(quantized))
    assert full.value("test_accuracy") == network().accuracy(quantized)


def test_the_proxy_is_within_its_errors_of_the_full_fidelity(full):
    proxy = evaluate(network(), profile(), full.point, Fidelity.PROXY)
    assert within(full.value("cycles"), proxy.figures["cycles"])
    assert full.value("lut") == proxy.value("lut")
    assert CODE_ERROR < 0.05


@pytest.mark.parametrize("fidelity", [Fidelity.QUICK, Fidelity.FULL])
def test_a_rounded_network_is_good_for_all_arrays(full, fidelity, monkeypatch):
    first = full if fidelity is Fidelity.FULL else evaluate(*two_terms(), fidelity)
    wide = point(2, array={**point().array, "columns": 4}, cores=2)
    anew = evaluate(network(), profile(), wide, fidelity)
    assert rounding_fingerprint(network(), wide, fidelity) == rounding_fingerprint(
        network(), point(2), fidelity
    )
    monkeypatch.delattr(module, "rounded")
    again = evaluate(network(), profile(), wide, fidelity, first.rounded)
    assert again.figures == anew.figures
    assert again.graph == anew.graph


def two_terms():
    return network(), profile(), point(2)


def test_a_rounding_is_of_all_that_changes_integers(monkeypatch):
    def mark(given, fidelity=Fidelity.FULL):
        return rounding_fingerprint(network(), given, fidelity)

    assert mark(point(1), Fidelity.PROXY) is None
    marks = {
        mark(point(1)),
        mark(point(2)),
        mark(point(1), Fidelity.QUICK),
        mark(point(1, weight_bits=4)),
        mark(point(1, activation_bits=9)),
    }
    assert len(marks) == 5
    monkeypatch.setattr(module, "version", lambda: "another")
    assert mark(point(1)) not in marks


def test_a_network_that_does_not_fit_its_array_is_rounded_for_others():
    odd = evaluate(network(), profile(), point(1, array={"lanes": 12}), Fidelity.QUICK)
    assert odd.failure == "SvpeConfig lanes must be a power of two from 2 to 64, not 12"
    plain = evaluate(network(), profile(), point(1), Fidelity.QUICK)
    assert odd.rounded == plain.rounded


def test_rows_of_a_layer_may_have_terms_of_their_own():
    terms = dict.fromkeys(profile().losses, 1)
    count = len(profile().shares["head"])
    mixed = point(1).with_terms(terms | {"head": (2,) + (1,) * (count - 1)})
    found = [evaluate(network(), profile(), p, Fidelity.PROXY) for p in (point(1), mixed)]
    assert all(each.failure is None for each in found)
    distances = [profile().distance(p.terms) for p in (point(1), mixed)]
    assert distances[1] <= distances[0]


def test_what_does_not_fit_is_a_result_with_its_reason():
    partly = point(1).with_terms({"head": 1})
    found = evaluate(network(), profile(), partly, Fidelity.QUICK)
    assert found.figures == {}
    assert found.failure is not None
    assert found.failure.startswith("terms needs a match for every layer, but none of 'head'")
    odd = evaluate(network(), profile(), point(1, array={"lanes": 12}), Fidelity.PROXY)
    assert odd.failure == "SvpeConfig lanes must be a power of two from 2 to 64, not 12"


def test_a_fingerprint_changes_with_each_thing_that_it_depends_on(monkeypatch):
    base = (network(), profile(), point(1), Fidelity.PROXY)
    known = {fingerprint(*base)}
    model = network().model
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    other = type(model)()
    other.load_state_dict(weights | {"head.bias": weights["head.bias"] + 1})
    test = network().test
    networks = [
        FloatNetwork(other.eval(), network().images, test),
        FloatNetwork(model, (network().images[0] + 1e-3,), test),
        FloatNetwork(model, network().images, replace(test, inputs=(test.inputs[0] + 1e-3,))),
    ]
    variants = [
        *((each, *base[1:]) for each in networks),
        (base[0], replace(profile(), spread=9.0), *base[2:]),
        *((*base[:3], fidelity) for fidelity in (Fidelity.QUICK, Fidelity.FULL)),
    ]
    points = [
        point(2),
        point(1, activation_bits=9),
        point(1, weight_bits=4),
        point(1, cores=2),
        point(1, clock=ClockInterval(1.0, 2.0, 3.0)),
        *(point(1, array=point().array | {name: 4}) for name in ARRAY),
    ]
    variants += [(*base[:2], each, base[3]) for each in points]
    for variant in variants:
        known.add(fingerprint(*variant))
    assert len(known) == 1 + len(variants)
    assert fingerprint(*base) in known
    monkeypatch.setattr(module, "version", lambda: "another")
    assert fingerprint(*base) not in known
    assert profile_fingerprint(network(), (3, 8)) != profile_fingerprint(network(), (3, 9))


def test_dearer_fidelities_do_not_depend_on_the_profile():
    other = replace(profile(), spread=9.0)
    pairs = [fingerprint(network(), p, point(1), Fidelity.QUICK) for p in (profile(), other)]
    assert pairs[0] == pairs[1]


def test_the_version_is_of_every_file_that_computes(tmp_path, monkeypatch):
    names = {path.relative_to(version.ROOT).as_posix() for path in version.sources()}
    assert {"qnn/ptq/round_layers.py", "hw/spec/resources.json", "sim/cycles/core.py"} <= names
    assert {"qnn/explore/evaluate.py", "qnn/explore/evaluation.py"} <= names
    assert "qnn/cli/app.py" not in names
    before = version.version()
    (tmp_path / "hw").mkdir()
    (tmp_path / "hw" / "some.py").write_text("x = 1")
    monkeypatch.setattr(version, "ROOT", tmp_path)
    monkeypatch.setattr(version, "COMPUTES", ("hw",))
    version.version.cache_clear()
    assert version.version() != before
    version.version.cache_clear()


def test_a_point_goes_to_json_and_back():
    given = Point(
        terms={"a": 2, "b": (1, 2, 1)}, array={"lanes": 8}, clock=ClockInterval(1.0, 2.0, 3.0)
    )
    assert Point.from_fields(given.to_fields()) == given


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Point(array={"lane": 8}), "a point's array needs sizes of lanes, "),
        (lambda: Point(cores=0), "a point needs 1 core or more, not 0"),
        (lambda: ClockInterval(3, 2, 1), "a clock interval needs 0 < low <= expected <= high"),
        (
            lambda: ClockInterval(1, 2, float("inf")),
            "a clock interval needs .*, finite, not 1, 2, inf",
        ),
        (lambda: Figure(1.0, 0.0, 2.0, "guessed"), "a figure is measured, simulated, estimated"),
    ],
)
def test_what_is_no_point_is_refused(make, text):
    with pytest.raises(ValueError, match=f"^{text}"):
        make()


ANCHORS = st.lists(
    st.tuples(st.floats(0, 10), st.floats(0, 50), st.floats(0, 1)), min_size=1, max_size=6
)


@given(ANCHORS, st.lists(st.floats(0, 20), min_size=2, max_size=2))
def test_predictions_never_fall_with_distance(found, distances):
    anchors = rising([Anchor(*each) for each in found])
    assert [a.lost for a in anchors] == sorted(a.lost for a in anchors)
    losses = {"a": {"1": max(distances), "2": min(distances)}}
    scaled = Profile(losses, {"a": [1.0]}, 0.0, {"a": 1}, anchors)
    assert scaled.lost({"a": 1}) >= scaled.lost({"a": 2}) - 1e-9


def test_predictions_pass_through_the_anchors():
    anchors = rising([Anchor(1.0, 2.0, 0.1), Anchor(3.0, 6.0, 0.1), Anchor(4.0, 12.0, 0.1)])
    losses = {"a": {"1": 4.0, "2": 3.0, "3": 2.0, "4": 0.5, "5": 6.0}}
    found = Profile(losses, {}, 0.0, {"a": 1}, anchors)
    assert [found.lost({"a": k}) for k in (1, 2, 3, 4, 5)] == [12.0, 6.0, 4.0, 1.0, 24.0]


def test_wider_codes_and_activations_toggle_more():
    assert [lane_toggles(bits, 8) for bits in (2, 3, 4, 5)] == sorted(
        lane_toggles(bits, 8) for bits in (2, 3, 4, 5)
    )
    for bits in (2, 3, 4, 5):
        assert lane_toggles(bits, 8) < lane_toggles(bits, 12) < lane_toggles(bits, 16)
    config = point(1).size
    little, much = energy(config, 100.0, 1000.0), energy(config, 200.0, 2000.0)
    assert much.value == pytest.approx(2 * little.value)
    assert little.low < little.value < little.high


def test_a_network_is_left_as_it_was():
    before = {name: value.clone() for name, value in network().model.state_dict().items()}
    evaluate(network(), profile(), point(1), Fidelity.QUICK)
    after = network().model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
