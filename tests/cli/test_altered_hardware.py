"""What is simulated, verified and counted is the Verilog that lies in the build folder."""

import hashlib
import json

import numpy as np
import pytest

from hw.spec.verilog_files import simulation_files, synthesis_files
from hw.verilog import mapped_files, verilog
from qnn.design import Design

WHOLE, BROKEN = "$signed(next_activations[7:0])", "$signed({next_activations[7:1], 1'h0})"
ELEMENT = "rtl/qnn_pe.v"


def replace_in(build, name, old, new):
    """Change a file of the build; its hash in the manifest stays."""
    text = (build / name).read_text()
    assert old in text
    (build / name).write_text(text.replace(old, new, 1))


def accept(build, name):
    """Put the hash of a file as it is now, or of none, into the manifest."""
    manifest = json.loads((build / "manifest.json").read_text())
    path = build / name
    manifest["files"].pop(name)
    if path.exists():
        manifest["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (build / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("verb", ["verify", "simulate", "synth"])
def test_altered_verilog_is_refused(qnn, build, verb):
    replace_in(build, ELEMENT, WHOLE, BROKEN)
    code, out, err = qnn(verb, build)
    assert code
    assert out == ""
    assert err == (
        f"error: {build}/{ELEMENT}: missing or altered since it was built; compile the model "
        f"again\n"
    )


@pytest.mark.rtl
def test_altered_verilog_with_its_hash_is_found_by_its_values(qnn, build, tmp_path):
    replace_in(build, ELEMENT, WHOLE, BROKEN)
    accept(build, ELEMENT)
    code, text, _ = qnn("verify", build, "--device", "rtl", "--images", 1, "--json")
    result = json.loads(text)
    assert (code, result["passed"]) == (1, False)
    assert result["mismatches"] > 0
    assert result["first_layer"] == "stem.0"
    for device in ("rtl", "functional"):
        out = tmp_path / f"{device}.npz"
        assert qnn("simulate", build, "--device", device, "--images", 1, "-o", out)[0] == 0
    outputs = [np.load(tmp_path / f"{device}.npz")["fc"] for device in ("rtl", "functional")]
    assert not np.array_equal(*outputs)


@pytest.mark.rtl
def test_synth_counts_the_cells_of_the_build(qnn, build):
    _, before, _ = qnn("synth", build, "--json")
    cells = build / "rtl/ultrascale/qnn_pe.v"
    cells.write_text((build / ELEMENT).read_text())
    accept(build, "rtl/ultrascale/qnn_pe.v")
    code, after, _ = qnn("synth", build, "--json")
    assert code == 0
    assert json.loads(after)["lut"] > json.loads(before)["lut"]


@pytest.mark.parametrize("verb", ["verify", "simulate", "synth"])
def test_a_build_without_verilog_says_so_in_one_line(qnn, build, verb):
    for path in sorted(build.glob("rtl/*.v")):
        path.unlink()
        accept(build, f"rtl/{path.name}")
    code, out, err = qnn(verb, build)
    assert code
    assert out == ""
    assert err == (
        "error: rtl: the build has no Verilog in rtl/, which simulation and synthesis need; "
        "compile the model again\n"
    )


def test_verilog_that_is_no_text_says_so_in_one_line(qnn, build):
    (build / ELEMENT).write_bytes(b"\xff\xfe")
    accept(build, ELEMENT)
    code, _, err = qnn("verify", build)
    assert code
    assert err == (
        f"error: rtl: {ELEMENT} must be text in UTF-8, but is not; compile the model again\n"
    )


def test_what_lies_beside_the_builds_files_is_not_taken(build):
    (build / "rtl/further.v").write_text("module qnn_pe; endmodule\n")
    design = Design.read(build)
    plain = [f"rtl/{name}" for name in sorted(verilog(design.config))]
    cells = [f"rtl/ultrascale/{name}" for name in mapped_files(design.config)]
    assert simulation_files(design.built) == plain
    synthesised = synthesis_files(design.built)
    assert [name for name in synthesised if name in plain] == [
        name for name in plain if name.replace("rtl/", "rtl/ultrascale/") not in cells
    ]
    assert sorted(name for name in synthesised if name not in plain) == sorted(cells)
