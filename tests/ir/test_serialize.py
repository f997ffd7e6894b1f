import errno
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from qnn.errors import QnnError
from qnn.ir import serialize
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Input
from qnn.quant.qtype import QType
from tests.graphs import Limits, check_same, graphs

X = Input(name="x", shape=(1, 2, 2), type=QType(8, False, 0), table=np.arange(256)[None])
GRAPH = Graph((X,), (Output("x", (4,)),))


@settings(max_examples=30)
@given(graphs(Limits(table_bits=8)))
def test_a_graph_comes_back_whole(graph):
    data = serialize.to_bytes(graph)
    back = serialize.from_bytes(data)
    check_same(back, graph)
    assert serialize.to_bytes(back) == data


def test_a_file_is_written_and_read_and_nothing_else_stays(tmp_path):
    path = tmp_path / "net.qgraph"
    serialize.save(GRAPH, path)
    serialize.save(GRAPH, path)
    assert serialize.to_bytes(serialize.load(path)) == path.read_bytes()
    assert os.listdir(tmp_path) == ["net.qgraph"]


def test_numpys_integers_among_the_sizes_become_plain_ones():
    graph = replace(GRAPH, nodes=(replace(X, shape=tuple(np.array([1, 2, 2]))),))
    assert serialize.to_bytes(graph) == serialize.to_bytes(GRAPH)


def refusal(data):
    with pytest.raises(QnnError) as caught:
        serialize.from_bytes(data, "net.qgraph")
    return str(caught.value)


def test_a_truncated_file_is_refused_wherever_it_ends():
    data = serialize.to_bytes(GRAPH)
    for size in (*range(0, len(data), 97), len(data) - 1):
        text = refusal(data[:size])
        assert text in (
            "net.qgraph: not a qnn graph; write one with 'qnn export'",
            f"net.qgraph: {size} bytes, but its header says {len(data)}; copy or export it again",
        )
    assert "but its header says" in refusal(data + b"\0")


def test_every_flipped_bit_is_refused():
    data = serialize.to_bytes(GRAPH)
    step = 11  # coprime to 8: all bits of a byte take part
    for bit in (*range(8 * serialize.HEAD.size), *range(0, 8 * len(data), step)):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        assert refusal(bytes(altered)).startswith("net.qgraph: ")
    body = bytearray(data)
    body[-1] ^= 1
    assert refusal(bytes(body)) == (
        "net.qgraph: its checksum does not match; copy or export it again"
    )


def test_another_version_is_refused():
    data = bytearray(serialize.to_bytes(GRAPH))
    data[8] = 3
    assert refusal(bytes(data)) == (
        "net.qgraph: graph version 3, but this qnn reads version 2; export the model again"
    )


def test_another_file_is_refused():
    assert refusal(b"PK\3\4" * 40) == "net.qgraph: not a qnn graph; write one with 'qnn export'"


def test_an_illegal_graph_with_a_right_checksum_is_refused():
    data = serialize.to_bytes(GRAPH)
    body = data[serialize.HEAD.size :].replace(b'["x",[4]]', b'["y",[4]]')
    magic, version, text, payload, _ = serialize.HEAD.unpack_from(data)
    head = serialize.HEAD.pack(magic, version, text, payload, hashlib.sha256(body).digest())
    assert refusal(head + body) == (
        "output 'y' needs a node of that name, but there is none; name a node"
    )


def test_a_missing_file_is_refused(tmp_path):
    path = tmp_path / "none.qgraph"
    text = (
        f"{path}: reading a graph needs a file, but got 'No such file or directory'; write one "
        f"with 'qnn export'"
    )
    with pytest.raises(QnnError, match=f"^{re.escape(text)}$"):
        serialize.load(path)


