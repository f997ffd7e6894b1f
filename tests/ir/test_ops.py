"""What every operator answers, held against the reference and against each other."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.ir import ops
from qnn.ir.bounds import bounds
from qnn.ir.ops import OPERATORS, Concat, Conv, Input, Interleave, MaxPool, Multiply, Operator
from qnn.ir.reference import reference
from qnn.ir.rows import Rows
from tests.graphs import Limits, check_same, graphs, images
from tests.ir.test_text import every_kind
from tests.operators import changed

SMALL = Limits(size=7, channels=5, nodes=5, products=True)


@settings(max_examples=25)
@given(graphs(SMALL), st.data())
def test_a_strip_is_those_rows_of_the_whole(graph, data):
    tensors = reference(graph, images(graph, 2))
    for node in graph.nodes:
        first = data.draw(st.integers(0, node.shape[1] - 1))
        rows = Rows(first, data.draw(st.integers(first + 1, node.shape[1])))
        sources = graph.sources(node)
        reads = node.rows_read(rows, tuple(source.shape[1] for source in sources))
        part = node.strip(rows, reads[0] if reads else rows)
        if isinstance(part, Conv | MaxPool) and min(part.window.padding) < 0:
            continue  # its one row lies beside all that its windows see, which is padding alone
        assert part.shape == (node.shape[0], rows.count, node.shape[2])
        whole = tensors[node.name]
        given = [tensors[source.name] for source in sources] or [whole]
        operands = [
            torch.from_numpy(np.ascontiguousarray(tensor[:, :, read.first : read.stop]))
            for tensor, read in zip(given, reads or (rows,), strict=True)
        ]
        got = part.prepare(sources)(*operands).numpy()
        np.testing.assert_array_equal(got, whole[:, :, rows.first : rows.stop])


@settings(max_examples=25)
@given(graphs(SMALL))
def test_the_shape_is_the_one_that_the_operator_computes(graph):
    tensors = reference(graph, images(graph, 1))
    for node in graph.nodes:
        assert node.output_shape(graph.sources(node)) == tensors[node.name].shape[1:]


@settings(max_examples=15)
@given(graphs(SMALL))
def test_fields_bring_the_operator_back(graph):
    for node in graph.nodes:
        check_same(type(node).from_fields(node.to_fields()), node)


def test_macs_are_the_products_of_one_image():
    graph = every_kind()
    codes = graph["rich"].codes.copy()
    codes[..., 0] = 0  # weights that differ, as a layer's do and an average's do not
    nodes = [changed(node, codes=codes) if node.name == "rich" else node for node in graph.nodes]
    assert graph["rich"].macs == 0
    assert {node.name: node.macs for node in nodes} == {
        "x": 0,
        "plain": 9 * 8 * 4 * 3,
        "rich": 9 * 8 * 4 * 2 * 3,  # each channel from its own, and terms are steps of one product
        "gate": 4 * 4 * 9 * 8,
        "gated": 0,  # of two activations
        "pool": 0,
        "stack": 0,
        "last": 2 * 8 * 4 * 4,
    }


def test_each_says_what_it_is():
    graph = every_kind()
    assert [node.summary for node in graph.nodes] == [
        "input",
        "conv 1x1, 3-bit weights",
        "depthwise 2x3, 4-bit weights + skip",
        "conv 9x8, 3-bit weights",
        "product",
        "max pooling 3x2 / 2",
        "concatenation",
        "conv 4x4, 3-bit weights",
    ]
    assert [node.is_computed for node in graph.nodes] == [False, *[True] * 5, False, True]
    assert [node.rounded for node in graph.nodes] == [True] * 7 + [False]
    assert bounds(graph).keys() == {"plain", "rich", "gate", "gated", "last"}


def test_every_file_of_an_operator_is_registered():
    files = {path.stem for path in Path(ops.__file__).parent.glob("*.py")}
    modules = {operator.__module__.rpartition(".")[2] for operator in OPERATORS}
    # What operators share is no operator.
    assert files - {"__init__", "operator", "finish"} == modules
    assert set(OPERATORS) == {Input, Conv, Multiply, MaxPool, Concat, Interleave}


def test_kinds_and_words_are_told_apart():
    words = [word for operator in OPERATORS for word in operator.words]
    kinds = [operator.kind for operator in OPERATORS]
    assert len(set(words)) == len(words)
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_answers_all_of_the_interface_itself(operator):
    abstract = Operator.__abstractmethods__
    assert abstract <= vars(operator).keys()
    public = {name for name, value in vars(Operator).items() if inspect.isfunction(value)}
    assert {name for name in public if not name.startswith("_")} <= abstract


def test_an_operator_that_answers_less_is_none():
    class Half(Operator):
        kind, words = "half", ("half",)

    with pytest.raises(TypeError, match="abstract"):
        Half(name="h", inputs=(), shape=(1, 1, 1), type=None)
