"""Files with an array for each of several inputs, and what is said of those that are not."""

import numpy as np
import pytest
import torch

from qnn.errors import ModelError
from qnn.nn.named_data import load_named, named_inputs, read_part
from tests.nn.test_data import write

INPUTS = {"scene": ("CHW", None), "state": ("C", None), "words": ("TC", None)}


def write_named(path, **changes):
    """A file for ``INPUTS``; what ``changes`` gives as None is left out."""
    arrays = {
        "x_train_scene": np.arange(4 * 5 * 6 * 3, dtype=np.uint8).reshape(4, 5, 6, 3),
        "x_train_state": np.zeros((4, 7), np.float32),
        "x_train_words": np.zeros((4, 9, 2)),
        "x_test_scene": np.zeros((2, 5, 6, 3), np.uint8),
        "x_test_state": np.ones((2, 7), np.float32),
        "x_test_words": np.zeros((2, 9, 2)),
        "y_test": np.array([[0], [3]]),
    }
    np.savez(path, **{key: v for key, v in (arrays | changes).items() if v is not None})
    return str(path)


def refusal(call):
    with pytest.raises(ModelError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_images_have_channels_first_and_others_stay(tmp_path):
    data = load_named(write_named(tmp_path / "a.npz"), INPUTS)
    assert [tuple(x.shape) for x in data.x_train] == [(4, 3, 5, 6), (4, 7), (4, 9, 2)]
    assert data.x_train[0][0, :, 0, 1].tolist() == [3, 4, 5]
    assert [x.dtype for x in data.x_test] == [torch.uint8, torch.float32, torch.float32]
    assert data.y_test.tolist() == [0, 3]


def test_the_order_is_that_of_the_inputs_and_not_of_the_file(tmp_path):
    name = write_named(tmp_path / "a.npz")
    (state, scene), labels = read_part(name, "test", {"state": ("C", None), "scene": ("CHW", None)})
    assert (tuple(state.shape), tuple(scene.shape)) == ((2, 7), (2, 3, 5, 6))
    assert labels.dtype == torch.int64


def test_there_may_be_no_labels(tmp_path):
    assert load_named(write_named(tmp_path / "a.npz", y_test=None), INPUTS).y_test is None


def test_grey_images_and_signed_bytes(tmp_path):
    maps = np.array([-128, 127], np.int8).reshape(2, 1, 1)
    (x,), _ = read_part(
        write_named(tmp_path / "a.npz", x_test_scene=maps), "test", {"scene": ("CHW", None)}
    )
    assert (tuple(x.shape), x.flatten().tolist()) == ((2, 1, 1, 1), [0, 255])


def test_names_of_a_file(tmp_path):
    assert named_inputs(write_named(tmp_path / "a.npz")) == tuple(INPUTS)
    assert named_inputs(write(tmp_path / "b.npz")) == ()
    assert named_inputs("digits") == ()


def test_data_of_another_form_are_refused():
    assert refusal(lambda: read_part("digits", "test", INPUTS)) == (
        "data for the inputs 'scene', 'state', 'words' need to be an .npz file with an array "
        "x_test_NAME for each, not 'digits'; save one"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"x_test_state": None},
            "input 'state' needs the array x_test_state, but the file has x_train_scene, "
            "x_train_state, x_train_words, x_test_scene, x_test_words, y_test; save one for each "
            "input",
        ),
        (
            {"x_test_state": np.zeros((3, 7))},
            "x_test_state needs 2 images, as many as x_test_scene, not 3; pair them",
        ),
        (
            {"x_test_state": np.zeros((2, 7), np.int64)},
            "x_test_state needs 8-bit pixels (uint8, int8) or what the model takes (floats), not "
            "int64 (2, 7); convert them: x.astype(np.uint8)",
        ),
        (
            {"x_test_state": np.zeros((2, 0))},
            "x_test_state needs at least one image of one pixel, not (2, 0); add some",
        ),
        ({"y_test": np.zeros(3, int)}, "y_test needs 2 labels, one for each image, not int64 "
         "(3,); give one an image"),
    ],
    ids=["missing", "count", "kind", "empty", "labels"],
)  # fmt: skip
def test_arrays_of_another_form_are_refused(tmp_path, changes, text):
    name = write_named(tmp_path / "a.npz", **changes)
    assert refusal(lambda: read_part(name, "test", INPUTS)) == f"data {name}: {text}"


def test_a_file_that_is_cut_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    write_named(path)
    path.write_bytes(path.read_bytes()[:-40])
    assert refusal(lambda: named_inputs(str(path))).startswith(f"data {path} cannot be read: ")
