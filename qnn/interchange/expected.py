"""Every tensor of a network as onnxruntime computes it, in place of the reference's."""

from collections.abc import Sequence

import numpy as np

from qnn.interchange.integer_model import TENSOR, integer_model
from qnn.interchange.run import run_onnx
from qnn.interchange.trials import fed
from qnn.ir.encode import Arrays, encode_input
from qnn.ir.graph import Graph


def expected_by_onnx(graphs: Sequence[Graph], x: Arrays) -> dict[str, np.ndarray]:
    """The tensors of all ``graphs`` by name, (images, channels, height, width).

    What two graphs have under one name is what the last one gives.

    Parameters
    ----------
    graphs : of the same inputs
    x : what ``encode_input`` takes
    """
    found: dict[str, np.ndarray] = {}
    for graph in graphs:
        codes = encode_input(graph, x if isinstance(x, tuple) else (x,))
        # As codes: what a device was given, whatever the user gave.
        model = integer_model(graph, codes=True, tensors=True).SerializeToString()
        inputs = fed(graph, tuple(np.asarray(each, np.int32) for each in codes))
        outputs = run_onnx(model, inputs)
        found |= {node.name: outputs[f"{TENSOR}{node.name}"] for node in graph.nodes}
    return found
