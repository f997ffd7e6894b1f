"""What a network's outputs are for: every form of labels, and what is asked for, not guessed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.errors import ModelError
from qnn.tasks.kinds import TASKS, VOID, TaskKind, find_task, fits, is_of_its_own, labels_for

MAPS = np.zeros((4, 5, 6), int)


@pytest.mark.parametrize(
    ("output", "labels", "given", "kind"),
    [
        ((10,), [0, 3, 9], None, "classes"),
        ((10, 1, 1), [[0], [3], [9]], None, "classes"),
        ((2,), [0, 1, 1], None, "classes"),
        ((1,), [0, 1, 1], None, "binary"),
        ((1,), [False, True], None, "binary"),
        ((1, 1, 1), [[0.0], [1.0]], None, "binary"),
        ((1,), [0.0, 0.5], None, "regression"),
        ((1,), [-3.5, 40.0], None, "regression"),
        ((3,), [[0.1, 2, 3], [4, 5, 6]], None, "regression"),
        ((3,), [[0, 1, 1], [0, 0, 0]], None, "multilabel"),
        ((7, 5, 6), MAPS, None, "pixels"),
        ((7, 5, 6), MAPS[:, None], None, "pixels"),
        ((1, 5, 6), MAPS, None, "binary"),
        ((1, 5, 6), MAPS[:, None], None, "binary"),
        ((1, 5, 6), MAPS + 0.5, None, "regression"),
        ((10,), None, (3, 8, 8), "classes"),
        ((1,), None, (3, 8, 8), "regression"),
        ((640,), None, (640, 1, 1), "reconstruction"),
        ((3, 8, 8), None, (3, 8, 8), "reconstruction"),
        ((7, 8, 8), None, (3, 8, 8), "pixels"),
        ((1, 8, 8), None, (3, 8, 8), "regression"),
    ],
)
def test_the_task_is_known_from_outputs_and_labels(output, labels, given, kind):
    labels = None if labels is None else np.array(labels)
    assert find_task(output, labels, None, given) is TaskKind(kind)


@pytest.mark.parametrize(
    ("output", "labels", "text"),
    [
        (
            (1,),
            [0, 1, 2],
            "labels from 0 to 2 of type int64 may be classes or values to a network of one output; "
            "give task='regression' if they are values, or 0 and 1 for logits",
        ),
        (
            (1,),
            [-1, 1],
            "labels from -1 to 1 of type int64 may be classes or values to a network of one "
            "output; give task='regression' if they are values, or 0 and 1 for logits",
        ),
        (
            (3,),
            [[0, 1, 0], [0, 0, 1]],
            "labels of shape (2, 3) are one-hot; give the number of each class (labels.argmax(1)), "
            "or task='multilabel' if each output is a logit of its own",
        ),
        (
            (3,),
            [[0.0, 1.0, 0.0]],
            "labels of shape (1, 3) are one-hot; give the number of each class (labels.argmax(1)), "
            "or task='multilabel' if each output is a logit of its own",
        ),
        (
            (3,),
            [[0, 1], [0, 0]],
            "labels of shape (2, 2) fit no task of a network whose outputs have shape (3,); give "
            "one class for each sample, or one value for each output",
        ),
        (
            (3, 5, 6),
            [0, 1],
            "labels of shape (2,) fit no task of a network whose outputs have shape (3, 5, 6); "
            "give one class for each sample, or one value for each output",
        ),
    ],
)
def test_what_is_ambiguous_is_asked_for(output, labels, text):
    with pytest.raises(ModelError) as error:
        find_task(output, np.array(labels))
    assert str(error.value) == text


@pytest.mark.parametrize("labels", [[0, 1, 1], [0.0, 1.0, 1.0], [31]])
def test_labels_of_anomalies_are_no_classes_of_an_autoencoder(labels):
    labels, text = np.array(labels), "from 31 to 31" if len(labels) == 1 else "from 0 to 1"
    with pytest.raises(ModelError) as error:
        find_task((64,), labels, None, (64,))
    assert str(error.value) == (
        f"labels {text} leave open whether 64 outputs of a network of as many inputs are classes "
        f"or the inputs, given back; give task='reconstruction' or task='classes'"
    )
    assert find_task((64,), labels, "classes", (64,)) is TaskKind.CLASSES
    # Of more than half of the classes, or of outputs that are not as many as the inputs.
    assert find_task((64,), np.array([32]), None, (64,)) is TaskKind.CLASSES
    assert find_task((64,), labels, None, (63,)) is TaskKind.CLASSES


@given(st.integers(1, 6), st.sampled_from(list(TaskKind)))
def test_only_labels_of_anomalies_say_nothing_of_an_output(values, kind):
    of_samples, of_values = np.zeros(5), np.zeros((5, values, 1))
    assert not is_of_its_own(kind, (values,), of_values)
    wanted = kind is TaskKind.RECONSTRUCTION and values > 1
    assert is_of_its_own(kind, (values,), of_samples) == wanted


def test_what_is_asked_for_counts():
    assert find_task((1,), np.array([0, 1, 2]), "regression") is TaskKind.REGRESSION
    assert find_task((3,), np.array([[0, 1, 0]]), "multilabel") is TaskKind.MULTILABEL
    assert find_task((4,), None, "regression", (2,)) is TaskKind.REGRESSION
    with pytest.raises(ValueError, match="task must be one of") as error:
        find_task((3,), None, "class")
    assert str(error.value) == f"task must be one of {', '.join(TASKS)}, not 'class'"
    with pytest.raises(ModelError) as refused:
        find_task((1,), None, "classes")
    assert str(refused.value) == (
        "task 'classes' needs outputs of shape (classes,) with two classes or more, not (1,); "
        "choose another task"
    )
    with pytest.raises(ModelError) as refused:
        find_task((4,), None, "pixels")
    assert str(refused.value) == (
        "task 'pixels' needs outputs of shape (classes, height, width) with two classes or more, "
        "not (4,); choose another task"
    )


@pytest.mark.parametrize(
    ("kind", "output", "labels", "text"),
    [
        (
            "classes",
            (3,),
            [0, 3],
            "train needs labels from 0 to 2, because the model has 3 classes, not 3; correct the "
            "labels or the model",
        ),
        (
            "classes",
            (3,),
            [1, 2, 3],
            "train needs labels from 0 to 2, because the model has 3 classes, not 3; number the "
            "classes from 0",
        ),
        (
            "classes",
            (3,),
            [0, -1],
            "train needs labels from 0 to 2, because the model has 3 classes, not -1; correct the "
            "labels or the model",
        ),
        (
            "classes",
            (3,),
            [0.0, 1.0],
            "train needs labels of an integer type for the task 'classes', not float64; convert "
            "them: labels.astype(int)",
        ),
        (
            "regression",
            (3,),
            [0.5, 1.0],
            "train needs labels of shape (2, 3) for the task 'regression', not (2,); class numbers "
            "need an integer type: labels.astype(int)",
        ),
        (
            "regression",
            (1,),
            [0.5, np.nan],
            "train needs finite labels, not NaN or infinity (sample 1); remove those samples",
        ),
        (
            "binary",
            (1,),
            [-1, 1],
            "train needs labels 0 and 1 for the task 'binary', not from -1 to 1; give those, or "
            "task='regression' if they are values",
        ),
        (
            "multilabel",
            (3,),
            [[0, 1]],
            "train needs labels of shape (1, 3) for the task 'multilabel', not (1, 2); reshape "
            "them or choose another task",
        ),
    ],
)
def test_labels_that_mean_nothing_are_refused(kind, output, labels, text):
    with pytest.raises(ModelError) as error:
        labels_for(TaskKind(kind), output, np.array(labels), "train needs")
    assert str(error.value) == text


def test_255_of_more_than_255_classes_is_no_class_and_a_class_at_once():
    maps = np.zeros((1, 2, 2), int)
    maps[0, 0, 0] = VOID
    for classes in (2, 255):
        assert (labels_for(TaskKind.PIXELS, (classes, 2, 2), maps) == maps).all()
    with pytest.raises(ModelError) as error:
        labels_for(TaskKind.PIXELS, (256, 2, 2), maps, "train needs")
    assert str(error.value) == (
        "train needs labels other than 255 for the task 'pixels' of 256 classes, as 255 marks "
        "pixels of no class and would be a class, too; renumber that class"
    )
    assert labels_for(TaskKind.PIXELS, (256, 2, 2), maps % VOID).shape == (1, 2, 2)


@pytest.mark.parametrize("output", [(1,), (3,), (3, 5, 6)])
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 0)])
def test_labels_of_no_sample_are_told_as_such(output, shape):
    labels = np.zeros(shape, int)
    text = f"labels of at least one sample, not an array of shape {labels.shape}; give some"
    with pytest.raises(ModelError) as error:
        find_task(output, labels)
    assert str(error.value) == f"the task needs {text}"
    kinds = {1: TaskKind.BINARY, 3: TaskKind.PIXELS if len(output) > 1 else TaskKind.CLASSES}
    with pytest.raises(ModelError) as error:
        labels_for(kinds[output[0]], output, labels, "train needs")
    assert str(error.value) == f"train needs {text}"


def test_labels_come_in_the_form_of_the_task():
    form = labels_for(TaskKind.CLASSES, (3, 1, 1), np.array([[0], [2]], np.uint8))
    assert (form.dtype, form.tolist()) == (np.int64, [0, 2])
    form = labels_for(TaskKind.BINARY, (1,), np.array([True, False]))
    assert (form.dtype, form.tolist()) == (np.float32, [[1], [0]])
    maps = MAPS.copy()
    maps[0, 0, 0] = VOID
    assert labels_for(TaskKind.PIXELS, (2, 5, 6), maps[:, None]).shape == (4, 5, 6)


def test_labels_of_another_network_are_told_by_their_shape():
    assert fits((10,), np.zeros(4))
    assert not fits((4, 6, 6), np.zeros(4))
    assert not fits((3,), np.zeros((4, 10)))
