import builtins
import copy
import re

import pytest
import torch
from torch import nn

from qnn.errors import ModelError, ToolError
from qnn.nn.data import Dataset
from qnn.nn.training import Recipe, train
from qnn.nn.training.processes import Processes
from qnn.nn.training.watch import Diverged, LossWindow, Tally
from tests.nearest import quantize

RECIPE = Recipe(steps=30, batch=8, rate=1e-3)


def network(classes=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, classes))


def images(count=24):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 1, 4, 4, generator=generator)
    return x, torch.randint(3, (count,), generator=generator)


def refusal(data, recipe=RECIPE, model=None, error=ModelError, **kwargs):
    """The line; the model stays as it was."""
    model = model or network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error) as raised:
        train(model, data, recipe, **kwargs)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    return str(raised.value)


def test_empty_data_are_refused():
    x, y = images()
    assert refusal((x[:0], y[:0])) == (
        "train needs training images (count, ...), at least one, not shape (0, 1, 4, 4); give a "
        "tensor with images in it"
    )
    assert refusal(["a", "b"]) == (
        "train needs training batches of samples and labels, two tensors, not str; let the "
        "loader's collate_fn give them"
    )
    assert refusal(Dataset(x, y, x[:0], y[:0])) == (
        "train needs test images (count, ...), at least one, not shape (0, 1, 4, 4); give a tensor "
        "with images in it"
    )


def test_images_that_are_not_finite_are_refused():
    x, y = images()
    x[2] = float("nan")
    assert refusal((x, y)) == (
        "train needs finite training images, not NaN or infinity; remove those images"
    )


@pytest.mark.parametrize(("label", "model"), [(3, 3), (-1, 3), (2, 2)])
def test_a_label_without_a_class_is_named(label, model):
    x, y = images()
    y = y.clamp(max=1)
    y[5] = label
    assert refusal((x, y), model=network(model)) == (
        f"train needs training labels from 0 to {model - 1}, because the model has {model} "
        f"classes, not {label}; correct the labels or the model"
    )


def test_labels_that_are_not_one_an_image_are_refused():
    x, y = images()
    assert refusal((x, y[:5])) == (
        "train needs 24 training labels in a tensor, not (5,) of torch.int64; give one an image"
    )


def test_class_numbers_in_floats_are_told_from_values():
    x, y = images()
    assert refusal((x, y.float())) == (
        "train needs training labels of shape (24, 3) for the task 'regression', not (24,); class "
        "numbers need an integer type: labels.astype(int)"
    )


def test_images_alone_need_a_teacher():
    text = (
        "train needs labels, or a teacher that answers for them, but got images alone; give either"
    )
    x = images()[0]
    assert refusal(x) == text
    assert refusal(x, Recipe(steps=2, labels=0.5), teacher=network()) == text


def test_images_of_another_shape_are_refused():
    x, y = images()
    assert refusal((x[:, :, :3], y)) == (
        "train needs images that the model takes, not (2, 1, 3, 4) of torch.float32: mat1 and "
        "mat2 shapes cannot be multiplied (2x8 and 16x3); reshape them"
    )
    quantized = quantize(network(), x)
    assert refusal((x[:, :, :3], y), model=quantized) == (
        "input 'input' needs shape (batch, 1, 4, 4), not (2, 1, 3, 4); reshape the data"
    )


def test_pixels_for_a_float_model_need_mean_and_std():
    x, y = images()
    assert refusal((x.to(torch.uint8), y)) == (
        "train needs mean and std to give 8-bit pixels to a float model; give both, or images as "
        "the model takes them"
    )


def test_labels_that_fit_no_output_are_refused():
    assert refusal(images(), model=nn.Sequential(nn.Conv2d(1, 4, 3))) == (
        "labels of shape (24,) fit no task of a network whose outputs have shape (4, 2, 2); give "
        "one class for each sample, or one value for each output"
    )


