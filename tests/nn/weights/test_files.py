"""Files that hold no weights: each is refused in one line that says what it is."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.nn.weights.small import refusal

READ = "give a dictionary of tensors that torch.save or safetensors wrote"
FILES = {
    "empty": (b"", "it is empty; copy or save it again"),
    "page": (
        b"<!DOCTYPE html>\n<html>",
        "it is an HTML or XML page; download the checkpoint itself",
    ),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "it is a git-lfs pointer; fetch what it stands for: git lfs pull",
    ),
    "index": (
        b'{"weight_map": {}}',
        "it is JSON text; give the file of tensors that it describes",
    ),
    "zipped": (b"\x1f\x8b\x08\x00 gz", "it is gzip data; decompress it"),
    "other": (b"\x00\x01\x02\x03", f"it holds something else, or is cut short; {READ}"),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_is_no_checkpoint_is_refused_by_what_it_is(kind, suffix, tmp_path):
    data, text = FILES[kind]
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    if (kind, suffix) == ("other", ".safetensors"):
        text = "Error while deserializing header: header too small; copy or save it again"
    assert refusal(path) == f"checkpoint FILE cannot be read: {text}"


def test_a_folder_is_refused_with_what_it_has(tmp_path):
    text = "checkpoint FILE cannot be read: it is a folder{}; give the file of weights"
    assert refusal(tmp_path) == text.format("")
    (tmp_path / "model.safetensors").touch()
    assert refusal(tmp_path) == text.format("; it has model.safetensors")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_checkpoint_that_was_cut_anywhere_is_called_so(share, tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"a": torch.arange(2000.0)}, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert refusal(path) == (
        f"checkpoint FILE cannot be read: it holds something else, or is cut short; {READ}"
    )


def test_an_archive_of_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.ones(2))
    assert refusal(tmp_path / "x.npz") == (
        "checkpoint FILE cannot be read: it is an archive of another kind; save its weights "
        "alone: torch.save(model.state_dict(), FILE)"
    )


def test_a_quantized_model_is_no_checkpoint_of_float_weights(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "q.safetensors", {"format": "qnn-quantized-model"})
    assert refusal(tmp_path / "q.safetensors") == (
        "checkpoint FILE is a quantized model of qnn, not float weights; give the checkpoint that "
        "it was quantized from"
    )
