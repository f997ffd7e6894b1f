import numpy as np
import pytest
import torch

from qnn.errors import ModelError
from qnn.nn.data import digits, load_data

ARRAYS = "x_train, y_train, x_test, y_test"
PAIR = "x_train and x_test, and y_train and y_test where labels are known"


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
        (
            {"x_test": None},
            f"needs the arrays {PAIR}, but has x_train, y_train, y_test; save them",
        ),
        (
            {"x_test": np.zeros((2, 5, 6, 3), np.float32)},
            ": x_test needs 8-bit pixels as x_train has, not floats; convert one of them",
        ),
        (
            {"x_test": np.zeros((2, 5, 6, 3), np.int64)},
            ": x_test needs 8-bit pixels (uint8, int8) or what the model takes (floats), not "
            "int64 (2, 5, 6, 3); convert them: x.astype(np.uint8)",
        ),
        (
            {"x_test": np.full((2, 5, 6, 3), 256, np.uint16)},
            ": x_test needs 8-bit pixels (uint8, int8) or what the model takes (floats), not "
            "uint16 (2, 5, 6, 3); scale them to 0..255 as uint8, or to what the model takes as "
            "floats",
        ),
        (
            {"x_test": np.zeros((2, 5, 6, 3), bool)},
            ": x_test needs 8-bit pixels (uint8, int8) or what the model takes (floats), not "
            "bool (2, 5, 6, 3); convert them: x.astype(np.uint8) * 255",
        ),
        (
            {"x_test": np.array([[0.0], [np.nan]])},
            ": x_test needs finite numbers, not NaN or infinity (sample 1); remove or mend those "
            "samples",
        ),
        (
            {"x_test": np.array([[1e300], [0.0]])},
            ": x_test needs finite numbers, not NaN or infinity (sample 0); remove or mend those "
            "samples",
        ),
        (
            {"x_test": np.zeros((2, 3, 3, 3, 3), np.uint8)},
            ": x_test needs samples of shape (3, 5, 6), channels first, as x_train has them, not "
            "(3, 3, 3, 3); make them alike",
        ),
        (
            {"x_test": np.zeros((2, 3, 3, 3, 3, 3), np.uint8)},
            ": x_test needs images (count, height, width, channels) or vectors (count, features), "
            "not (2, 3, 3, 3, 3, 3); reshape them",
        ),
        (
            {"y_train": np.zeros(3, np.int64)},
            ": y_train needs 4 labels, one for each image, not int64 (3,); give one an image",
        ),
        (
            {"y_train": np.array([0.5, 1, 2, np.inf])},
            ": y_train needs finite numbers, not NaN or infinity (sample 3); remove or mend those "
            "samples",
        ),
        (
            {"x_test": np.zeros((0, 5, 6, 3), np.uint8)},
            ": x_test needs at least one image of one pixel, not (0, 5, 6, 3); add some",
        ),
        (
            {"x_test": np.zeros((2, 5, 6, 1), np.uint8)},
            ": x_test needs samples of shape (3, 5, 6), channels first, as x_train has them, not "
            "(1, 5, 6); make them alike",
        ),
        (
            {"y_test": np.array([0, 2**63], np.uint64)},
            ": y_test needs labels below 2**63, not 9223372036854775808; correct them",
        ),
    ],
)
def test_other_arrays_are_refused(tmp_path, changes, text):
    path = write(tmp_path / "a.npz", **changes)
    with pytest.raises(ModelError) as caught:
        load_data(path)
    assert str(caught.value) == f"data {path}{'' if text[0] == ':' else ' '}{text}"


def taking(*shapes):
    """A model that takes samples of these shapes alone."""
    return lambda shape: None if shape in shapes else f"it takes {shapes[0]}, not {shape}"