def test_a_teacher_of_other_classes_is_refused():
    assert refusal(images(), teacher=network(4)) == (
        "train needs a teacher whose outputs have shape (3,), as the model's have, not (4,); give "
        "the model's own"
    )


def test_half_precision_needs_a_gpu():
    recipe = Recipe(steps=2, precision="fp16")
    assert refusal(images(), recipe, device="cpu") == (
        "train needs a GPU for fp16, not the CPU; choose bf16 or fp32"
    )


def test_a_loss_that_is_not_a_number_ends_training(tmp_path):
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.calls = network(), nn.Parameter(torch.zeros(()))

        def forward(self, x):
            if self.training:
                with torch.no_grad():
                    self.calls.add_(1)
            return self.inner(x) + (float("nan") if self.calls > 7 else 0.0)

    path, lines = tmp_path / "run.safetensors", tmp_path / "metrics.jsonl"
    text = refusal(images(), model=Breaks(), checkpoint=path, metrics=lines)
    start = text.split("it was ")[1].split(";")[0]
    assert text == (
        f"train diverged at step 7: the loss is nan, at the start it was {start}; the model "
        f"stays as it was; lower rate (0.001), raise warm_up or set clip"
    )
    assert float(start) > 0
    from qnn.nn.training import checkpoint

    assert checkpoint._read(path)[0]["step"] == "6"  # the last epoch before
    assert '"step": 6' in lines.read_text().splitlines()[-1]


def test_a_first_loss_that_is_no_number_is_not_blamed_on_the_rate():
    window = LossWindow(Tally(), guessing=2.0, most=4.0, rate=0.1)
    for loss in (float("inf"), 1.0):
        window.add(torch.tensor(loss), torch.tensor(0.0), 8)
    with pytest.raises(ModelError) as error:
        window.look(2)
    assert not isinstance(error.value, Diverged)
    assert str(error.value) == (
        "train needs a finite loss at the start, not inf; look at what the teacher answers, at the "
        "labels, and at a loss of your own"
    )


def test_a_loss_far_above_its_start_ends_training():
    recipe = Recipe(steps=300, batch=8, rate=1e4, optimizer="sgd", warm_up=0.5)
    text = refusal(images(), recipe)
    assert text.startswith("train diverged at step ")
    assert text.endswith("; lower rate (10000), raise warm_up or set clip")


def test_a_loss_that_rises_before_the_first_look_ends_training():
    window = LossWindow(Tally(), guessing=2.0, most=4.0, rate=0.1)
    for loss in (0.5, 9.0, 40.0):
        window.add(torch.tensor(loss), torch.tensor(0.0), 8)
    with pytest.raises(ModelError) as error:
        window.look(3)
    assert str(error.value) == (
        "train diverged at step 2: the loss is 16.5, at the start it was 0.5; the model stays "
        "as it was; lower rate (0.1), raise warm_up or set clip"
    )


