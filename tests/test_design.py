import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

import qnn
import qnn.design as design_module
from boards.vivado import reports
from boards.vivado.reports import UTILIZATION
from hw.spec.config import named_config
from hw.verilog import MAPPED, mapped_files, verilog
from qnn.backend.array.configure import config_for
from qnn.design import Design, compile
from qnn.errors import CompileError
from qnn.ir.bounds import bounds
from tests.compiler import small_graphs
from tests.operators import changed

TEXT = "\n".join(  # of a report of Vivado, as far as it is read
    [
        "| Site Type | Used | Fixed | Available | Util% |",
        *(f"| {row} | 1 | 0 | 9 | 0.1 |" for row in reports.ROWS.values()),
    ]
)


@pytest.fixture(scope="module")
def design():
    return compile(small_graphs.network())


@pytest.fixture(scope="module")
def written(design, tmp_path_factory):
    return design.write(tmp_path_factory.mktemp("design") / "build")


@pytest.fixture
def built(written, tmp_path):
    """A build folder of the test's own."""
    return shutil.copytree(written, tmp_path / "build")


def test_a_build_folder_gives_the_design_back(design, built):
    again = Design.read(built)
    assert again.artifact == design.artifact
    assert again.config == design.config
    assert str(again.graph) == str(design.graph)


def test_a_build_folder_holds_verilog_reports_and_hashes(design, built):
    manifest = json.loads((built / "manifest.json").read_text())
    assert manifest["fingerprint"] == f"{design.config.fingerprint:016x}"
    files = {str(p.relative_to(built)) for p in built.rglob("*") if p.is_file()}
    # A test bench may be changed by who runs it: the manifest does not hold it.
    bench = {name for name in files if name.startswith("testbench/")}
    assert files - bench == {*manifest["files"], "manifest.json"}
    assert {"testbench/testbench.sv", "testbench/run.sh", "testbench/expected.hex"} <= bench
    assert {"rtl/qnn_accelerator.v", "rtl/qnn_pe.v", "rtl/ultrascale/qnn_pe.v"} <= files
    mapped = {name for name in files if name.startswith("rtl/ultrascale/")}
    assert mapped == {f"rtl/ultrascale/{name}.v" for name in MAPPED}
    assert {name.replace("ultrascale/", "") for name in mapped} <= files
    assert {"driver/driver.py", "driver/image.bin", "driver/qnn_accelerator.h"} <= files
    cells = [(built / folder / "qnn_pe.v").read_text() for folder in ("rtl", "rtl/ultrascale")]
    assert ["CARRY8" in text for text in cells] == [False, True]
    cycles = json.loads((built / "report/estimate_layer_cycles.json").read_text())
    assert set(cycles) == {f"estimated_{layer.name}_cycles" for layer in design.artifact.layers}
    totals = json.loads((built / "report/estimate_network_performance.json").read_text())
    assert totals["estimated_cycles_per_image"] == sum(cycles.values())
    assert 0 < totals["estimated_array_utilisation"] < 1


def test_further_files_are_made_from_those_that_are_there_and_are_in_the_manifest(design, tmp_path):
    def count(files):
        return {"further/count.txt": str(len(files)).encode()}

    folder = design.write(tmp_path / "build", count)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (folder / "further/count.txt").read_text() == str(len(manifest["files"]) - 1)
    Design.read(folder)
    (folder / "further/count.txt").write_text("0")
    with pytest.raises(CompileError, match=r"count\.txt: missing or altered since it was built"):
        Design.read(folder)


def test_the_same_design_writes_the_same_bytes_over_an_earlier_build(design, built):
    before = {p: p.read_bytes() for p in built.rglob("*") if p.is_file()}
    (built / "left_over").touch()
    verilog.cache_clear()  # so that all is elaborated again
    mapped_files.cache_clear()
    design.write(built)
    after = {p: p.read_bytes() for p in built.rglob("*") if p.is_file()}
    assert after == before | {built / "left_over": b""}
    assert os.listdir(built.parent) == ["build"]


