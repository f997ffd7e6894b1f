"""Numbers of each task, against their formulas, and sums that add up over any batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.errors import ModelError
from qnn.tasks.kinds import VOID, TaskKind
from qnn.tasks.measures import in_words, measured, measures, signal_to_noise, tally
from qnn.tasks.outputs import find_tasks, fitting, scores


def test_a_one_logit_network_is_right_where_its_logit_has_the_labels_sign():
    logits, labels = np.array([[-2.0], [3.0], [0.5], [-0.1]]), np.array([0, 1, 0, 0])
    kind, found = measured(logits, labels)
    assert (kind, found) == (TaskKind.BINARY, {"accuracy": 75.0})


@pytest.mark.parametrize("labels", [(4,), (4, 3)])
def test_a_network_that_ends_in_a_sigmoid_is_right_where_it_is_more_probable_than_not(labels):
    rng = np.random.default_rng(1)
    wanted = rng.integers(0, 2, labels)
    logits = np.where(wanted, 1, -1) * rng.uniform(0.1, 3, labels)
    logits.flat[0] *= -1  # one is wrong
    for outputs in (logits, 1 / (1 + np.exp(-logits))):
        _, found = measured(outputs.reshape(4, -1), wanted.reshape(4, -1))
        assert found == {"accuracy": 100 * (1 - 1 / wanted.size)}


def test_logits_of_a_batch_that_lie_between_0_and_1_are_logits_where_others_do_not():
    kind, labels = TaskKind.BINARY, np.ones((2, 1), np.float32)
    first = tally(kind, np.array([[0.2], [0.4]]), labels)
    assert measures(kind, first) == {"accuracy": 0.0}
    assert measures(kind, first + tally(kind, np.array([[1.5], [3.0]]), labels)) == {
        "accuracy": 100.0
    }


def test_a_regressor_has_the_error_and_the_share_of_variance():
    rng = np.random.default_rng(0)
    wanted, got = rng.normal(3, 2, (50, 3)), rng.normal(3, 2, (50, 3))
    kind, found = measured(got, wanted)
    assert kind is TaskKind.REGRESSION
    wanted = wanted.astype(np.float32).astype(float)
    assert found["mse"] == pytest.approx(((got - wanted) ** 2).mean())
    spread = ((wanted - wanted.mean(0)) ** 2).sum()
    assert found["r2"] == pytest.approx(1 - ((got - wanted) ** 2).sum() / spread)


def test_labels_without_variance_have_no_r2():
    kind, found = measured(np.zeros((4, 1)), np.full((4, 1), 2.5))
    assert (kind, found) == (TaskKind.REGRESSION, {"mse": 6.25, "r2": None})


def test_pixels_of_no_class_count_for_nothing():
    labels = np.array([[[0, 1], [1, VOID]]])
    outputs = np.zeros((1, 3, 2, 2))
    outputs[0, 1] = 1  # class 1 everywhere
    kind, found = measured(outputs, labels)
    assert kind is TaskKind.PIXELS
    assert found["accuracy"] == pytest.approx(200 / 3)
    assert found["mean_iou"] == pytest.approx(100 * (0 + 2 / 3) / 2)  # of the two classes seen
    assert found["ignored_pixels"] == 1
    assert in_words(found) == "66.67 %, mean IoU 33.33 %, 1 pixels of no class left out"


def test_pixels_that_all_have_a_class_are_not_told_apart():
    _, found = measured(np.eye(2)[None, :, :, None], np.array([[[0], [1]]]))
    assert found == {"accuracy": 100.0, "mean_iou": 100.0, "ignored_pixels": 0.0}
    assert in_words(found) == "100.00 %, mean IoU 100.00 %"


@given(st.integers(1, 12), st.integers(0, 5), st.sampled_from(list(TaskKind)))
def test_sums_of_batches_are_those_of_the_whole(cut, seed, kind):
    rng = np.random.default_rng(seed)
    shape = {TaskKind.PIXELS: (3, 2, 2), TaskKind.BINARY: (1,)}.get(kind, (3,))
    outputs = rng.normal(size=(13, *shape))
    labels = rng.integers(0, 2, (13, *shape)).astype(np.float32)
    if kind.competes:
        labels = rng.integers(0, 3, (13, *shape[1:]))
    whole = measures(kind, tally(kind, outputs, labels))
    parts = tally(kind, outputs[:cut], labels[:cut]) + tally(kind, outputs[cut:], labels[cut:])
    assert measures(kind, parts) == pytest.approx(whole)


def test_numbers_in_words():
    assert in_words({"accuracy": 97.5}) == "97.50 %"
    assert in_words({"accuracy": 97.5, "mean_iou": 50.0}) == "97.50 %, mean IoU 50.00 %"
    assert in_words({"mse": 0.0123456, "r2": 0.98765}) == "mean squared error 0.01235, R2 0.9877"
    assert in_words({"mse": 1.0, "r2": None}) == "mean squared error 1"
    assert in_words({"snr_db": 23.44}) == "23.4 dB signal to noise"


def test_signal_to_noise_is_in_decibels():
    assert signal_to_noise(np.array([10.0]), np.array([9.0])) == pytest.approx(20)
    assert signal_to_noise(np.array([1.0]), np.array([1.0])) is None
    assert signal_to_noise(np.array([0.0]), np.array([1.0])) is None


def test_each_of_several_outputs_has_its_own_task():
    labels = (np.array([0, 2, 1]), None, np.array([0.5, 1.5, 2.0]))
    shapes = [(3,), (4,), (1,)]
    kinds = find_tasks(shapes, labels)
    assert [kind.value for kind in kinds] == ["classes", "classes", "regression"]
    found = scores(kinds, [np.eye(3), np.zeros((3, 4)), np.zeros((3, 1))], labels)
    assert [list(each) for each in found] == [["accuracy"], [], ["mse", "r2"]]
    assert find_tasks(shapes, None, "regression") == (TaskKind.REGRESSION,) * 3
    with pytest.raises(ModelError) as error:
        find_tasks(shapes, labels[:2])
    assert str(error.value) == (
        "the network needs labels for each of its 3 outputs, not 2; give None where there is none"
    )


def test_maps_of_several_sizes_are_values_unless_something_else_is_known():
    detector = [(7, 8, 8), (7, 4, 4), (7, 2, 2)]
    assert find_tasks(detector) == (TaskKind.REGRESSION,) * 3
    assert find_tasks(detector, None, "pixels") == (TaskKind.PIXELS,) * 3
    assert find_tasks([(7, 8, 8), (7, 8, 8)]) == (TaskKind.PIXELS,) * 2
    assert find_tasks([(7, 8, 8), (3,)]) == (TaskKind.PIXELS, TaskKind.CLASSES)
    classes = [np.zeros((2, *size[1:]), np.int64) for size in detector]
    assert find_tasks(detector, classes) == (TaskKind.PIXELS,) * 3


def test_a_reconstruction_is_compared_with_its_input():
    own = np.arange(6.0).reshape(2, 3, 1, 1)
    (found,) = scores([TaskKind.RECONSTRUCTION], [own.reshape(2, 3) + 1], None, own)
    assert found["mse"] == 1.0


def test_labels_that_fit_no_output_are_left_out():
    assert fitting([(4, 6, 6)], np.zeros(5)) == (None,)
    assert fitting([(4,), (5,)], np.zeros(5)) == (None, None)
    # The main and the auxiliary result of a segmentation network have the same pixels.
    pixels = np.zeros((5, 6, 6), np.int64)
    assert [y is pixels for y in fitting([(4, 6, 6), (4, 6, 6)], pixels)] == [True, True]
    assert fitting([(4, 6, 6), (4, 3, 3)], pixels) == (None, None)
