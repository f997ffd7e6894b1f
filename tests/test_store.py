"""``qnn.save``, ``qnn.load``, the public names, and how public values show themselves."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

import qnn
from qnn.errors import QnnError


@pytest.fixture(scope="module")
def values():
    torch.manual_seed(0)
    float_model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    quantized = qnn.quantize(float_model, torch.randn(8, 1, 4, 4), rounding="nearest", terms=1)
    graph = qnn.export(quantized)
    return quantized, graph, qnn.compile(graph, config="test")


def test_what_was_saved_is_loaded_by_what_it_is(values, tmp_path):
    quantized, graph, design = values
    path = qnn.save(quantized, tmp_path / "m.safetensors")
    found, wanted = qnn.load(path).state_dict(), quantized.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    path = qnn.save(graph, tmp_path / "g.qgraph")
    assert qnn.load(path) == graph
    assert hash(qnn.load(path)) == hash(graph)
    assert str(qnn.load(path.rename(tmp_path / "renamed"))) == str(graph)
    path = qnn.save(design, tmp_path / "build")
    assert str(qnn.load(path).graph) == str(graph)


def test_graphs_that_differ_in_one_number_are_not_equal(values):
    _, graph, _ = values
    first = graph.convs[0]
    epilogue = replace(first.epilogue, bias=first.epilogue.bias + 1)
    changed = replace(first, epilogue=epilogue)
    nodes = tuple(changed if node is first else node for node in graph.nodes)
    assert replace(graph, nodes=nodes) != graph
    assert graph != str(graph)


def test_a_device_that_does_not_exist_is_a_refusal(values):
    _, _, design = values
    for run in (qnn.simulate, qnn.verify):
        with pytest.raises(qnn.QnnError, match=r"device must be one of .*, not 'board'$"):
            run(design, torch.zeros(1, 1, 4, 4).numpy(), device="board")


def test_a_path_of_another_kind_is_refused(values, tmp_path):
    quantized, graph, _ = values
    for value, what, suffix in (
        (quantized, "a quantized model", ".safetensors"),
        (graph, "a graph", ".qgraph"),
    ):
        path = tmp_path / "x.pt"
        with pytest.raises(QnnError) as caught:
            qnn.save(value, path)
        assert str(caught.value) == (
            f"{path}: {what} is saved as a {suffix} file, not as '.pt'; choose x{suffix}"
        )
        assert not path.exists()


def test_a_float_model_is_not_saved():
    with pytest.raises(TypeError) as caught:
        qnn.save(nn.ReLU(), "x.safetensors")
    assert str(caught.value) == (
        "save needs a quantized model, a graph or a design, not ReLU; save float weights with "
        "torch.save(model.state_dict(), path)"
    )


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(QnnError) as caught:
        qnn.load(tmp_path / "x")
    assert str(caught.value) == (
        f"{tmp_path / 'x'}: load needs a model, a graph or a build folder, but got 'No such file "
        f"or directory'; name one that 'qnn.save' or a command wrote"
    )


def test_public_values_show_themselves_in_one_line(values):
    quantized, graph, design = values
    text = "<Graph: 1 input, 2 convolutions, 3 nodes, output '3' (3,)>"
    text = text.replace("'3'", f"'{graph.outputs[0].name}'")
    assert repr(graph) == text
    assert repr(design) == f"<Design: {text} for array>"
    assert repr(quantized) == "<QuantizedModel: 3 layers, 3-bit weights>"
    x = torch.randn(2, 1, 4, 4)
    assert repr(qnn.simulate(design, x, device="reference")) == (
        "<Simulation: reference, outputs (2, 3)>"
    )
    report = qnn.verify(design, x, device="functional")
    assert repr(report) == (
        f"<Report: functional, passed, 0 of {report.values_compared} values differ>"
    )
    assert repr(qnn.Recipe(epochs=7, method="s3")) == "Recipe(epochs=7, method='s3')"
    assert repr(qnn.Recipe()) == "Recipe()"


def test_the_public_names_are_listed_before_any_is_loaded():
    code = "import sys, qnn; print(*dir(qnn)); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = (
        "Auto Budget Codes Design Graph QnnError Recipe compile cycles_on evaluate export "
        "from_onnx from_pt2 from_qonnx load load_weights quantize save simulate to_onnx to_qonnx "
        "train verify"
    )
    assert found.stdout.split("\n") == [names, "False", ""]