def test_a_new_build_keeps_what_others_put_into_the_old_one(built):
    theirs = {"notes.txt": b"mine", "vivado/qnn.bit": b"bits", "report/mine.json": b"{}"}
    for name, data in theirs.items():
        (built / name).parent.mkdir(exist_ok=True)
        (built / name).write_bytes(data)
    # Of the earlier build, though the new one has no such file.
    manifest = json.loads((built / "manifest.json").read_text())
    manifest["files"]["old/extra.txt"] = "0"
    (built / "manifest.json").write_text(json.dumps(manifest))
    (built / "old").mkdir()
    (built / "old/extra.txt").write_text("old")
    (built / "driver/__pycache__").mkdir()
    (built / "driver/__pycache__/driver.pyc").write_text("of the old driver")
    compile(small_graphs.residual()).write(built)
    assert {name: (built / name).read_bytes() for name in theirs} == theirs
    assert not (built / "old/extra.txt").exists()
    assert not (built / "driver/__pycache__").exists()
    Design.read(built)


def test_a_report_of_vivado_of_an_earlier_design_stays_and_is_no_result_of_the_new_one(
    design, built
):
    report = built / UTILIZATION
    report.parent.mkdir(parents=True)
    report.write_text(TEXT)
    assert reports.read(built) is not None
    design.write(built)
    assert reports.read(built) is not None
    for graph in (small_graphs.residual(), small_graphs.concat()):
        compile(graph).write(built)
        assert report.read_text() == TEXT
        assert reports.read(built) is None
    report.write_text(TEXT + "\n")  # the tool has run again
    assert reports.read(built) is not None


def test_a_build_that_is_replaced_while_it_is_read_is_read_anew(design, built, monkeypatch):
    other = compile(small_graphs.residual())
    read, times = design_module.held_files, []

    def held_files(folder, manifest):
        if not times:
            times.append(1)
            other.write(folder)
        return read(folder, manifest)

    monkeypatch.setattr(design_module, "held_files", held_files)
    assert Design.read(built).artifact == other.artifact


def test_a_folder_with_something_else_is_not_replaced(design, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CompileError) as error:
        design.write(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: a build needs a new or empty folder, or one with an earlier build, but this "
        f"holds something else; choose another"
    )
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_an_unwritable_place_is_one_line(design, tmp_path):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "build"
    with pytest.raises(CompileError) as error:
        design.write(target)
    assert str(error.value) == (
        f"{target}: a build needs a writable folder with room, but got 'Not a directory'; choose "
        f"another"
    )


def test_a_name_that_no_file_can_have_is_one_line(design, tmp_path):
    target = tmp_path / ("n" * 300)
    with pytest.raises(CompileError) as error:
        design.write(target)
    assert str(error.value) == (
        f"{target}: a build needs a writable folder with room, but got 'File name too long'; "
        f"choose another"
    )


@pytest.mark.parametrize("folder", [".", "..", "/"])
def test_a_folder_that_cannot_be_replaced_is_one_line(design, folder):
    with pytest.raises(CompileError) as error:
        design.write(folder)
    assert str(error.value) == (
        f"{folder}: a build needs a folder that it can replace by name; choose another"
    )


def test_an_altered_file_is_refused(built):
    path = built / "image.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CompileError) as error:
        Design.read(built)
    assert str(error.value) == (
        f"{path}: missing or altered since it was built; compile the model again"
    )


def test_another_format_is_refused(built):
    (built / "manifest.json").write_text('{"format": 0}')
    with pytest.raises(CompileError) as error:
        Design.read(built)
    assert str(error.value) == (
        f"{built}: a build of format 0, but this qnn reads 2; compile the model again"
    )


