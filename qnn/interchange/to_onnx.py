"""``to_onnx``: an integer graph to a file of standard operators, which is tried before it stands.

The written bytes are run in onnxruntime, and every integer is compared with the reference.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qnn.files import write_whole
from qnn.host.results import as_tuple
from qnn.interchange.integer_model import integer_model
from qnn.interchange.run import run_onnx
from qnn.interchange.same_values import check_same
from qnn.interchange.trials import encoded, fed, trial_inputs
from qnn.interchange.writer import OPSET
from qnn.ir.encode import as_results, decode
from qnn.ir.graph import Graph
from qnn.ir.reference import reference

# Powers and logarithms of two libraries differ in their last places; after sums of them, by more.
CLOSE = 1e-9
REPORT = "nothing is written; please report it"


@dataclass(frozen=True)
class Exported:
    """What was exported, and what it was compared by before.

    Members
    -------
    values_compared : integers of outputs that equal the reference's
    images : that it was tried on
    runtime : what ran the file
    """

    path: Path
    opset: int
    nodes: int
    bytes: int
    values_compared: int
    images: int
    runtime: str

    def __str__(self) -> str:
        return (
            f"{self.path}: opset {self.opset}, {self.nodes:,} nodes, {self.bytes:,} bytes; "
            f"{self.values_compared:,} values of {self.images} images in {self.runtime} equal the "
            f"reference's"
        )


def to_onnx(graph: Graph, path: str | Path, *, codes: bool = False) -> Exported:
    """Write ``graph`` as an ONNX file, if onnxruntime computes the same of it.

    Parameters
    ----------
    codes : take integers of the inputs' types also where there is a table of pixels

    Raises
    ------
    CompileError
        No file of this format can hold the network.
    ModelError
        onnxruntime gives other integers than the reference; nothing is written.
    """
    model = integer_model(graph, codes=codes)
    data, x = model.SerializeToString(), trial_inputs(graph, codes=codes)
    compared = check_equal(graph, run_onnx(data, fed(graph, x)), encoded(graph, x), "onnxruntime")
    # The very bytes that were run.
    write_whole(Path(path), data)
    return Exported(
        path=Path(path),
        opset=OPSET,
        nodes=len(model.graph.node),
        bytes=len(data),
        values_compared=compared,
        images=len(x[0]),
        runtime="onnxruntime",
    )


def check_equal(
    graph: Graph, outputs: dict[str, np.ndarray], x: tuple[np.ndarray, ...], runtime: str
) -> int:
    """How many integers of ``outputs`` equal the reference's, which all have to.

    Parameters
    ----------
    outputs : of the model, by name; what follows the integers is what the host computes of them
    x : integers of the inputs, blocks

    Raises
    ------
    ModelError
        A value differs; the text names it.
    """
    expected = reference(graph, x, outputs_only=True)
    wanted = [as_results(each, expected[each.name]) for each in graph.outputs]
    names, found = graph.output_names, [*outputs.values()]
    for name, right in zip(names, wanted, strict=True):
        got = outputs[name]
        check_same(f"output '{name}'", runtime, got, right, got != right, REPORT)
    # Outputs come in the order of the model, and integers are first.
    for number, got in enumerate(found[len(names) :]):
        right = np.asarray(as_tuple(_flat(decode(graph, expected)))[number])
        same = np.isclose(got, right, rtol=CLOSE, atol=CLOSE, equal_nan=True)
        check_same(f"result {number}", runtime, got, right, ~same, REPORT)
    return sum(each.size for each in wanted)


def _flat(results):
    """Results of any nesting as one tuple, in order."""
    if not isinstance(results, tuple):
        return () if results is None else (results,)
    return tuple(leaf for each in results for leaf in _flat(each))
