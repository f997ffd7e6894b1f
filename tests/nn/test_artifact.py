import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from qnn.errors import QnnError
from qnn.nn import artifact
from qnn.tensor_file import write_tensors
from tests.nearest import quantize


@pytest.fixture(scope="module")
def quantized():
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (8, 2, 6, 6), dtype=torch.uint8)
    layers = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU6(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 1)
    return quantize(nn.Sequential(*layers), pixels, mean=0.5, std=(0.25, 0.3))


def refusal(call):
    with pytest.raises(QnnError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_comes_back_whole(quantized, tmp_path):
    path = tmp_path / "m.safetensors"
    artifact.save(quantized, path, artifact.ModelSource("mine:net", "net.pt"))
    back = artifact.load(path)
    assert back.plan == quantized.plan
    pixels = torch.randint(0, 256, (4, 2, 6, 6), dtype=torch.uint8)
    assert torch.equal(back.from_pixels(pixels), quantized.from_pixels(pixels))
    assert artifact.source(path) == artifact.ModelSource("mine:net", "net.pt")
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_model_without_a_source_has_none(quantized, tmp_path):
    artifact.save(quantized, tmp_path / "m.safetensors")
    assert artifact.source(tmp_path / "m.safetensors") is None


def test_a_file_that_is_cut_is_refused(quantized, tmp_path):
    path = tmp_path / "m.safetensors"
    artifact.save(quantized, path)
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(lambda: artifact.load(path)) == (
        f"{path}: cannot be read as a quantized model: Error while deserializing header: "
        f"incomplete metadata, file not fully covered; copy or quantize it again"
    )


def test_a_file_that_is_missing_or_foreign_is_refused(quantized, tmp_path):
    path = tmp_path / "m.safetensors"
    assert refusal(lambda: artifact.load(path)) == (
        f"{path}: no such file; write one with 'qnn quantize'"
    )
    save_file({"x": torch.zeros(1)}, path)
    assert refusal(lambda: artifact.load(path)) == (
        f"{path}: not a quantized model of qnn; write one with 'qnn quantize'"
    )
    # Version 1 is of terms that all weigh the same, and version 2 has no checksum.
    for version in ("1", "2", "9"):
        save_file({"x": torch.zeros(1)}, path, {"format": artifact.FORMAT, "version": version})
        assert refusal(lambda: artifact.load(path)) == (
            f"{path}: quantized model version {version}, but this qnn reads version 3; quantize "
            f"the model again"
        )
    metadata = {"format": artifact.FORMAT, "version": "3", "plan": "{}"}
    save_file({"x": torch.zeros(1)}, path, metadata)
    assert refusal(lambda: artifact.load(path)) == (
        f"{path}: its checksum does not match; copy or quantize it again"
    )
    write_tensors(path, {"x": torch.zeros(1)}, metadata)
    assert refusal(lambda: artifact.load(path)) == (
        f"{path}: its plan: it needs the key 'layers', not 0 others; quantize the model again"
    )


def test_every_flipped_bit_is_refused(quantized, tmp_path):
    path = tmp_path / "m.safetensors"
    artifact.save(quantized, path)
    data = path.read_bytes()
    step = 101  # coprime to 8: all bits of a byte take part
    for bit in (*range(64), *range(64, 8 * len(data), step)):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        path.write_bytes(altered)
        assert refusal(lambda: artifact.load(path)).startswith(f"{path}: ")


def test_the_same_model_is_the_same_bytes_each_time(quantized, tmp_path):
    path, files = tmp_path / "m.safetensors", set()
    for _ in range(8):
        artifact.save(quantized, path, artifact.ModelSource("mine:net", "net.pt"))
        files.add(path.read_bytes())
    assert len(files) == 1
    assert load_file(path).keys() == quantized.state_dict().keys()  # the library reads it too


def rewritten(quantized, path, tensors=None, plan=None):
    """The model's file with other tensors or another plan, and a right checksum."""
    state = {name: tensor.clone() for name, tensor in quantized.state_dict().items()}
    state |= tensors or {}
    fields = json.loads(json.dumps(quantized.plan.to_fields()))
    (plan or (lambda _: None))(fields)
    metadata = {"format": artifact.FORMAT, "version": "3", "plan": json.dumps(fields)}
    write_tensors(path, {n: t for n, t in state.items() if t is not None}, metadata)
    return refusal(lambda: artifact.load(path))


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        ({"layers.4.input_exponent": torch.tensor(3)}, "layer '4' needs the exponent "),
        ({"layers.0.input_exponent": torch.tensor(1 << 40)}, "'layers.0.input_exponent' needs "),
        ({"layers.0.var": torch.full((3,), -9.0)}, "layer '0' needs variances above 0, but has "),
        ({"layers.0.bias": torch.full((3,), torch.nan)}, "'layers.0.bias' needs finite numbers, "),
        ({"layers.0.bias": torch.zeros(4)}, "its tensor 'layers.0.bias' and its plan disagree"),
        ({"layers.0.bias": None}, "its tensor 'layers.0.bias' and its plan disagree"),
        ({"more": torch.zeros(4)}, "its tensor 'more' and its plan disagree"),
    ],
)
def test_numbers_that_do_not_fit_the_network_are_named(quantized, tmp_path, tensors, text):
    path = tmp_path / "m.safetensors"
    said = rewritten(quantized, path, tensors)
    assert said.startswith(f"{path}: {text}")
    assert said.endswith("; quantize the model again")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda plan: plan["layers"].pop(0), "its plan: "),
        (lambda plan: plan["layers"][1].update(inputs=["none"]), "its plan: it needs a name of "),
        (lambda plan: plan["layers"][1].update(kind="Loop"), "its plan: layers[1] needs a kind "),
        (
            lambda plan: plan["layers"][1].update(weight_shape=[1 << 30] * 4),
            "its tensors and its plan disagree on layer '0'",
        ),
        (lambda plan: plan["layers"][1].update(shape=[3, 9, 9]), "conv '0' needs height and "),
        (lambda plan: plan["layers"][1].update(bits=1 << 60), "its plan: layers[1].bits needs "),
        (lambda plan: plan["layers"][1].update(stride=[0, 1]), "conv '0' needs stride of 2 "),
        (lambda plan: plan["layers"][1].update(zero_point=999), "its plan: layers[1] needs "),
        (lambda plan: plan["layers"][0].update(zero_point=999), "its plan: layers[0] needs "),
        (
            lambda plan: plan["layers"][0].update(gain=[1.0]),
            "its plan: it needs mean, std and a positive gain of ",
        ),
        (lambda plan: plan.update(mean=5), "its plan: "),
        (lambda plan: plan.update(outputs=[["none", [1]]]), "its plan: it needs layers for its "),
    ],
)
def test_a_plan_whose_layers_do_not_fit_is_refused(quantized, tmp_path, change, text):
    path = tmp_path / "m.safetensors"
    said = rewritten(quantized, path, plan=change)
    assert said.startswith(f"{path}: {text}")
    assert said.endswith("; quantize the model again")


def test_a_folder_that_cannot_be_written_is_refused(quantized, tmp_path):
    path = tmp_path / "none" / "m.safetensors"
    assert refusal(lambda: artifact.save(quantized, path)) == (
        f"{path}: a quantized model needs a writable folder with room, but got 'No such file or "
        f"directory'; choose another path"
    )