@pytest.mark.parametrize(
    ("shape", "layout", "refusal", "expected"),
    [
        ((5, 6, 3), None, None, (3, 5, 6)),
        ((3, 5, 6), None, None, (3, 5, 6)),
        ((5, 6, 2), "nhwc", None, (2, 5, 6)),
        ((5, 6, 2), "nchw", None, (5, 6, 2)),
        ((3, 5, 3), None, taking((3, 5, 3)), (3, 5, 3)),
        ((3, 5, 3), None, taking((3, 3, 5)), (3, 3, 5)),
        ((7,), None, taking((7,)), (7,)),
        ((7, 5), None, taking((1, 7, 5)), (1, 7, 5)),
        ((7, 5), None, taking((7, 5)), (7, 5)),
    ],
)
def test_the_layout_is_what_the_model_takes_or_what_channels_tell(
    tmp_path, shape, layout, refusal, expected
):
    x = np.arange(2 * np.prod(shape), dtype=np.uint8).reshape(2, *shape)
    path = write(tmp_path / "a.npz", x_train=x, x_test=x, y_train=None, y_test=None)
    data = load_data(path, layout=layout, refusal=refusal)
    assert tuple(data.x_train.shape[1:]) == expected
    moved = x.transpose(0, 3, 1, 2) if len(shape) == 3 and expected != shape else x
    assert data.x_train.flatten().tolist() == moved.flatten().tolist()
    assert (data.y_train, data.y_test) == (None, None)


@pytest.mark.parametrize(
    ("shape", "layout", "refusal", "text"),
    [
        (
            (5, 6, 2),
            None,
            None,
            "may have its channels last or first; say which: --layout nhwc or --layout nchw",
        ),
        (
            (3, 5, 3),
            None,
            None,
            "may have its channels last or first; say which: --layout nhwc or --layout nchw",
        ),
        (
            (5, 6, 3),
            None,
            taking((1, 5, 6)),
            "does not fit the model: with channels last (--layout nhwc), it takes (1, 5, 6), not "
            "(3, 5, 6); with channels first (--layout nchw), it takes (1, 5, 6), not (5, 6, 3); "
            "give what it takes",
        ),
        (
            (3, 8, 8),
            "nhwc",
            taking((3, 8, 8)),
            "does not fit the model: with channels last (--layout nhwc), it takes (3, 8, 8), not "
            "(8, 3, 8); give what it takes",
        ),
    ],
)
def test_an_ambiguous_or_wrong_layout_is_asked_for(tmp_path, shape, layout, refusal, text):
    x = np.zeros((2, *shape), np.uint8)
    path = write(tmp_path / "a.npz", x_train=x, x_test=x, y_train=None, y_test=None)
    with pytest.raises(ModelError) as caught:
        load_data(path, layout=layout, refusal=refusal)
    assert str(caught.value) == f"data {path}: x_train of shape {x.shape} {text}"


def test_labels_of_values_and_of_several_outputs(tmp_path):
    values = np.array([[0.5], [1.5], [2.0], [3.0]])
    data = load_data(write(tmp_path / "a.npz", y_train=values))
    assert data.y_train.dtype == torch.float32
    assert data.y_train.tolist() == values.tolist()
    parts = {"y_train": None, "y_test": None, "y_train_0": np.arange(4), "y_train_2": values}
    data = load_data(write(tmp_path / "b.npz", **parts))
    assert [y if y is None else y.dtype for y in data.y_train] == [
        torch.int64,
        None,
        torch.float32,
    ]
    assert data.y_test is None


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


@pytest.mark.parametrize("last", [False, True])
def test_sequences_have_their_channels_where_the_model_takes_them(last, tmp_path):
    # (count, channels, values), as PyTorch has them, and (count, values, channels), as Keras.
    first = np.arange(4 * 3 * 7, dtype=np.float32).reshape(4, 3, 7)
    given = first.transpose(0, 2, 1) if last else first
    path = write(tmp_path / "data.npz", x_train=given, x_test=given[:2])
    data = load_data(path, refusal=lambda shape: None if shape == (3, 7) else "it takes others")
    assert torch.equal(data.x_train, torch.from_numpy(first))
    assert torch.equal(data.x_test, torch.from_numpy(first[:2]))
    with pytest.raises(ModelError, match=r"does not fit the model: it takes others"):
        load_data(path, refusal=lambda shape: None if shape == (3, 8) else "it takes others")
