"""Tensor files: the same bytes for the same content, a hash of all of them, and readable by all."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from qnn.tensor_file import TensorFileError, read_tensors, tensor_bytes, write_tensors

TENSORS = {"b": torch.arange(6).reshape(2, 3), "a": torch.rand(3, generator=torch.manual_seed(0))}
TEXTS = {"plan": '{"x": "\\"sha256\\":\\""}', "format": "ours"}


def test_what_is_written_comes_back_and_the_library_reads_it(tmp_path):
    path = tmp_path / "t.safetensors"
    write_tensors(path, TENSORS, TEXTS)
    file = read_tensors(path)
    assert file.is_whole
    assert {name: file.texts[name] for name in TEXTS} == TEXTS
    for found in (file.tensors, load_file(path)):
        assert found.keys() == TENSORS.keys()
        assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=5))
def test_the_same_content_in_any_order_is_the_same_bytes(texts):
    one = tensor_bytes(TENSORS, texts)
    again = tensor_bytes(dict(reversed(TENSORS.items())), dict(reversed(texts.items())))
    assert one == again


def test_tensors_that_share_memory_are_written(tmp_path):
    write_tensors(tmp_path / "t", {"a": TENSORS["a"], "b": TENSORS["a"][:2]}, {})
    assert torch.equal(read_tensors(tmp_path / "t").tensors["b"], TENSORS["a"][:2])


def test_no_bit_of_a_file_may_differ(tmp_path):
    path, data = tmp_path / "t", tensor_bytes(TENSORS, TEXTS)
    for bit in range(8 * len(data)):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        path.write_bytes(altered)
        try:
            assert not read_tensors(path).is_whole
        except TensorFileError:
            pass


def test_a_file_of_another_program_is_read_and_not_whole(tmp_path):
    save_file(TENSORS, tmp_path / "t", {"format": "pt"})
    assert not read_tensors(tmp_path / "t").is_whole


@pytest.mark.parametrize("data", [b"", b"\x01", b"\xff" * 99, b"\x02\0\0\0\0\0\0\0{}more"])
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path, data):
    (tmp_path / "t").write_bytes(data)
    with pytest.raises(TensorFileError) as error:
        read_tensors(tmp_path / "t")
    assert str(error.value)
    assert "\n" not in str(error.value)
