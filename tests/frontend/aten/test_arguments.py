"""Every argument of every call that capture takes is used, or rejected by name."""

import operator
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, fx
from torch._subclasses import FakeTensorMode
from torch.export.graph_signature import OutputKind
from torch.utils._pytree import tree_map

from qnn.errors import ModelError
from qnn.frontend.aten.registry import OPERATORS
from qnn.frontend.exported import read
from tests.float_results import float_results
from tests.release import CHECKS_STATISTICS

WITHOUT_VALUES = FakeTensorMode()
IMAGES = {"x": torch.randn(2, 4, 8, 6), "other": torch.randn(2, 4, 8, 6)}
SEQUENCES = {"x": torch.randn(2, 4, 16), "other": torch.randn(2, 4, 16)}
VECTORS = {"x": torch.randn(2, 5), "other": torch.randn(2, 5)}
# What a call is given where the test changes another argument; "x" is the activation.
USUAL = {
    "weight": torch.randn(3, 4, 3, 3),
    "bias": None,
    "kernel_size": [2, 2],
    "output_size": [2, 2],
    "scale_factors": None,
    "align_corners": False,
    "upscale_factor": 2,
    "downscale_factor": 2,
    "pad": [1, 0, 2, 1],
    "p": 0.5,
    "train": False,
    "training": False,
    "min": -0.5,
    "max": 0.5,
    "running_mean": torch.tensor([0.1, 0.2, -0.1, 0.0]),
    "running_var": torch.tensor([1.0, 2.0, 0.5, 1.5]),
    "momentum": 0.1,
    "eps": 1e-3,
    "cudnn_enabled": False,
    "size": [2, -1],
    "shape": [2, -1],
    "stride": [1, 1],
    "padding": [1, 1],
    "dilation": [1, 1],
    "transposed": False,
    "output_padding": [0, 0],
    "groups": 1,
    "tensors": ["x", "other"],
    "out_dtype": torch.float32,
}
OF_SEQUENCES = ("bmm", "baddbmm", "conv1d", "max_pool1d", "max_pool1d_with_indices", "avg_pool1d")
OF_SEQUENCES += (
    "adaptive_avg_pool1d",
    "adaptive_max_pool1d",
    "conv_transpose1d",
    "upsample_nearest1d",
)
OF_SEQUENCES += ("_upsample_nearest_exact1d", "upsample_linear1d")
OF_SEQUENCES += ("reflection_pad1d", "replication_pad1d", "gru", "lstm", "rnn_tanh", "rnn_relu")
OF_VECTORS = (
    "linear",
    "addmm",
    "mm",
    "mv",
    "matmul",
    "gru_cell",
    "lstm_cell",
    "rnn_tanh_cell",
    "rnn_relu_cell",
)
LINE = {"stride": [2], "padding": [1], "dilation": [1], "output_padding": [1]}
POOLED = {"padding": [0, 0], "stride": [2, 1]}
NORMALISED = {"weight": torch.tensor([1.0, -2.0, 0.5, 0.1])}
# By operator, where an argument of that name is another thing.
RECURRENT = {"gru": 3, "lstm": 4, "rnn_tanh": 1, "rnn_relu": 1}  # gates of each
LAYER = {
    "has_biases": True,
    "num_layers": 1,
    "dropout": 0.0,
    "bidirectional": False,
    "batch_first": True,
}


def weights(gates, inputs):
    """Of three features of the state."""
    shapes = ((inputs,), (3,), (), ())
    return [torch.randn(3 * gates, *shape) for shape in shapes]


def cell(name, gates):
    given = dict(zip(("w_ih", "w_hh", "b_ih", "b_hh"), weights(gates, 5), strict=True))
    state = torch.zeros(2, 3)
    return given | {"hx": [state, state] if name == "lstm" else state}


