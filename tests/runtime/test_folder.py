"""The driver folder, alone on a machine: what it imports, runs, refuses, and writes."""

import ast
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from hw.spec.config import named_config
from qnn.design import compile
from qnn.ir.encode import encode_input
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Input
from qnn.ir.reference import reference
from qnn.quant.qtype import QType
from qnn.runtime.accelerator import Accelerator
from qnn.runtime.devices import FORMS
from qnn.runtime.folder import driver_files
from tests.compiler import small_graphs
from tests.runtime.board import CYCLES, FakeBoard
from tests.runtime.isolated import driver, python
from tests.runtime.served import served

OLDEST = (3, 10)  # Python on the boards' images


def pixel_network():
    """A classifier of 8-bit pixels: 3 x 6 x 5 to 10 classes."""
    rng = np.random.default_rng(5)
    x = Input(
        name="x", shape=(3, 6, 5), type=QType(8, True, 4), table=rng.integers(-128, 128, (3, 256))
    )
    hidden = small_graphs.conv("hidden", x, 8)
    nodes = (x, hidden, small_graphs.last(hidden, 10))
    return Graph(nodes, (Output("last", (10,)),))


GRAPH = pixel_network()
DESIGN = compile(GRAPH, named_config("test"), batch=2)
IMAGES = np.random.default_rng(6).integers(0, 256, (7, 6, 5, 3), np.uint8)


def expected(images):
    tensors = reference(GRAPH, encode_input(GRAPH, np.moveaxis(images, 3, 1)))
    return tensors["last"].reshape(len(images), 10)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return DESIGN.write(tmp_path_factory.mktemp("build") / "build")


@pytest.fixture
def folder(built, tmp_path):
    """The driver folder, copied into an empty one."""
    return shutil.copytree(built / "driver", tmp_path / "alone" / "driver")


@pytest.fixture
def device():
    with served(FakeBoard(DESIGN.artifact, cores=2)) as uri:
        yield uri


def test_execute_writes_the_integers_of_the_reference(folder, device, tmp_path):
    np.save(tmp_path / "input.npy", IMAGES)
    assert driver(folder, "--device", device, cwd=tmp_path) == (
        0,
        "output.npy: outputs of 7 images\n",
        "",
    )
    np.testing.assert_array_equal(np.load(tmp_path / "output.npy"), expected(IMAGES))


def test_execute_takes_names_of_files(folder, device, tmp_path):
    np.save(tmp_path / "in.npy", IMAGES[:1])
    names = ("--inputfile", tmp_path / "in.npy", "--outputfile", tmp_path / "out.npz")
    assert driver(folder, "--device", device, *names)[0] == 0
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_array_equal(arrays["arr_0"], expected(IMAGES[:1]))


def test_validate_prints_the_accuracy(folder, device, tmp_path):
    labels = expected(IMAGES).argmax(1)
    labels[2] += 1
    np.savez(tmp_path / "set.npz", x_test=IMAGES, y_test=labels[:, None])
    options = ("--dataset", "set.npz", "--dataset_root", tmp_path, "--batchsize", "4")
    assert driver(folder, "--exec_mode", "validate", "--device", device, *options) == (
        0,
        "batch 1 / 2 : total OK 3 NOK 1\nbatch 2 / 2 : total OK 6 NOK 1\n"
        f"Final accuracy: {600 / 7:f}\n",
        "",
    )


def test_throughput_test_says_where_the_time_goes(folder, device):
    options = ("--exec_mode", "throughput_test", "--batchsize", "9")
    code, text, err = driver(folder, "--device", device, *options)
    assert (code, err) == (0, "")
    measured = json.loads(text)
    assert measured["batch_size"] == 9
    assert measured["cores"] == 2
    assert measured["cycles_per_image"] == CYCLES / 2
    assert measured["throughput[images/s]"] == pytest.approx(9e3 / measured["runtime[ms]"])
    assert measured["fclk[mhz]"] is measured["throughput_of_cores_alone[images/s]"] is None
    parts = ("pack_input", "copy_input_data_to_device", "execute", "unpack_output")
    spent = [measured[f"{part}[ms]"] for part in (*parts, "copy_output_data_from_device")]
    assert all(0 < part < measured["runtime[ms]"] for part in spent)
    bytes_in = 5 * DESIGN.artifact.input_bytes  # 9 images are 5 runs
    megabytes = measured["DRAM_in_bandwidth[MB/s]"] * measured["runtime[ms]"] * 1e-3
    assert megabytes == pytest.approx(bytes_in * 1e-6)
    assert measured["compute_busy_cycles_per_image"] == 0  # this board counts none


def test_from_python(folder, device):
    code = (
        "import numpy as np\nsys.path.insert(0, folder)\nfrom driver import open_device\n"
        "accelerator = open_device(sys.argv[2])\n"
        "images = np.zeros((1, 6, 5, 3), np.uint8)\n"
        "(integers,), (reals,) = accelerator.execute(images), accelerator.reals(images)\n"
        "assert (reals == integers * 2.0**-9).all()\n"
        "print(integers.tolist())\n"
    )
    done = python(folder, code, device)
    assert done.stderr == ""
    assert json.loads(done.stdout) == expected(np.zeros((1, 6, 5, 3), np.uint8)).tolist()


