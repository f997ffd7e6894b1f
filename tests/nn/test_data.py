import numpy as np
import pytest
import torch

from qnn.errors import ModelError
from qnn.nn.data import digits, load_data

ARRAYS = "x_train, y_train, x_test, y_test"


def write(path, **changes):
    arrays = {
        "x_train": np.arange(4 * 5 * 6 * 3, dtype=np.uint8).reshape(4, 5, 6, 3),
        "y_train": np.arange(4),
        "x_test": np.zeros((2, 5, 6, 3), np.uint8),
        "y_test": np.zeros((2, 1), np.int32),
    }
    np.savez(path, **{key: v for key, v in (arrays | changes).items() if v is not None})
    return str(path)


def test_digits_are_pixels_and_always_the_same():
    data = load_data("digits")
    assert (data.x_train.shape, data.x_test.shape) == ((1437, 1, 8, 8), (360, 1, 8, 8))
    assert data.x_train.dtype == torch.uint8
    assert int(data.x_train.max()) == 240
    assert torch.equal(data.x_test, digits().x_test)


def test_an_npz_has_channels_first_afterwards(tmp_path):
    data = load_data(write(tmp_path / "a.npz"))
    assert data.x_train.shape == (4, 3, 5, 6)
    assert data.x_train[0, :, 0, 1].tolist() == [3, 4, 5]
    assert data.y_test.tolist() == [0, 0]
    grey = {"x_train": np.zeros((4, 5, 6), np.uint8), "x_test": np.zeros((2, 5, 6, 1), np.uint8)}
    data = load_data(write(tmp_path / "b.npz", **grey))
    assert (data.x_train.shape, data.x_test.shape) == ((4, 1, 5, 6), (2, 1, 5, 6))


def test_signed_bytes_are_counted_from_the_least(tmp_path):
    maps = np.array([-128, -1, 0, 127], np.int8).reshape(4, 1, 1)
    data = load_data(write(tmp_path / "a.npz", x_train=maps, x_test=maps[:2]))
    assert data.x_train.dtype == torch.uint8
    assert data.x_train.flatten().tolist() == [0, 127, 128, 255]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"y_test": None}, f"needs the arrays {ARRAYS}, but one is missing; save all four"),
        (
            {"x_test": np.zeros((2, 5, 6, 3), np.float32)},
            ": x_test needs uint8 images (count, height, width, channels), not float32 "
            "(2, 5, 6, 3); convert them",
        ),
        (
            {"y_train": np.zeros(3, np.int64)},
            ": y_train needs 4 integer labels, not int64 (3,); give one an image",
        ),
        (
            {"x_test": np.zeros((0, 5, 6, 3), np.uint8)},
            ": x_test needs at least one image of one pixel, not (0, 5, 6, 3); add some",
        ),
        (
            {"x_test": np.zeros((2, 5, 6, 1), np.uint8)},
            ": x_test needs images of shape (3, 5, 6) (channels, height, width) as x_train has "
            "them, not (1, 5, 6); make them alike",
        ),
        (
            {"y_train": np.array([0, 1, -1, 2])},
            ": y_train needs labels from 0 to 1048575, not -1; number the classes from 0",
        ),
        (
            {"y_test": np.array([0, 2**63], np.uint64)},
            ": y_test needs labels from 0 to 1048575, not 9223372036854775808; number the classes "
            "from 0",
        ),
        (
            {"y_test": np.array([0, 4])},
            ": y_test needs labels from 0 to 3, which y_train has, not 4; correct them",
        ),
    ],
)
def test_other_arrays_are_refused(tmp_path, changes, text):
    path = write(tmp_path / "a.npz", **changes)
    with pytest.raises(ModelError) as caught:
        load_data(path)
    assert str(caught.value) == f"data {path}{'' if text[0] == ':' else ' '}{text}"


def test_files_that_cannot_be_read_are_refused(tmp_path):
    cut = tmp_path / "cut.npz"
    write(tmp_path / "a.npz")
    cut.write_bytes((tmp_path / "a.npz").read_bytes()[:300])
    for path, reason in (
        (tmp_path / "none.npz", f"[Errno 2] No such file or directory: '{tmp_path / 'none.npz'}'"),
        (cut, "File is not a zip file"),
    ):
        with pytest.raises(ModelError) as caught:
            load_data(str(path))
        assert str(caught.value) == (
            f"data {path} cannot be read: {reason}; give an .npz with {ARRAYS}"
        )
    with pytest.raises(ModelError) as caught:
        load_data("mnist")
    assert str(caught.value) == (
        "data needs to be 'digits', an .npz file or a folder of images, not 'mnist'; name one"
    )


def refusal(path):
    try:
        load_data(path)
    except ModelError as error:
        return str(error)
    return "none"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_cut_or_altered_anywhere_is_one_line(tmp_path, compressed):
    path = tmp_path / "a.npz"
    arrays = {"x_train": np.arange(48, dtype=np.uint8).reshape(4, 4, 3), "y_train": np.arange(4)}
    arrays |= {"x_test": arrays["x_train"], "y_test": arrays["y_train"]}
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        for changed in (whole[:place], whole[:place] + b"\xff" + whole[place + 1 :]):
            path.write_bytes(changed)
            assert "\n" not in refusal(str(path))
