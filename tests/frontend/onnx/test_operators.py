"""Every operator of the table gives what onnxruntime does, in each of its forms."""

import re
from dataclasses import dataclass, field

import numpy as np
import pytest

from qnn.errors import ModelError
from qnn.frontend.onnx.read import from_onnx
from qnn.frontend.onnx.table import TABLE
from tests.frontend.onnx.files import check_equal, helper, write

GENERATOR = np.random.default_rng(1)


def some(*shape: int) -> np.ndarray:
    return GENERATOR.uniform(-1, 1, shape).astype(np.float32)


def ints(*values) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@dataclass(frozen=True)
class Case:
    """One node on an image, and constants for its other operands; None where one is left out."""

    kind: str
    shape: tuple[int, ...] = (4, 6, 5)
    constants: tuple[np.ndarray | None, ...] = ()
    attributes: dict = field(default_factory=dict)
    opset: int = 17
    outputs: int = 1
    low: float = -2
    high: float = 2
    domain: str = ""

    def __str__(self):
        return f"{self.kind} {self.attributes} {self.opset}"


def case(kind, *constants, shape=(4, 6, 5), opset=17, outputs=1, low=-2, high=2, **attributes):
    domain, _, name = kind.rpartition(".")
    return Case(name, shape, constants, attributes, opset, outputs, low, high, domain)