@pytest.mark.parametrize("name", ["torch", "amaranth", "qnn.compiler", "hw.top"])
def test_nothing_else_can_be_imported_there(folder, name):
    done = python(folder, f"sys.path.insert(0, folder)\nimport driver\nimport {name}")
    assert done.returncode == 1
    assert "import driver" not in done.stderr
    assert name in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), f"a device is needed: --device {FORMS}"),
        (("--device", "board"), f"device must be {FORMS}, not 'board'"),
        (("--bitfile", "x", "--batchsize", "0"), "needs to be a number from 1 on, not '0'"),
        (("--bitfile", "x", "--exec_mode", "validate"), "validate needs --dataset, an .npz with "),
    ],
)
def test_wrong_usage(folder, arguments, text):
    code, out, err = driver(folder, *arguments)
    assert (code, out) == (2, "")
    assert text in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("--bitfile", "qnn.bit"),
            "pynq:qnn.bit: needs the Python package 'pynq', but got 'No module named 'pynq''; run "
            "this on a board with PYNQ's image, in its environment",
        ),
        (
            ("--device", "uio:uio7?memory=udmabuf7"),
            "uio:uio7: /sys/class/u-dma-buf/udmabuf7/phys_addr is needed to find its memory, but "
            "got 'No such file or directory'; load u-dma-buf with that name",
        ),
    ],
)
def test_a_device_that_is_not_there_is_one_line(folder, arguments, text):
    assert driver(folder, *arguments) == (3, "", f"error: {text}\n")


def test_an_image_that_was_cut_is_one_line(folder):
    path = folder / "image.bin"
    path.write_bytes(path.read_bytes()[:-1])
    code, out, err = driver(folder, "--device", "rtl://127.0.0.1:1")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "but its header says" in err


@pytest.mark.parametrize(
    ("save", "text"),
    [
        (None, "{path}: no such file; name one of NumPy's, .npy or .npz"),
        (
            np.zeros((2, 3, 6, 5), np.uint8),
            "input 'x' needs images of shape (N, 6, 5, 3), which are (3, 6, 5) channels first, not "
            "(2, 3, 6, 5); put channels last",
        ),
        (
            np.zeros((2, 6, 5, 3)),
            "input 'x' needs 8-bit pixels, not float64; give the images as they are in their files",
        ),
        (
            np.array([None]),
            "{path}: cannot be read: Object arrays cannot be loaded when allow_pickle=False; give "
            "an .npy or .npz",
        ),
    ],
    ids=["missing", "shape", "kind", "pickle"],
)
def test_inputs_of_another_kind_are_one_line(folder, device, tmp_path, save, text):
    path = tmp_path / "in.npy"
    if save is not None:
        np.save(path, save, allow_pickle=True)
    wanted = (3, "", f"error: {text.format(path=path)}\n")
    assert driver(folder, "--device", device, "--inputfile", path) == wanted


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"x_test": IMAGES}, "needs the arrays x_test and y_test; save both in an .npz"),
        (
            {"x_test": IMAGES, "y_test": np.zeros(3, int)},
            "needs a label an image, not 3 for 7; save both again",
        ),
    ],
)
def test_a_data_set_of_another_kind_is_one_line(folder, device, tmp_path, arrays, text):
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)
    options = ("--exec_mode", "validate", "--dataset", path)
    assert driver(folder, "--device", device, *options) == (3, "", f"error: {path}: {text}\n")


def test_every_module_is_of_the_oldest_python():
    sources = {n: t for n, t in driver_files(DESIGN.artifact).items() if n.endswith(".py")}
    assert len(sources) > 20
    for name, text in sources.items():
        ast.parse(text, name, feature_version=OLDEST)


def test_the_same_image_gives_the_same_bytes():
    again = compile(pixel_network(), named_config("test"), batch=2)
    assert driver_files(again.artifact) == driver_files(DESIGN.artifact)


def test_another_process_with_another_hash_seed_builds_the_same_bytes(built, tmp_path):
    code = "import sys\nfrom tests.runtime.test_folder import DESIGN\nDESIGN.write(sys.argv[1])\n"
    seed = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    again = tmp_path / "again"
    subprocess.run([sys.executable, "-c", code, str(again)], check=True, env=seed)
    names = sorted(p.relative_to(built) for p in built.rglob("*") if p.is_file())
    assert sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file()) == names
    assert [n for n in names if (built / n).read_bytes() != (again / n).read_bytes()] == []


def test_the_board_s_clock_says_what_the_cores_alone_would_do():
    accelerator = Accelerator(DESIGN.artifact, FakeBoard(DESIGN.artifact, cores=2))
    measured = accelerator.throughput_test(3)
    assert measured["fclk[mhz]"] == pytest.approx(100)
    assert measured["throughput_of_cores_alone[images/s]"] == pytest.approx(4e8 / CYCLES)


def test_the_build_holds_the_folder(built):
    files = driver_files(DESIGN.artifact)
    manifest = json.loads((built / "manifest.json").read_text())
    held = {str(p.relative_to(built / "driver")) for p in (built / "driver").rglob("*")}
    assert set(files) <= held
    assert {f"driver/{name}" for name in files} <= set(manifest["files"])
    assert (built / "driver" / "image.bin").read_bytes() == (built / "image.bin").read_bytes()