def test_a_missing_folder_is_refused(tmp_path):
    path = tmp_path / "none" / "net.qgraph"
    text = (
        f"{path}: a graph needs a writable folder with room, but got 'No such file or directory'; "
        f"choose another path"
    )
    with pytest.raises(QnnError, match=f"^{re.escape(text)}$"):
        serialize.save(GRAPH, path)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "net.qgraph"
    text = f"{path}: a graph needs a writable folder with room, but got 'Not a directory'; "
    with pytest.raises(QnnError, match=f"^{re.escape(text)}choose another path$"):
        serialize.save(GRAPH, path)


def test_a_full_disk_is_refused_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "net.qgraph"
    path.write_bytes(b"old")
    write = Path.write_bytes

    def write_half(self, data):
        write(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write_half)
    text = (
        f"{path}: a graph needs a writable folder with room, but got 'No space left on device'; "
        f"choose another path"
    )
    with pytest.raises(QnnError, match=f"^{re.escape(text)}$"):
        serialize.save(GRAPH, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["net.qgraph"]


def rewritten(change, payload=None):
    """The bytes of ``GRAPH`` with its header changed, and a right checksum."""
    data = serialize.to_bytes(GRAPH)
    magic, version, size, *_ = serialize.HEAD.unpack_from(data)
    text, held = data[serialize.HEAD.size :][:size], data[serialize.HEAD.size + size :]
    text, held = change(text), held if payload is None else payload
    digest = hashlib.sha256(text + held).digest()
    return serialize.HEAD.pack(magic, version, len(text), len(held), digest) + text + held


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (b'"kind":"input"', b'"kind":"output"', "nodes[0] needs a kind of input, conv, multiply, "),
        (b'"bits":8', b'"bits":99', "nodes[0].type needs values that keep its rules, not those: "),
        (b'"<i8"', b'"|O"', "it needs arrays of int8, int16, int32, int64, uint8, uint16, uint32"),
        (b'"place":0', b'"place":8', "it needs arrays within 2048 bytes, not one up to 2056"),
        (b"[1,2,2]", b"[1,2]", "nodes[0].shape needs a list of 3, not [1, 2]"),
        (b'"exponent":0', b'"exponent":1e9', "nodes[0].type.exponent needs a whole number"),
        (b'["x",[4]]', b'["x"]', "it needs "),
    ],
)
def test_a_header_that_is_no_graphs_is_refused_with_its_place(old, new, text):
    data = rewritten(lambda header: header.replace(old, new))
    said = refusal(data)
    assert said.startswith(f"net.qgraph: {text}")
    assert said.endswith("; export the model again")


@pytest.mark.parametrize("header", [b"{}", b"[]", b"[" * 100_000, b"null", b'{"nodes":5}'])
def test_a_header_of_another_kind_is_refused(header):
    assert refusal(rewritten(lambda _: header)).startswith("net.qgraph: ")


def test_arrays_that_share_their_bytes_cannot_ask_for_more_than_the_file_has():
    def twice(header):
        node = header[header.index(b"[{") + 1 : header.index(b"}]") + 1]
        return header.replace(node, node + b"," + node.replace(b'"x"', b'"y"'), 1)

    assert refusal(rewritten(twice)) == (
        "net.qgraph: it needs arrays of 2048 bytes in all, not 4096; export the model again"
    )


def test_a_shape_of_more_values_than_any_image_is_refused():
    shape = b"[1,2147483647,2147483647]"
    assert refusal(rewritten(lambda header: header.replace(b"[1,2,2]", shape))) == (
        "input 'x' needs a shape of at most 2,147,483,648 values, but got "
        "(1, 2147483647, 2147483647); split the image"
    )


def test_a_pipe_is_no_graph_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "net.qgraph")
    with pytest.raises(QnnError) as caught:
        serialize.load(tmp_path / "net.qgraph")
    assert str(caught.value) == (
        f"{tmp_path / 'net.qgraph'}: reading a graph needs a file, but got 'Not a regular file'; "
        f"write one with 'qnn export'"
    )