def recurrent(name, gates):
    state = torch.zeros(1, 2, 3)
    hx = [state, state] if name == "lstm" else state
    return LAYER | {"params": weights(gates, 16), "hx": hx}


OWN = {
    **{name: recurrent(name, gates) for name, gates in RECURRENT.items()},
    **{f"{name}_cell": cell(name, gates) for name, gates in RECURRENT.items()},
    "linear": {"weight": torch.randn(3, 5)},
    "addmm": {"self": torch.randn(3), "mat1": "x", "mat2": torch.randn(5, 3)},
    "mm": {"mat2": torch.randn(5, 3)},
    "matmul": {"other": torch.randn(5, 3)},
    "mv": {"vec": torch.randn(5)},
    "bmm": {"mat2": torch.randn(16, 3).expand(2, 16, 3)},
    "baddbmm": {"self": torch.randn(3), "batch1": "x", "batch2": torch.randn(2, 16, 3)},
    "conv_transpose2d": {"weight": torch.randn(4, 3, 3, 3)},
    "cat": {"dim": 1},
    "concat": {"dim": 1},
    "mean": {"dim": [2, 3]},
    "conv_transpose1d": {"weight": torch.randn(4, 3, 3), **LINE},
    **{key: {"output_size": [32]} for key in OF_SEQUENCES if "upsample" in key},
    **{key: {"padding": [2, 1]} for key in OF_SEQUENCES if key.endswith("pad1d")},
    **{key: {"padding": [2, 1, 0, 3]} for key in ("reflection_pad2d", "replication_pad2d")},
    "conv1d": {"weight": torch.randn(3, 4, 3), "stride": [1], "padding": [1], "dilation": [1]},
    **{key: {"kernel_size": [2], "padding": [0], "stride": [2]} for key in OF_SEQUENCES[3:6]},
    "adaptive_avg_pool1d": {"output_size": [4]},
    "adaptive_max_pool1d": {"output_size": [4]},
    "to": {"dtype": torch.float32, "device": torch.device("cpu")},
    "max_pool2d": POOLED,
    "max_pool2d_with_indices": POOLED,
    "avg_pool2d": POOLED,
    "threshold": {"threshold": 0.1, "value": 0.2},
    "lerp": {"end": torch.tensor(0.5), "weight": 0.25},
    "where": {"condition": torch.tensor(True), "self": "x"},
    "masked_fill": {"mask": torch.tensor(True)},
    "prelu": {"weight": torch.tensor([0.25, -0.5, 0.1, 1.0])},
    "div": {"rounding_mode": "floor"},
    "divide": {"rounding_mode": "floor"},
}
TYPES = [torch.float64, torch.float16, torch.int32, torch.float32]
# What an argument is changed to, by its type in the schema.
CHANGES = {
    "bool": [True, False],
    "int": [-1, 0, 1, 2, 3, 4, 100],
    "float": [0.0, 0.25, -1.0, float("nan"), float("inf")],
    "number": [0, 2, -1, 0.5, float("nan"), float("inf")],
    "str": ["same", "valid", "constant", "reflect", "replicate", "circular"],
    "List[int]": [
        *([], [0], [1], [2], [-1], [0, 0], [1, 0], [0, 1], [2, 1], [1, 2], [2, 2], [3, 3], [3, 2]),
        *([7, 5], [8, 6], [2, 192], [2, 4, 48], [2, 4, 8, 6], [1, 0, 1, 1, 2, 1], [-1, 1]),
    ],
    "List[float]": [[], [2.0, 2.0], [1.5, 0.5], [2.0], [1.3], [0.25, 3.0]],
    "Tensor": ["x", "other", torch.tensor(0.25), torch.tensor([0.25, -0.5, 1.0, 2.0])],
    "List[Tensor]": [["x"], ["other", "x"], ["x", torch.zeros(2, 4, 8, 6)]],
    "ScalarType": TYPES,
    "Layout": [torch.sparse_coo, torch.strided],
    "Device": [torch.device("meta"), torch.device("cpu")],
    "Generator": [],
    "MemoryFormat": [torch.channels_last, torch.contiguous_format],
}
FAILURES = (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError)


