"""A driver that runs a network of several inputs: arrays by name, axes, and what it refuses."""

import shutil

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.image import Image
from qnn.compiler import compile_graph
from qnn.design import compile
from qnn.errors import DeviceError
from qnn.ir.encode import decode, encode_input
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Input
from qnn.ir.reference import reference
from qnn.quant.qtype import QType
from qnn.runtime.accelerator import Accelerator
from qnn.runtime.arrays import read_inputs, read_test_set
from qnn.runtime.given import each_input
from qnn.runtime.tensors import pack_inputs
from qnn.runtime.values import encode
from tests.compiler import small_graphs
from tests.runtime.board import FakeBoard
from tests.runtime.isolated import driver, python
from tests.runtime.served import served

CONFIG = named_config("test")
RNG = np.random.default_rng(4)


def scene_and_state():
    """A classifier of 8-bit pixels beside a vector of reals."""
    table = RNG.integers(-128, 128, (3, 256))
    scene = Input(name="scene", shape=(3, 6, 5), type=QType(8, True, 4), table=table)
    state = Input(name="state", shape=(7, 1, 1), type=QType(8, True, 5))
    seen = small_graphs.conv(
        "seen",
        scene,
        8,
        shape=(8, 1, 1),
        codes=RNG.integers(-3, 4, (1, 8, 3, 6, 5)).astype(np.int8),
        padding=(0, 0, 0, 0),
    )
    both = small_graphs.conv("both", state, 8, kernel=1, skip=seen)
    return Graph((scene, state, seen, both, small_graphs.last(both, 4)), (Output("last", (4,)),))


GRAPH = scene_and_state()
DESIGN = compile(GRAPH, CONFIG, batch=2)
SCENES = RNG.integers(0, 256, (5, 6, 5, 3), np.uint8)
STATES = RNG.normal(0, 3, (5, 7)).astype(np.float32)


