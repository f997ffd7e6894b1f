import json

import pytest

from hw.spec.image import Image
from hw.spec.isa.text import parse
from qnn.ir.serialize import load
from qnn.ir.text import parse as parse_graph


@pytest.fixture
def graph(qnn, model, tmp_path):
    path = tmp_path / "model.qgraph"
    assert qnn("export", model, "-o", path)[0] == 0
    return path


def test_a_build_shows_its_program_with_the_layers_as_comments(qnn, build):
    code, out, err = qnn("show", build)
    assert (code, err) == (0, "")
    image = Image.read(build / "image.bin")
    assert parse(out) == image.program
    lines = out.splitlines()
    assert len(lines) == len(image.program)
    assert lines[-1] == "end"
    for line, instruction in zip(lines[:-1], image.program, strict=False):
        assert line.startswith(instruction.op.name.lower())
        assert line.endswith(f"  # {image.layers[instruction.tag].name}")


def test_a_graph_shows_a_line_a_node(qnn, graph):
    code, out, err = qnn("show", graph)
    assert (code, err) == (0, "")
    nodes = load(graph).nodes
    assert [line.partition(":")[0] for line in out.splitlines()[:-1]] == [n.name for n in nodes]
    assert out.splitlines()[-1].startswith("return ")


def test_a_quantized_model_shows_the_graph_that_it_exports(qnn, graph, model):
    assert qnn("show", model) == qnn("show", graph)


def test_a_whole_graph_reads_back(qnn, graph):
    code, out, _ = qnn("show", graph, "--full")
    assert code == 0
    code, again, _ = qnn("show", graph)
    assert len(again) < len(out)
    shown = parse_graph(out)
    assert [node.name for node in shown.nodes] == [node.name for node in load(graph).nodes]


def test_both_come_as_json(qnn, build, graph):
    for path, kind in ((build, "program"), (graph, "graph")):
        plain, told = qnn("show", path), qnn("show", path, "--json")
        assert json.loads(told[1]) == {kind: plain[1].splitlines()}


def test_a_folder_that_is_no_build_is_refused(qnn, tmp_path):
    code, out, err = qnn("show", tmp_path)
    assert (code, out) == (3, "")
    assert err.startswith(f"error: {tmp_path}")
    assert err.count("\n") == 1


def test_a_file_that_is_not_there_is_refused(qnn, tmp_path):
    path = tmp_path / "none.qgraph"
    assert qnn("show", path) == (
        3,
        "",
        f"error: {path}: reading a graph needs a file, but got 'No such file or directory'; write "
        f"one with 'qnn export'\n",
    )


def test_a_file_of_another_kind_is_wrong_usage(qnn, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"")
    code, out, err = qnn("show", path)
    assert (code, out) == (2, "")
    assert err.endswith("neither a .safetensors, a .qgraph nor an .onnx file\n")


def test_a_program_has_no_full_form(qnn, build):
    code, out, err = qnn("show", build, "--full")
    assert (code, out) == (2, "")
    assert err.endswith("--full is of a graph; the text of a program always is\n")