def kind_of(argument):
    return str(argument.real_type).removeprefix("Optional[").removesuffix("]" * _optional(argument))


def _optional(argument):
    return str(argument.real_type).startswith("Optional[")


def changes_of(overload, argument):
    none = [None] * _optional(argument)
    given = usual(overload).get(argument.name)
    # Some kernels check nothing: a tensor of another shape would end the process.
    if isinstance(given, Tensor):
        crashes = overload._opname == "native_batch_norm" and not CHECKS_STATISTICS
        return [*([] if crashes else none), given + 1]
    if isinstance(given, list) and isinstance(given[0], Tensor):
        return [[each + 1 for each in given]]
    # With the state of another batch LSTM writes where it must not.
    if argument.name == "batch_first":
        return [True]
    if argument.name == "training" and "no_stats" in overload._overloadname:
        return [True]
    if argument.name == "bias":
        return [*none, torch.randn(4 if "batch_norm" in overload._opname else 3)]
    return none + CHANGES[kind_of(argument)]


def overloads():
    """All that torch.export may call: not those of TorchScript alone, nor results given."""
    # Of true and false alone, which no input is; and ATen's: quantizers give integers for reals.
    for name in (n for n in OPERATORS if n.startswith("aten.") and "bitwise" not in n):
        packet = getattr(torch.ops.aten, name.removeprefix("aten."))
        for overload in (getattr(packet, each) for each in packet.overloads()):
            arguments = overload._schema.arguments
            tensors = arguments and "Tensor" in {str(a.type) for a in arguments}
            # Those with a type of the sum exist for GPUs alone.
            other = overload._overloadname.startswith("prim_") or any(
                a.name == "out_dtype" for a in arguments
            )
            # A choice of two numbers by what only a comparison in the network gives.
            other |= overload == torch.ops.aten.where.Scalar
            # Of places that another call gives.
            other |= overload._opname == "max_unpool2d"
            # Axes by names, which tensors of torch.export have not.
            other |= any(each in overload._overloadname for each in ("names", "Dimname"))
            # Packed sequences, whose kernels check nothing.
            other |= any(a.name == "batch_sizes" for a in arguments)
            if tensors and not other and not any(a.is_out for a in arguments):
                yield overload


def usual(overload):
    """Arguments of one call that is usual, an activation for the first operand."""
    own = OWN.get(overload._opname, NORMALISED if "batch_norm" in overload._opname else {})
    chosen = {}
    for number, argument in enumerate(overload._schema.arguments):
        if argument.name in own:
            chosen[argument.name] = own[argument.name]
        elif argument.name in USUAL and not argument.has_default_value():
            chosen[argument.name] = USUAL[argument.name]
            if argument.name == "training" and "no_stats" in overload._overloadname:
                chosen[argument.name] = True
        elif not argument.has_default_value():
            chosen[argument.name] = "other" if number else "x"
    return chosen


