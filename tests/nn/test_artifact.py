import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from qnn.errors import QnnError
from qnn.nn import artifact
from qnn.ptq.quantize import quantize


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
    # Version 1 is of terms that all weigh the same.
    for version in ("1", "9"):
        save_file({"x": torch.zeros(1)}, path, {"format": artifact.FORMAT, "version": version})
        assert refusal(lambda: artifact.load(path)) == (
            f"{path}: quantized model version {version}, but this qnn reads version 2; quantize "
            f"the model again"
        )
    metadata = {"format": artifact.FORMAT, "version": "2", "plan": "{}"}
    save_file({"x": torch.zeros(1)}, path, metadata)
    assert refusal(lambda: artifact.load(path)) == (
        f"{path}: its tensors and its plan disagree; quantize the model again"
    )


def test_a_folder_that_cannot_be_written_is_refused(quantized, tmp_path):
    path = tmp_path / "none" / "m.safetensors"
    assert refusal(lambda: artifact.save(quantized, path)) == (
        f"{path}: a quantized model needs a writable folder with room, but got 'No such file or "
        f"directory'; choose another path"
    )
