"""The test bench of a build, run as a user runs it: by its script, without qnn."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import qnn
from hw.spec.config import named_config
from qnn.errors import CompileError
from qnn.ir.reference import reference
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from qnn.testbench import drawn_inputs, portable_bench, write_files
from sim.functional import FunctionalDevice
from sim.portable.folder import output_regions
from tests.compiler import small_graphs
from tests.graphs import graphs, images

CONFIG = named_config("test")
SIMULATORS = [
    pytest.param("verilator", marks=pytest.mark.rtl),
    pytest.param(
        "icarus",
        marks=pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed"),
    ),
]


@pytest.fixture(scope="module")
def design():
    return qnn.compile(small_graphs.residual(), CONFIG)


@pytest.fixture(scope="module")
def _build(design, tmp_path_factory):
    return design.write(tmp_path_factory.mktemp("build") / "build")


@pytest.fixture
def build(_build, tmp_path):
    return shutil.copytree(_build, tmp_path / "build")


def run(build, *arguments, path=None, **environment):
    """Exit code, standard output and standard error of the script, with no qnn to import."""
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}" if path is None else path
    done = subprocess.run(
        [shutil.which("sh"), "testbench/run.sh", *arguments],
        cwd=build,
        env={"PATH": tools, **environment},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def flipped(word):
    """The word with another last digit."""
    return word[:-1] + f"{int(word[-1], 16) ^ 1:x}"


@settings(deadline=None, max_examples=25)
@given(graph=graphs(), count=st.integers(1, 4), batch=st.integers(1, 2))
def test_expected_words_are_those_of_the_functional_simulator(graph, count, batch):
    try:
        image = qnn.compile(graph, named_config("test", weight_bits=4), batch).artifact
    except CompileError:
        assume(False)
    x = images(graph, count)
    tensors = reference(graph, x, outputs_only=True)
    outputs = tuple(tensors[output.name] for output in graph.outputs)
    inputs = pack_inputs(image, x)
    expected, mask = output_regions(image, outputs, len(inputs))
    for wanted, got in zip(outputs, unpack_outputs(image, expected, count), strict=True):
        np.testing.assert_array_equal(wanted, got)
    written = FunctionalDevice().run(image, inputs).outputs
    np.testing.assert_array_equal(written & mask, expected & mask)


def test_a_build_comes_with_a_test_bench_of_the_same_bytes_each_time(design, build, tmp_path):
    again = design.write(tmp_path / "again") / "testbench"
    files = sorted(path.name for path in again.iterdir())
    assert files == [
        *("expected.hex", "files.f", "host.hex", "image.hex", "input.hex", "mask.hex"),
        *("memory.sv", "parameters.svh", "run.sh", "testbench.sv"),
    ]
    for name in files:
        assert (again / name).read_bytes() == (build / "testbench" / name).read_bytes()
    assert os.access(again / "run.sh", os.X_OK)


def test_a_changed_test_bench_leaves_the_build_what_it_is(build):
    change(build / "testbench/testbench.sv", "#5 clk", "#4 clk")
    assert qnn.Design.read(build).config == CONFIG


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_the_test_bench_passes_and_finds_an_altered_word(build, simulator):
    code, out, err = run(build, simulator)
    assert (code, err) == (0, "")
    assert out.startswith("PASS: ")
    assert out.endswith(" cycles\n")

    bench = build / "testbench"
    words = (bench / "expected.hex").read_text().splitlines()
    words[3] = flipped(words[3])
    (bench / "expected.hex").write_text("\n".join(words) + "\n")
    code, out, _ = run(build, simulator)
    expected = (
        f"FAIL: 1 of {len(words)} words differ; first: run 0, word 3 of expected.hex: "
        f"expected {words[3]}, got {flipped(words[3])}\n"
    )
    assert (code, out) == (1, expected)


@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
def test_the_test_bench_finds_altered_verilog(build):
    change(build / "rtl/qnn_pe.v", " + ", " - ")
    code, out, _ = run(build, "icarus")
    assert code == 1
    assert out.startswith("FAIL: ")
    assert " words differ; first: run 0, word " in out


@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
def test_the_test_bench_finds_registers_that_tell_of_another_run(build):
    change(build / "rtl/qnn_accelerator.v", "= access__write_data[31:8];", "= 24'd7;")
    code, out, _ = run(build, "icarus")
    assert (code, out) == (
        1,
        "FAIL: run 0: register STATUS tells of run number 7, expected 1\n",
    )


@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
def test_the_test_bench_takes_other_inputs_and_a_stalling_memory(design, build):
    x = drawn_inputs(design.graph, 3, seed=7)
    built = qnn.Design.read(build).built
    made = portable_bench(design.graph, design.artifact, design.backend, built, x)
    write_files(build, made)
    code, out, _ = run(build, "icarus", "+seed=3", "+latency=3", "+stall_r=96", "+stall_w=96")
    assert (code, out.split(" in ")[1].split(",")[0]) == (0, "3 runs")


@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
def test_the_test_bench_tells_what_the_run_did_wrong(build):
    bench = build / "testbench"
    image = (bench / "image.hex").read_text()
    # An operation code that does not exist, in the first instruction.
    (bench / "image.hex").write_text("f" * image.index("\n") + image[image.index("\n") :])
    code, out, _ = run(build, "icarus")
    assert code == 1
    assert out == (
        "FAIL: run 0: register STATUS reads 0000010e, expected only DONE of DONE and FAILED\n"
        "FAIL: run 0: register ERROR reads 00000003\n"
    )


def test_wrong_usage_and_missing_tools_are_one_line_each(build, tmp_path):
    assert run(build, "questa") == (
        2,
        "",
        "run.sh: needs verilator, icarus or xsim and then plusargs, but got 'questa'\n",
    )
    assert run(build, "icarus", "latency=3") == (
        2,
        "",
        "run.sh: needs plusargs such as +latency=100 after the simulator, but got 'latency=3'\n",
    )
    # The shell's own tools, and no simulator.
    for name in ("dirname", "rm", "mkdir", "tail", "grep"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    bare = str(tmp_path / "bin")
    assert run(build, path=bare) == (
        3,
        "",
        "run.sh: no simulator found: install verilator or iverilog, or put xelab on PATH\n",
    )
    assert run(build, "icarus", path=bare) == (3, "", "run.sh: iverilog is not installed\n")
    assert run(build, "verilator", path=bare) == (3, "", "run.sh: verilator is not installed\n")
    assert run(build, "xsim", path=bare) == (
        3,
        "",
        "run.sh: xelab is not on PATH: source Vivado's settings64.sh\n",
    )


def test_a_build_that_cannot_be_written_is_one_line(build):
    (build / "testbench").rename(build / "elsewhere")
    (build / "testbench").write_text("a file")
    with pytest.raises(CompileError) as error:
        write_files(build, {"testbench/run.sh": b""})
    assert str(error.value) == (
        f"{build}: a test bench needs a writable folder with room, but got 'File exists'; copy "
        f"the build to one"
    )