class Program:
    """What torch.export would give for one call; much faster, and of calls that it decomposes."""

    def __init__(self, overload, chosen):
        self.inputs = VECTORS if overload._opname in OF_VECTORS else IMAGES
        self.inputs = SEQUENCES if overload._opname in OF_SEQUENCES else self.inputs
        self.graph, self.constants, self.state_dict = fx.Graph(), {}, {}
        self.nodes = {name: self._placed(name, x) for name, x in self.inputs.items()}
        arguments = {key: self._argument(value) for key, value in chosen.items()}
        held = self.inputs | self.constants
        real = fx.map_arg(arguments, lambda node: held[node.name])
        keys = [argument.name for argument in overload._schema.arguments]
        # By position as far as nothing is left out, as torch.export writes calls.
        count = next((n for n, key in enumerate(keys) if key not in real), len(keys))
        first = [a.name for a in overload._schema.arguments if not a.kwarg_only][:count]
        rest = [key for key in keys if key in real and key not in first]
        with torch.no_grad():
            result = overload(*(real[k] for k in first), **{k: real[k] for k in rest})
        node = self.graph.call_function(
            overload, tuple(arguments[k] for k in first), {k: arguments[k] for k in rest}
        )
        node.meta["val"] = tree_map(_without_values, result)
        if isinstance(result, tuple):
            node, result = self.graph.call_function(operator.getitem, (node, 0)), result[0]
            node.meta["val"] = _without_values(result)
        # The other input is added, so that each reaches an output.
        self.graph.output((node, self.nodes["x"], self.nodes["other"]))
        self.result = result
        self.graph_signature = SimpleNamespace(
            inputs_to_parameters={},
            inputs_to_buffers={},
            inputs_to_lifted_tensor_constants={name: name for name in self.constants},
            buffers_to_mutate={},
            user_inputs=list(self.inputs),
            output_specs=[SimpleNamespace(kind=OutputKind.USER_OUTPUT)] * 3,
        )

    def _placed(self, name, value):
        node = self.graph.placeholder(name)
        node.meta["val"] = _without_values(value)
        return node

    def _argument(self, value):
        if isinstance(value, list):
            return [self._argument(item) for item in value]
        if isinstance(value, Tensor):
            name = f"constant_{len(self.constants)}"
            self.constants[name] = value
            return self._placed(name, value)
        return self.nodes.get(value, value) if isinstance(value, str) else value


def _without_values(value):
    """A tensor of the shape and type alone, as programs of torch.export have them."""
    return WITHOUT_VALUES.from_tensor(value) if isinstance(value, Tensor) else value


def outcome(overload, chosen):
    """How capture takes one call: "right", "refused", or "not" where PyTorch itself rejects it."""
    try:
        program = Program(overload, chosen)
    except FAILURES:
        return "not"
    try:
        graph = read(program)
    except ModelError:
        return "refused"
    images = program.inputs.values()
    got, *_ = float_results(graph, *images)
    # The host has one kind of integers, and what it leaves alone is in float32.
    wanted = program.result.float() if program.result.is_floating_point() else program.result
    wanted = wanted if wanted.is_floating_point() or wanted.dtype is torch.bool else wanted.long()
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5, equal_nan=True)
    return "right"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("overload", list(overloads()), ids=str)
def test_an_argument_is_used_as_pytorch_does_or_rejected(overload):
    torch.manual_seed(0)
    found = [outcome(overload, usual(overload))]
    for argument in overload._schema.arguments:
        for value in changes_of(overload, argument):
            found.append(outcome(overload, usual(overload) | {argument.name: value}))
    # A test that PyTorch rejects all calls of would say nothing.
    assert {"right", "refused"} & set(found)


def test_an_argument_that_no_reader_uses_is_named(monkeypatch):
    def forgetful(call):
        call.neutral("kernel_size", "stride")
        return call.source()

    monkeypatch.setitem(OPERATORS, "aten.avg_pool2d", forgetful)
    pooled = {"self": "x", "kernel_size": [1, 1], "count_include_pad": False}
    with pytest.raises(ModelError) as caught:
        read(Program(torch.ops.aten.avg_pool2d.default, pooled))
    assert str(caught.value) == (
        "model (aten.avg_pool2d) needs count_include_pad=True, not count_include_pad=False; leave "
        "count_include_pad out"
    )
    normalised = usual(torch.ops.aten.mean.dim) | {"dtype": torch.float64}
    with pytest.raises(ModelError) as caught:
        read(Program(torch.ops.aten.mean.dim, normalised))
    assert str(caught.value) == (
        "model (aten.mean) needs float32, not torch.float64; leave casts and autocast out"
    )
