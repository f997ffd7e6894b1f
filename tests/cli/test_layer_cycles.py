"""What a simulation says of layers, and the options of its waves."""

import json

import pytest

from qnn.cli.waves import DEFAULT_CYCLES
from sim.record_waves import CYCLES


def test_the_default_of_the_command_is_that_of_python():
    assert DEFAULT_CYCLES == CYCLES


def test_waves_of_a_device_without_signals_are_wrong_usage(qnn, build, tmp_path):
    file = tmp_path / "w.fst"
    for verb in ("verify", "simulate"):
        code, out, err = qnn(verb, build, "--device", "functional", "--waves", file)
        assert (code, out) == (2, "")
        # The frame that wrong usage has wraps its text.
        said = " ".join(err.replace("│", " ").split())
        assert "which device 'functional' has none of; take device 'rtl'" in said
        assert not file.exists()


@pytest.mark.rtl
def test_the_cycles_of_each_layer_add_up_and_are_shown(qnn, build):
    found = {}
    for verb in ("verify", "simulate"):
        code, text, _ = qnn(verb, build, "--device", "rtl", "--images", 1, "--json")
        found[verb] = json.loads(text)
        assert (code, found[verb]["waves"]) == (0, None)
    layers = found["simulate"]["layer_cycles"]
    assert layers == found["verify"]["layer_cycles"]
    assert sum(layers.values()) == found["simulate"]["cycles_per_image"]
    assert next(iter(layers)) == "(before the first layer)"
    assert layers["fc"] > 0

    code, text, _ = qnn("verify", build, "--device", "rtl", "--images", 1)
    title, header, *rows = text.splitlines()[1:]
    assert title.strip() == "cycles of each layer"
    assert header.split() == ["layer", "cycles", "an", "image", "share"]
    shares = [float(row.split()[-1].rstrip("%")) for row in rows]
    assert len(rows) == len(layers)
    assert sum(shares) == pytest.approx(100, abs=0.5)
