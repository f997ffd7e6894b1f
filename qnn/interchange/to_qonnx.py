"""``to_qonnx``: an integer graph to a QONNX file, which qonnx executes before it stands.

Every output of qonnx's own executor, in steps of its exponent, is compared with the reference.
"""

from pathlib import Path

import numpy as np

from qnn.files import write_whole
from qnn.interchange.qonnx_model import qonnx_model
from qnn.interchange.qonnx_quantizers import exact_reals
from qnn.interchange.run_qonnx import QonnxPieces
from qnn.interchange.to_onnx import Exported, check_equal
from qnn.interchange.trials import encoded, fed, trial_inputs
from qnn.interchange.writer import OPSET
from qnn.ir.graph import Graph


def to_qonnx(graph: Graph, path: str | Path) -> Exported:
    """Write ``graph`` as a QONNX file, if qonnx computes the same of it.

    Raises
    ------
    CompileError
        QONNX cannot express the network, or qonnx would not compute it exactly.
    ModelError
        qonnx gives other integers than the reference; nothing is written.
    """
    cut = QonnxPieces.of(qonnx_model(graph))
    x = encoded(graph, trial_inputs(graph, codes=True))
    compared = check_equal(graph, _integers_of(graph, cut, x), x, "qonnx")
    data = cut.model.SerializeToString()
    write_whole(Path(path), data)
    return Exported(
        path=Path(path),
        opset=OPSET,
        nodes=len(cut.model.graph.node),
        bytes=len(data),
        values_compared=compared,
        images=len(x[0]),
        runtime="qonnx",
    )


def _integers_of(graph, cut, x):
    """What qonnx gives of each output, by name, in steps of its type: image by image."""
    parts = []
    for number in range(len(x[0])):
        # One by one, as the file has a batch of 1.
        image = fed(graph, tuple(np.asarray(each[number : number + 1]) for each in x))
        exponents = {node.name: node.type.exponent for node in graph.inputs}
        reals = {name: exact_reals(each, exponents[name]) for name, each in image.items()}
        parts.append(cut.run(reals))
    return {
        name: _in_steps(np.concatenate([part[name] for part in parts]), graph[output.name].type)
        for name, output in zip(graph.output_names, graph.outputs, strict=True)
    }


def _in_steps(reals, type):
    # Left as reals: what is no whole step must not come to look like one.
    return np.ldexp(reals.astype(np.float64), type.exponent)