@pytest.mark.parametrize("files", [None, [], {}, 3])
def test_a_build_that_names_no_files_is_refused(built, files):
    path = built / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"] = files
    if files is None:
        del manifest["files"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(CompileError) as error:
        Design.read(built)
    assert str(error.value) == (
        f"{path}: a build needs its list of files, but this names none; compile the model again"
    )


@pytest.mark.parametrize("name", ["graph.qgraph", "image.bin"])
def test_a_build_that_names_other_files_is_refused(built, name):
    path = built / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["files"][name]
    path.write_text(json.dumps(manifest))
    (built / name).unlink()
    with pytest.raises(CompileError) as error:
        Design.read(built)
    assert str(error.value) == (
        f"{built / name}: missing or altered since it was built; compile the model again"
    )


def test_only_a_graph_can_be_compiled():
    with pytest.raises(TypeError) as error:
        qnn.compile(nn.Conv2d(1, 1, 1))
    assert str(error.value) == (
        "compile needs a Graph, not Conv2d; give it what qnn.export makes of a quantized model"
    )


@pytest.mark.parametrize("manifest", [None, "[]", "{"], ids=["none", "a list", "cut"])
def test_a_folder_without_a_build_is_refused(tmp_path, manifest):
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(CompileError) as error:
        Design.read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: not a build folder; make one with 'qnn compile' or Design.write"
    )


def test_a_named_configuration_takes_its_widths_from_the_network():
    config = qnn.compile(small_graphs.network(), config="small").config
    assert config == named_config("small", weight_bits=3, activation_bits=8)


def test_an_unknown_configuration_is_refused():
    with pytest.raises(CompileError) as error:
        compile(small_graphs.network(), "huge")
    assert str(error.value) == ("config must be one of test, small, reference, zcu102, not 'huge'")


def test_an_empty_batch_is_refused():
    with pytest.raises(CompileError, match=r"^batch must be at least 1, not 0$"):
        compile(small_graphs.network(), batch=0)


@pytest.mark.parametrize(
    ("activation_bits", "changes", "bits"),
    [(8, {}, 32), (16, {}, 40), (16, {"accumulator_bits": 36, "result_bits": 40}, 36)],
)
def test_sums_are_as_wide_as_long_ones_need(activation_bits, changes, bits):
    graph = small_graphs.network()
    config = config_for("test", graph, weight_bits=4, activation_bits=activation_bits, **changes)
    assert config.accumulator_bits == bits


@pytest.mark.parametrize(("left", "bits"), [(0, 32), (20, 40)])
def test_results_are_as_wide_as_the_network_needs(left, bits):
    x = small_graphs.image()
    shifted = small_graphs.conv("c", x, 8, left=np.full(8, left), right=np.full(8, left + 6))
    graph = small_graphs.graph(x, shifted)
    assert bounds(graph)["c"].result_bits <= bits
    config = config_for("test", graph)
    assert (config.accumulator_bits, config.result_bits) == (24, bits)


def test_sums_are_as_wide_as_the_network_needs():
    x = small_graphs.image(2048, 3, 3)
    long = small_graphs.conv("c", x, 1)
    graph = small_graphs.graph(x, replace(long, codes=np.full_like(long.codes, 3)))
    assert bounds(graph)["c"].accumulator_bits == 25
    config = config_for("test", graph)
    assert (config.accumulator_bits, config.result_bits) == (32, 32)


def test_sums_are_as_wide_as_their_terms_on_the_array_need():
    x = small_graphs.image(2048, 3, 3)
    long = small_graphs.conv("c", x, 1, weight_bits=2, codes=np.ones((2, 1, 2048, 3, 3), np.int8))
    graph = small_graphs.graph(x, long)
    # 3 is 2 + 1 in terms of 2-bit codes, and 4 - 1 in those of 3-bit codes.
    assert bounds(graph)["c"].accumulator_bits == 24
    assert config_for("test", graph).accumulator_bits == 24
    assert config_for("test", graph, weight_bits=3).accumulator_bits == 32


@pytest.mark.parametrize("shift", ["left", "skip_left", "right"])
def test_a_shift_of_nothing_still_needs_its_places(shift):
    x = small_graphs.image()
    skip = small_graphs.conv("s", x, 8)
    last = small_graphs.conv("c", skip, 8, skip=skip, **{shift: np.full(8, 39)})
    if shift == "right":  # what rounding and the stored result's offset add, taken away
        last = changed(last, bias=last.epilogue.bias - (1 << 38) + (128 << 39))
    graph = small_graphs.graph(x, skip, replace(last, codes=np.zeros_like(last.codes)))
    assert compile(graph, "test").config.result_bits == (48 if shift == "skip_left" else 40)
    with pytest.raises(CompileError, match=r"^conv 'c' needs \d+ bits for its sums "):
        compile(graph, named_config("test", result_bits=32))