def test_a_file_of_something_else_is_no_metrics(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("keep me\n")
    assert refusal(images(), metrics=path) == (
        f"metrics {path} holds something else than metrics of a run; name another file"
    )
    assert path.read_text() == "keep me\n"
    path = tmp_path / "missing" / "metrics.jsonl"
    assert refusal(images(), metrics=path) == (
        f"metrics {path} needs a writable folder with room, but got 'No such file or directory'; "
        f"choose another path"
    )


def test_metrics_are_not_written_over_something_else(tmp_path):
    other = tmp_path / "model.bin"
    other.write_bytes(bytes(range(256)))
    for path in (other, tmp_path):
        assert refusal(images(), metrics=path) == (
            f"metrics {path} holds something else than metrics of a run; name another file"
        )
    assert other.read_bytes() == bytes(range(256))


def test_labels_that_are_no_tensor_are_refused():
    x, y = images()
    assert refusal((x, y.tolist())) == (
        "train needs 24 training labels in a tensor, not list; give one an image"
    )


def test_a_model_that_fails_without_a_word_is_refused():
    class Empty(nn.Module):
        def forward(self, x):
            raise AssertionError

    assert refusal(images(), model=Empty()) == (
        "train needs images that the model takes, not (2, 1, 4, 4) of torch.float32: "
        "AssertionError; reshape them"
    )


def test_a_model_without_parameters_is_refused():
    x, y = images()
    assert refusal((x, y.clamp(max=0)), model=nn.Sequential(nn.AvgPool2d(4), nn.Flatten())) == (
        "train needs a model with parameters that require gradients, not none"
    )


@pytest.mark.parametrize("device", ["gpu", "cuda:0"])
def test_a_device_that_is_not_here_is_refused(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert refusal(images(), device=device) == (
        f"train needs a device that is here, not '{device}'; choose cpu"
    )


def test_a_batch_that_processes_cannot_share_is_refused():
    with pytest.raises(ModelError) as error:
        Processes(0, 2, torch.device("cpu")).share(65)
    assert str(error.value) == (
        "train needs a batch that 2 processes can share evenly, not 65; choose a multiple of 2"
    )


@pytest.fixture
def lacking(monkeypatch):
    """Let the import of a package fail."""

    def lack(name):
        known = builtins.__import__

        def import_(module, *rest):
            if module.startswith(name):
                raise ImportError(module)
            return known(module, *rest)

        monkeypatch.setattr(builtins, "__import__", import_)

    return lack


def test_event_files_need_tensorboard(lacking, tmp_path):
    lacking("torch.utils.tensorboard")
    assert refusal(images(), error=ToolError, tensorboard=tmp_path) == (
        "train needs tensorboard to write its event files, but it is missing; run pip install "
        "'qnn[train]'"
    )


def test_several_processes_need_lightning_fabric(lacking, monkeypatch):
    lacking("lightning_fabric")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.distributed, "is_torchelastic_launched", lambda: True)
    assert refusal(images(), error=ToolError) == (
        "train needs lightning-fabric for 2 processes, but it is missing; run pip install "
        "'qnn[train]'"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"schedule": "linear"},
            "Recipe needs schedule to be one of cosine, halving, constant, not 'linear'",
        ),
        ({"optimizer": "lamb"}, "Recipe needs optimizer to be one of adam, adamw, sgd, not 'lamb'"),
        ({"precision": "int8"}, "Recipe needs precision to be one of fp32, bf16, fp16, not 'int8'"),
        ({"epochs": 0}, "Recipe needs epochs to be an integer from 1, not 0"),
        ({"steps": 1.5}, "Recipe needs steps to be an integer from 1, not 1.5"),
        ({"grid_rate": -1.0}, "Recipe needs grid_rate of at least 0 and finite, not -1.0"),
        ({"ghost_batch": 1}, "Recipe needs ghost_batch to be an integer from 2, not 1"),
        ({"warm_up": 1.5}, "Recipe needs warm_up from 0 to 1, not 1.5"),
        ({"warm_up": None}, "Recipe needs warm_up from 0 to 1, not None"),
        ({"temperature": None}, "Recipe needs temperature above 0 and finite, not None"),
        ({"kl": None}, "Recipe needs kl of at least 0 and finite, not None"),
        (
            {"channels_last": "False"},
            "Recipe needs channels_last to be true or false, not 'False'",
        ),
        ({"ema": -0.1}, "Recipe needs ema from 0 to 1, not -0.1"),
        ({"rate": 0.0}, "Recipe needs rate above 0 and finite, not 0.0"),
        ({"clip": float("inf")}, "Recipe needs clip above 0 and finite, not inf"),
        ({"kl": -1.0}, "Recipe needs kl of at least 0 and finite, not -1.0"),
        ({"kl": 0.0}, "Recipe needs kl, reverse_kl or labels above 0, not 0 for all three"),
        (
            {"method": "s3", "options": {"levels": 2}},
            "Recipe needs options that s3 takes, which are none, not 'levels'",
        ),
        (
            {"method": "inq", "options": {"levels": 2}},
            "Recipe needs options that inq takes, which are portions, points, not 'levels'",
        ),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Recipe(**options)