ONE = (
    *("Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus", "Softsign", "Erf", "Exp", "Abs", "Neg"),
    *("Sign", "Floor", "Ceil", "Round", "Sin", "Cos", "Atan", "Sinh", "Cosh", "Asinh"),
    *("LeakyRelu", "Elu", "Celu", "Selu", "HardSigmoid", "ThresholdedRelu", "Identity", "Dropout"),
    *("GlobalAveragePool", "GlobalMaxPool", "Softmax", "LogSoftmax"),
    *("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"),
    *("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "LpNormalization"),
    *("com.microsoft.Gelu", "com.microsoft.QuickGelu"),
)
WITHIN = ("Asin", "Acos", "Atanh", "Tan")  # of -1 to 1
ABOVE = ("Log", "Sqrt", "Reciprocal", "Acosh", "ReduceLogSum")  # of what is over 1
TWO = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean")
CASES = [
    *(case(kind) for kind in ONE),
    *(case(kind, low=-0.9, high=0.9) for kind in WITHIN),
    *(case(kind, low=1.1, high=3) for kind in ABOVE),
    *(case(kind, some(4, 1, 1) + 2) for kind in TWO),
    case("MeanVarianceNormalization", axes=[2, 3]),
    case("Mish", opset=18),
    case("Gelu", opset=20),
    case("Gelu", opset=20, approximate="tanh"),
    case("Pow", np.float32(2)),
    case("Pow", some(4, 1, 1) + 2, low=0.1),
    case("Mod", some(4, 1, 1) + 2, fmod=1, low=0.1),
    case("Clip", np.float32(-0.5), np.float32(1)),
    case("Clip", None, np.float32(1)),
    case("Clip", np.float32(0)),
    case("Clip", opset=7, min=-0.5, max=0.5),
    case("PRelu", some(4, 1, 1)),
    case("PRelu", some(1)),
    case("PRelu", some(4, 6, 5)),
    case("HardSigmoid", alpha=1 / 6, beta=0.5),
    case("Shrink", lambd=0.5, bias=0.5),
    case("Shrink", lambd=0.5),
    # Windows.
    case("Conv", some(3, 4, 3, 2), some(3), pads=[1, 0, 1, 1], strides=[2, 1]),
    case("Conv", some(4, 1, 3, 3), group=4, auto_pad="SAME_UPPER"),
    case("Conv", some(4, 1, 3, 3), group=4, dilations=[2, 1], pads=[2, 1, 2, 1]),
    case("Conv", some(3, 4, 2, 2), auto_pad="SAME_LOWER"),
    case("Conv", some(3, 4, 3), some(3), shape=(4, 9), pads=[2, 0]),
    case("ConvTranspose", some(4, 3, 3, 3), some(3), strides=[2, 2], pads=[1, 1, 1, 1]),
    case("ConvTranspose", some(4, 3, 2, 2), strides=[2, 2], output_padding=[1, 1]),
    case("ConvTranspose", some(4, 3, 3, 3), some(3), strides=[2, 2], pads=[0, 1, 1, 0]),
    case("ConvTranspose", some(4, 3, 3, 3), strides=[2, 2], output_shape=[12, 10]),
    case("ConvTranspose", some(4, 3, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER"),
    case("ConvTranspose", some(4, 2, 4), shape=(4, 9), strides=[2], pads=[1, 1]),
    case("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", high=-1),
    case("MaxPool", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1, pads=[1, 0, 1, 1]),
    case("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    case("AveragePool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    # Products and normalisations.
    case("Gemm", some(5, 7), some(7), shape=(5,)),
    case("Gemm", some(7, 5), some(1, 7), shape=(5,), transB=1, alpha=0.5, beta=2.0),
    case("Gemm", some(7, 5), shape=(5,), transB=1),
    case("MatMul", some(5, 7)),
    case("MatMul", some(4, 5, 2)),
    case("BatchNormalization", some(4), some(4), some(4), some(4) + 2),
    case("InstanceNormalization", some(4), some(4)),
    case("LayerNormalization", some(5), some(5)),
    case("LayerNormalization", some(4, 6, 5), axis=1),
    case("GroupNormalization", some(4), some(4), num_groups=2, opset=21),
    case("GroupNormalization", some(2), some(2), num_groups=2, opset=18),
    case("RMSNormalization", some(5), opset=23),
    case("LRN", size=3, alpha=0.1),
    case("Softmax", axis=1),
    case("Softmax", opset=11, axis=2),
    case("LogSoftmax", opset=11),
    case("Einsum", some(4, 3), equation="bchw, co -> bohw"),
    # What onnxruntime's optimizer writes.
    *(
        case("com.microsoft.FusedConv", some(3, 4, 3, 3), some(3), pads=[1, 1, 1, 1], **each)
        for each in (
            *({"activation": "Relu"}, {"activation": "Tanh"}, {"activation": "Sigmoid"}),
            {"activation": "LeakyRelu", "activation_params": [0.3]},
            {"activation": "Clip", "activation_params": [-0.5, 1.5]},
            {"activation": "HardSigmoid", "activation_params": [0.25, 0.4]},
        )
    ),
    case("com.microsoft.FusedGemm", some(5, 7), some(7), shape=(5,), activation="Relu"),
    case(
        *("com.microsoft.FusedGemm", some(7, 5), some(7)),
        shape=(5,),
        transB=1,
        activation="LeakyRelu",
        activation_alpha=0.2,
    ),
    case("com.microsoft.FusedMatMul", some(7, 5), transB=1, alpha=0.25),
    case("com.microsoft.FusedMatMul", some(6, 7), transA=1),
    case("com.microsoft.BiasGelu", some(5)),
    case("com.microsoft.FastGelu"),
    case("com.microsoft.FastGelu", some(5)),
    case("com.microsoft.SkipLayerNormalization", some(1, 6, 5), some(5), some(5), shape=(6, 5)),
    # Places.
    case("Reshape", ints(0, -1, 5)),
    case("Reshape", ints(-1, 120)),
    case("Reshape", ints(1, 24, 5)),
    case("Flatten"),
    case("Flatten", axis=2),
    case("Squeeze", ints(1), shape=(1, 6, 5)),
    case("Squeeze", opset=11, axes=[1], shape=(1, 6, 5)),
    case("Unsqueeze", ints(1, -1)),
    case("Unsqueeze", opset=11, axes=[1]),
    case("Transpose", perm=[0, 3, 2, 1]),
    case("Concat", some(3, 2, 6, 5), axis=1),
    case("Split", ints(1, 3), axis=1, outputs=2),
    case("Split", axis=1, outputs=2, opset=11, split=[1, 3]),
    case("Split", axis=2, outputs=2, opset=18, num_outputs=2),
    case("Slice", ints(1, 0), ints(4, 2**40), ints(2, 3), ints(2, 3)),
    case("Slice", ints(-1, 4), ints(-(2**40), 1), ints(2, 3), ints(-1, -2)),
    case("Slice", opset=9, starts=[1], ends=[3], axes=[1]),
    case("Gather", ints(2, 0, -1), axis=1),
    case("Gather", np.array(2), axis=2),
    case("Gather", ints([0, 1], [2, 3]), axis=1),
    case("Gather", ints(1, 2), axis=1),
    case("Expand", ints(1, 4, 6, 5), shape=(1, 6, 5)),
    case("Tile", ints(1, 2, 1, 3)),
    case("Pad", ints(0, 1, 0, 2, 0, 0, 1, -1)),
    case("Pad", ints(0, 0, 1, 2, 0, 0, 1, 1), mode="reflect"),
    case("Pad", ints(0, 0, 1, 2, 0, 0, 1, 1), mode="edge"),
    case("Pad", ints(1, 2), np.float32(3), ints(3), opset=18),
    case("Pad", opset=10, pads=[0, 0, 1, 1, 0, 0, 2, 2], value=0.5),
    case("SpaceToDepth", blocksize=2, shape=(2, 4, 6)),
    case("DepthToSpace", blocksize=2, shape=(8, 2, 3)),
    case("DepthToSpace", blocksize=2, shape=(8, 2, 3), mode="CRD"),
    case("Trilu"),
    case("Trilu", np.array(1), upper=0),
    case("CumSum", np.array(1)),
    case("TopK", ints(2), axis=1, outputs=2),
    case("ReduceMean", axes=[2, 3], keepdims=0),
    case("ReduceMean", ints(2, 3), opset=18),
    case("ReduceSum", ints(1), keepdims=0),
    case("ReduceSum", noop_with_empty_axes=1),
    case("ArgMax", axis=1),
    case("ArgMin", axis=2, keepdims=0),
    # BatchSizes.
    *(
        case("Resize", None, some_scales, mode=mode, coordinate_transformation_mode=coordinates)
        for mode in ("nearest", "linear")
        for some_scales in (np.float32([1, 1, 2, 2]), np.float32([1, 1, 1.5, 0.7]))
        for coordinates in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    ),
    *(
        case("Resize", None, np.float32([1, 1, 2, 1.3]), nearest_mode=nearest)
        for nearest in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    ),
    case("Resize", None, None, ints(3, 4, 9, 9), mode="linear"),
    case("Resize", None, np.float32([1, 1, 2, 2]), mode="cubic"),
    case("Resize", np.float32([1, 1, 2, 3]), opset=10),
    case("Resize", None, np.float32([1, 1, 0.7, 0.7]), shape=(2, 10, 10)),
    case("ReduceSumSquare", noop_with_empty_axes=1, opset=18),
    case("ReduceL1", noop_with_empty_axes=1, opset=18),
    case("ReduceMean", noop_with_empty_axes=1, opset=18),
    case("Upsample", np.float32([1, 1, 2, 2]), opset=9, mode="nearest"),
]
# Those that stand in graphs of several nodes below.
ELSEWHERE = {
    *("Constant", "ConstantOfShape", "Range", "OneHot", "Shape", "Size", "NonZero", "Cast"),
    *("CastLike", "Where", "Not", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
    *("And", "Or", "Xor", "IsNaN", "IsInf", "GatherElements", "GatherND", "ScatterND"),
    "ScatterElements",
    # Of scikit-learn's perceptrons, which have tests of their own, too.
    *("ai.onnx.ml.Scaler", "ai.onnx.ml.ArrayFeatureExtractor"),
    # Of quantized files, which have tests of their own.
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
    *("Quant", "IntQuant", "BipolarQuant", "FloatQuant"),
    *("LSTM", "GRU", "RNN", "Swish", "EyeLike"),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_operator_equals_onnxruntime(case, tmp_path):
    names = ["x", *(f"c{n}" if each is not None else "" for n, each in enumerate(case.constants))]
    constants = {
        f"c{n}": np.asarray(each) for n, each in enumerate(case.constants) if each is not None
    }
    outputs = [f"y{n}" for n in range(case.outputs)]
    node = helper.make_node(case.kind, names, outputs, domain=case.domain, **case.attributes)
    inputs = {"x": ["images", *case.shape]}
    if case.kind in ("Concat", "Expand", "Resize", "Tile"):
        inputs = {"x": [3, *case.shape]}
    # A reshape to one image is of a file that takes one.
    if case.kind == "Reshape" and case.constants[0][0] == 1:
        inputs = {"x": [1, *case.shape]}
    path = write(tmp_path / "model.onnx", [node], inputs, outputs, constants, case.opset)
    check_equal(path, case.shape, low=case.low, high=case.high)


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        *(
            (case("Resize", None, np.float32([1, 1, each, 1])), "needs scales above 0 and below")
            for each in (3e38, 0, -1, np.nan)
        ),
        (case("LRN", size=2), "needs an odd size, not 2"),
        (case("IsInf", detect_negative=0), "needs both signs, not one"),
        (
            case(
                *("LSTM", some(1, 8, 5), some(1, 8, 2), None, ints(2, 3, 4, 4).astype(np.int32)),
                shape=(4, 5),
                hidden_size=2,
                layout=1,
            ),
            "needs sequences of all 4 steps, not the lengths [2, 3, 4, 4]",
        ),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(refused, told, tmp_path):
    names = [
        "x",
        *(f"c{n}" if each is not None else "" for n, each in enumerate(refused.constants)),
    ]
    constants = {f"c{n}": each for n, each in enumerate(refused.constants) if each is not None}
    node = helper.make_node(refused.kind, names, ["y"], **refused.attributes)
    path = write(tmp_path / "m.onnx", [node], {"x": [4, *refused.shape]}, ["y"], constants)
    with pytest.raises(ModelError, match=re.escape(told)):
        from_onnx(path)


def test_each_operator_has_a_case():
    tried = {f"{each.domain}.{each.kind}".strip(".") for each in CASES}
    assert tried | ELSEWHERE == set(TABLE)
