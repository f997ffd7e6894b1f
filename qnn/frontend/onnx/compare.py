"""How far an imported graph is from what onnxruntime computes of the same file."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, fx

from qnn.errors import ModelError, first_line
from qnn.frontend.onnx.as_in_file import AsInFile
from qnn.frontend.onnx.graph import OnnxInput
from qnn.frontend.onnx.grids import grid_of
from qnn.frontend.onnx.protos import onnx_package, read_proto
from qnn.frontend.onnx.qonnx_quantizers import NAMES
from qnn.frontend.onnx.read import read_graph
from qnn.interchange.packages import package
from qnn.interchange.run_qonnx import executable

IMAGES = 2  # random ones
TRIES = 3  # of a file that rounds
ROUNDING = ("QuantizeLinear", "DynamicQuantizeLinear", *NAMES)  # nodes that round
# Of the largest value of an output. Reals of 24 bits, whose sums are taken in another order, differ
# by some of their last bits after each layer: the deepest network tried, by 2e-5.
TOLERANCE = 1e-3
TYPICAL = 5e-3  # where values are rounded to 8 bits, whose steps are a 256th of the range
# Outputs that are all smaller count as if they were as large: a sigmoid far from its middle is
# exact to some bits of 1, and not of itself.
SMALL = 1e-3


@dataclass(frozen=True)
class RuntimeDifference:
    """What random images showed.

    Members
    -------
    largest : of any value, as a part of the largest value of its output
    typical : root mean square, as a part of that of the output
    runtime : what computed the same
    rounds : whether the file has quantizers, of which some round a value that lies between two
        integers otherwise than onnxruntime does
    """

    largest: float
    typical: float
    rounds: bool = False
    runtime: str = "onnxruntime"

    @property
    def equal(self) -> bool:
        """Whether it is no more than the rounding of reals."""
        return self.largest <= TOLERANCE or (self.rounds and self.typical <= TYPICAL)

    def __str__(self) -> str:
        return (
            f"equal to {self.runtime} within {self.largest:.1g} of the largest output, on random "
            f"images"
        )


def check_equal(path: str | Path, module: fx.GraphModule) -> RuntimeDifference:
    """The difference, if it is no more than the rounding of reals.

    Raises
    ------
    QnnError
        It is more; or as for ``difference``.
    """
    found = difference(path, module)
    # A value that happens to lie between two integers of few bits is one among other images.
    for seed in range(1, TRIES) if found.rounds else ():
        found = found if found.equal else difference(path, module, seed)
    if not found.equal:
        raise ModelError(
            f"{path}: the network that was read differs from {found.runtime} by "
            f"{found.largest:.2g} of the largest output, which is more than rounding; report the "
            f"file"
        )
    return found


def difference(path: str | Path, module: fx.GraphModule, seed: int = 0) -> RuntimeDifference:
    """The difference of ``module``, which ``from_onnx`` made of ``path``, from onnxruntime.

    Raises
    ------
    ToolError
        onnxruntime, or for a file of QONNX qonnx, is not installed.
    ModelError
        It cannot run the file, or gives other shapes.
    """
    path = Path(path)
    anew = grid_of(module) is not None
    graph = read_graph(path, anew)
    # onnxruntime has none of QONNX's quantizers.
    run = _qonnx(path) if anew else _onnxruntime(path)
    generator = torch.Generator().manual_seed(seed)
    file = AsInFile.of(module)
    count = file.count or IMAGES
    # Whole numbers stay whole on their way to onnxruntime.
    sources = [each for each in graph.inputs if each.name not in file.numbers]
    given = [
        _random(example, source, count, generator)
        for example, source in zip(_examples(module), sources, strict=True)
    ]
    quantizers = [each for each in module.children() if each.node.kind in ROUNDING]
    try:
        with torch.no_grad(), _rounding(quantizers):
            found = module(*given)
    # Any, of PyTorch: of values that do not fit, whose shapes seemed to.
    except Exception as error:
        raise ModelError(
            f"{path}: the network cannot be run: {first_line(error)}; export it again"
        ) from None
    found = found if isinstance(found, tuple) else (found,)
    rest = iter(given)
    fed = {
        each.name: _fed(
            file.numbers[each.name]
            if each.name in file.numbers
            else file.given(each.name, next(rest)),
            each,
        )
        for each in graph.inputs
    }
    wanted = [
        file.result(name, np.asarray(each))
        for name, each in zip(graph.outputs, run(list(graph.outputs), fed), strict=True)
    ]
    found = _largest(path, graph.outputs, found, wanted)
    return replace(found, rounds=bool(quantizers), runtime="qonnx" if anew else "onnxruntime")


@contextmanager
def _rounding(quantizers):
    """Quantizers that round, as those of the file do."""
    for each in quantizers:
        each.exact = True
    try:
        yield
    finally:
        for each in quantizers:
            each.exact = False


def _qonnx(path):
    """A function of the names of outputs and of what the file takes, one image at a time."""
    model = executable(read_proto(path))

    def run(names, fed):
        images = len(next(iter(fed.values())))
        parts = [
            model.run({name: each[n : n + 1] for name, each in fed.items()}) for n in range(images)
        ]
        return [np.concatenate([part[name] for part in parts]) for name in names]

    return run


def _onnxruntime(path):
    session = _session(path)

    def run(names, fed):
        try:
            return session.run(names, fed)
        except Exception as error:  # any: onnxruntime's own
            raise ModelError(f"{path}: onnxruntime cannot run it: {first_line(error)}") from None

    return run


def _session(path):
    onnxruntime = package("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = max(torch.get_num_threads(), 1)
    # As the file says: what fuses layers may round otherwise.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # any: onnxruntime's own
        raise ModelError(
            f"{path}: onnxruntime cannot load it: {first_line(error)}; export it again"
        ) from None


def _examples(module) -> list[Tensor]:
    nodes = module.graph.find_nodes(op="placeholder")
    return list(getattr(module, "example_input_array", [node.meta.get("val") for node in nodes]))


def _random(example, source, count, generator):
    shape = (count, *example.shape[1:])
    # Whole numbers are labels or places, of which 0 is one whatever there are.
    if not example.is_floating_point():
        return torch.zeros(shape, dtype=example.dtype)
    kind = onnx_package().helper.tensor_dtype_to_np_dtype(source.element)
    if kind.kind in "iu":
        ends = np.iinfo(kind)
        return torch.randint(ends.min, ends.max + 1, shape, generator=generator).float()
    # In the range of pixels / 255, which is in that of most inputs.
    return torch.rand(shape, generator=generator)


def _fed(images: Tensor, source: OnnxInput) -> np.ndarray:
    kind = onnx_package().helper.tensor_dtype_to_np_dtype(source.element)
    return images.numpy().astype(kind)


def _check_numbers(path, name, ours, theirs):
    """Return if there is a number where onnxruntime has one, and nowhere else."""
    # Of these a maximum is what a library makes of it.
    if ours.dtype.kind != "f" or theirs.dtype.kind != "f" or ours.size != theirs.size:
        return
    missing = np.isnan(ours) != np.isnan(theirs).reshape(ours.shape)
    if missing.any():
        raise ModelError(
            f"{path}: output '{name}' needs to be a number for any pixels, but PyTorch or the "
            f"runtime gives none for {int(missing.sum()):,} of {missing.size:,} values of random "
            f"images; clamp what a logarithm, a root or a quotient is computed of"
        )


def _largest(path, names, found, wanted) -> RuntimeDifference:
    largest = typical = 0.0
    for name, ours, theirs in zip(names, found, wanted, strict=True):
        _check_numbers(path, name, ours.numpy(), theirs)
        ours, theirs = ours.numpy().astype(np.float64), theirs.astype(np.float64)
        # A file of one image may squeeze it away.
        theirs = theirs[None] if ours.shape == (1, *theirs.shape) else theirs
        if ours.shape != theirs.shape:
            raise ModelError(
                f"{path}: output '{name}' has the shape {theirs.shape} in onnxruntime, not "
                f"{ours.shape}; report the file"
            )
        # What is infinite in both has no difference; in one alone it is a difference.
        both = np.isfinite(ours) & np.isfinite(theirs)
        same = bool((np.isfinite(ours) == np.isfinite(theirs)).all())
        gap, size = np.abs(ours[both] - theirs[both]), np.abs(theirs[both])
        peak = max(float(size.max(initial=0)), SMALL)
        largest = max(largest, float(gap.max(initial=0)) / peak, 0.0 if same else 1.0)
        power = sqrt(float((size**2).mean())) if size.size else 1.0
        typical = max(
            typical, sqrt(float((gap**2).mean())) / max(power, SMALL) if gap.size else 0.0
        )
    return RuntimeDifference(largest, typical)