def expected(scenes=SCENES, states=STATES):
    x = encode_input(GRAPH, (np.moveaxis(scenes, 3, 1), states))
    return reference(GRAPH, x)["last"].reshape(len(scenes), 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The driver folder, alone."""
    there = tmp_path_factory.mktemp("given")
    return shutil.copytree(DESIGN.write(there / "build") / "driver", there / "alone" / "driver")


@pytest.fixture
def device():
    with served(FakeBoard(DESIGN.artifact, cores=2)) as uri:
        yield uri


def test_execute_takes_an_array_for_each_name(folder, device, tmp_path):
    np.savez(tmp_path / "in.npz", state=STATES, scene=SCENES)  # in any order
    code, out, err = driver(folder, "--device", device, "--inputfile", "in.npz", cwd=tmp_path)
    assert (code, out, err) == (0, "output.npy: outputs of 5 images\n", "")
    np.testing.assert_array_equal(np.load(tmp_path / "output.npy"), expected())


def test_validate_takes_a_test_array_for_each_name(folder, device, tmp_path):
    labels = expected().argmax(1)
    labels[1] ^= 1
    np.savez(tmp_path / "set.npz", x_test_scene=SCENES, x_test_state=STATES, y_test=labels)
    options = ("--exec_mode", "validate", "--dataset", tmp_path / "set.npz", "--batchsize", "3")
    assert driver(folder, "--device", device, *options) == (
        0,
        "batch 1 / 2 : total OK 2 NOK 1\nbatch 2 / 2 : total OK 4 NOK 1\n"
        "Final accuracy: 80.000000\n",
        "",
    )


def test_throughput_test_makes_up_every_input(folder, device):
    options = ("--exec_mode", "throughput_test", "--batchsize", "3")
    code, out, err = driver(folder, "--device", device, *options)
    assert (code, err) == (0, "")
    assert '"batch_size": 3' in out


def test_from_python_it_takes_a_tuple(folder, device):
    code = (
        "import numpy as np\nsys.path.insert(0, folder)\nfrom driver import open_device\n"
        "given = np.zeros((1, 6, 5, 3), np.uint8), np.zeros((1, 7))\n"
        "(integers,) = open_device(sys.argv[2]).execute(given)\nprint(integers.tolist())\n"
    )
    done = python(folder, code, device)
    wanted = expected(np.zeros((1, 6, 5, 3), np.uint8), np.zeros((1, 7)))
    assert (done.stderr, done.stdout) == ("", f"{wanted.tolist()}\n")


def test_reals_are_those_of_the_reference():
    accelerator = Accelerator(DESIGN.artifact, FakeBoard(DESIGN.artifact))
    (got,) = accelerator.reals((SCENES, STATES))
    np.testing.assert_array_equal(got, decode(GRAPH, {"last": expected()})[0])


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"scene": SCENES}, "needs the arrays scene and state; save both in an .npz"),
        ({"x": SCENES, "y": STATES}, "needs the arrays scene and state; save both in an .npz"),
    ],
)
def test_missing_arrays_are_one_line(folder, device, tmp_path, arrays, text):
    path = tmp_path / "in.npz"
    np.savez(path, **arrays)
    wanted = (3, "", f"error: {path}: {text}\n")
    assert driver(folder, "--device", device, "--inputfile", path) == wanted


def test_one_array_for_two_inputs_is_one_line(folder, device, tmp_path):
    path = tmp_path / "in.npy"
    np.save(path, SCENES)
    text = f"error: {path}: needs the arrays scene and state; save both in an .npz\n"
    assert driver(folder, "--device", device, "--inputfile", path) == (3, "", text)


def test_a_test_set_without_an_input_is_one_line(tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, x_test=SCENES, y_test=np.zeros(5, int))
    with pytest.raises(DeviceError) as error:
        read_test_set(DESIGN.artifact, path)
    assert str(error.value) == (
        f"{path}: needs the arrays x_test_scene, x_test_state and y_test; save all in an .npz"
    )


def test_a_network_of_one_input_takes_its_array_by_name_too(tmp_path):
    image = compile_graph(small_graphs.one_conv(), CONFIG)
    np.savez(tmp_path / "in.npz", x=STATES)
    np.testing.assert_array_equal(read_inputs(image, tmp_path / "in.npz"), STATES)
    np.savez(tmp_path / "in.npz", y=STATES)
    with pytest.raises(DeviceError) as error:
        read_inputs(image, tmp_path / "in.npz")
    assert str(error.value) == f"{tmp_path}/in.npz: needs the array x; save it in an .npz"


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (
            SCENES,
            "the network needs a tuple of 2 arrays, for its inputs 'scene', 'state', but got one "
            "array; give each input its own",
        ),
        (
            (SCENES, STATES, STATES),
            "the network needs a tuple of 2 arrays, for its inputs 'scene', 'state', but got a "
            "tuple of 3; give each input its own",
        ),
        (
            (SCENES, STATES[:4]),
            "input 'state' needs 5 images, as many as input 'scene', but got 4; pair them",
        ),
        (
            (STATES, SCENES),
            "input 'scene' needs images of shape (N, 6, 5, 3), which are (3, 6, 5) channels first, "
            "not (5, 7); put channels last",
        ),
        (
            (SCENES, SCENES),
            "input 'state' needs images of shape (N, 1, 1, 7), which are (7, 1, 1) channels first, "
            "not (5, 6, 5, 3); put channels last",
        ),
        (
            (SCENES, STATES.astype(np.uint8)),
            "input 'state' needs finite real numbers, not uint8; its network has no table of "
            "pixels",
        ),
        (
            (SCENES / 255, STATES),
            "input 'scene' needs 8-bit pixels, not float64; give the images as they are in their "
            "files",
        ),
    ],
    ids=["one", "three", "count", "swapped", "vector's shape", "vector's kind", "image's kind"],
)
def test_what_is_not_an_array_for_each_input_is_refused(x, text):
    with pytest.raises(DeviceError) as error:
        encode(DESIGN.artifact, x)
    assert str(error.value) == text


def test_a_tuple_for_one_input_holds_one():
    image = compile_graph(small_graphs.one_conv(), CONFIG)
    with pytest.raises(DeviceError) as error:
        each_input(image, (STATES, STATES))
    assert str(error.value) == (
        "the network needs one array, for its input 'x', but got a tuple of 2; give each input its "
        "own"
    )


def test_integers_of_the_second_input_are_checked_by_its_name():
    x = np.zeros((1, 3, 6, 5), int), np.full((1, 7, 1, 1), 300)
    with pytest.raises(ValueError, match="state") as error:
        pack_inputs(DESIGN.artifact, x)
    assert str(error.value) == "input 'state' needs integers from -128 to 127, not 300 to 300"


def sequence_and_tokens():
    """A sequence and tokens, without pixels, that an addition joins; tokens come out."""
    sound = Input(name="sound", shape=(4, 9, 1), type=QType(8, True, 4), axes="CL")
    words = Input(name="words", shape=(6, 9, 1), type=QType(8, True, 4), axes="TC")
    heard = small_graphs.conv("heard", sound, 6, kernel=1)
    both = small_graphs.conv("both", words, 6, kernel=1, skip=heard)
    return Graph((sound, words, heard, both), (Output("both", (9, 6), "TC"),))


def test_a_sequence_and_tokens_have_the_axes_of_the_users_model():
    graph = sequence_and_tokens()
    image = Image.from_bytes(compile_graph(graph, CONFIG, 2).to_bytes())
    assert (image.input_axes, image.output_axes) == (("CL", "TC"), ("TC",))
    x = RNG.normal(0, 3, (3, 4, 9)), RNG.normal(0, 3, (3, 9, 6))
    accelerator = Accelerator(image, FakeBoard(image))
    (got,) = accelerator.execute(x)
    tensor = reference(graph, encode_input(graph, x))["both"]
    np.testing.assert_array_equal(got, tensor[..., 0].swapaxes(1, 2))
    assert accelerator.throughput_test(3)["batch_size"] == 3
    with pytest.raises(DeviceError) as error:
        encode(image, (x[0], x[1].swapaxes(1, 2)))
    assert str(error.value) == (
        "input 'words' needs arrays of shape (N, 9, 6) with N at least 1, but got (3, 6, 9); give "
        "it tokens, (tokens, channels)"
    )
