"""Networks of Brevitas' layers: random ones, and those that its users build."""

import warnings
from dataclasses import dataclass

import pytest
import torch
from hypothesis import reject
from hypothesis import strategies as st
from torch import Tensor, nn

# Imported by tests alone, which are skipped where it is missing.
pytest.importorskip("brevitas", reason="brevitas is not installed: pip install '.[brevitas]'")
import brevitas.nn as bnn
from brevitas.inject.enum import FloatToIntImplType as Rounding
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8Bias,
    Int8BiasPerTensorFixedPointInternalScaling,
    Int8WeightPerTensorFixedPoint,
    Int16Bias,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    SignedTernaryWeightPerTensorConst,
    Uint8ActPerTensorFixedPoint,
)
from brevitas.quant.fixed_point import (
    Int8ActPerTensorFixedPointMinMaxInit,
    Int8WeightPerChannelFixedPoint,
)
from brevitas.quant.shifted_scaled_int import ShiftedUint8ActPerTensorFixedPoint

QUIET = [
    # PyTorch says so of names of axes, which Brevitas asks tensors for.
    pytest.mark.filterwarnings("ignore:Named tensors and all their associated APIs:UserWarning"),
    # Brevitas, of what stands beside a value and nobody reads.
    pytest.mark.filterwarnings("ignore:Computing zero point of output accumulator:UserWarning"),
]
SHIFTED = {"act_quant": ShiftedUint8ActPerTensorFixedPoint, "return_quant_tensor": True}
SIZE = 8  # of images, rows and columns
SIGNED = {"act_quant": Int8ActPerTensorFixedPoint, "return_quant_tensor": True}
UNSIGNED = {"act_quant": Uint8ActPerTensorFixedPoint, "return_quant_tensor": True}
FIXED = {"weight_quant": Int8WeightPerTensorFixedPoint}
ROUNDINGS = (Rounding.ROUND, Rounding.FLOOR, Rounding.CEIL, Rounding.ROUND_TO_ZERO, Rounding.DPU)


@dataclass(frozen=True, eq=False, repr=False)
class Case:
    """A network and images for it."""

    model: nn.Module
    images: Tensor

    def __repr__(self):
        # Brevitas' own text of a layer is a page long.
        layers = [type(each).__name__ for each in self.model]
        return f"{layers} on images {tuple(self.images.shape)}"


class Residual(nn.Module):
    def __init__(self, body: nn.Module, add: nn.Module):
        super().__init__()
        self.body, self.add = body, add

    def forward(self, x):
        return self.add(x, self.body(x))


class Beside(nn.Module):
    """Two layers whose results are joined behind one quantizer for both."""

    def __init__(self, one: nn.Module, other: nn.Module, act: nn.Module):
        super().__init__()
        self.one, self.other, self.act = one, other, act

    def forward(self, x):
        return torch.cat([self.act(self.one(x)), self.act(self.other(x))], 1)


def calibrated(model: nn.Module, *shape: int) -> nn.Module:
    """``model`` in evaluation, its quantizers and normalisations as some images leave them."""
    generator = torch.Generator().manual_seed(1)
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)):
        norm.weight.data.uniform_(0.5, 2, generator=generator)
        norm.bias.data.normal_(generator=generator)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.train()
        for _ in range(3):
            model(torch.randn(8, *shape, generator=generator))
    return model.eval()


def reals(result) -> Tensor:
    """What a network of Brevitas gives, as a plain tensor."""
    return getattr(result, "value", result)


@st.composite
def weight_quantizers(draw):
    kind = draw(st.sampled_from(["tensor", "channel", "binary", "ternary"]))
    if kind in ("binary", "ternary"):
        quantizer = {
            "binary": SignedBinaryWeightPerTensorConst,
            "ternary": SignedTernaryWeightPerTensorConst,
        }[kind]
        return {"weight_quant": quantizer, "weight_scaling_init": 2.0 ** -draw(st.integers(0, 3))}
    each = kind == "channel"
    quantizer = Int8WeightPerChannelFixedPoint if each else Int8WeightPerTensorFixedPoint
    return {"weight_quant": quantizer, "weight_bit_width": draw(st.integers(2, 8))}


@st.composite
def activations(draw):
    kind = draw(st.sampled_from(["relu", "identity", "narrow", "hardtanh", "binary"]))
    if kind == "binary":
        return bnn.QuantIdentity(
            act_quant=SignedBinaryActPerTensorConst, scaling_init=0.5, return_quant_tensor=True
        )
    numbers = {
        "bit_width": draw(st.integers(2, 8)),
        "float_to_int_impl_type": draw(st.sampled_from(ROUNDINGS)),
    }
    if kind == "relu":
        return bnn.QuantReLU(**UNSIGNED, **numbers)
    if kind == "hardtanh":
        ends = {"min_val": -1.0, "max_val": 1.0, "return_quant_tensor": True}
        quantizer = Int8ActPerTensorFixedPointMinMaxInit
        return bnn.QuantHardTanh(act_quant=quantizer, **ends, **numbers)
    return bnn.QuantIdentity(narrow_range=kind == "narrow", **SIGNED, **numbers)


@st.composite
def convolutions(draw, inputs, outputs, **options):
    biases = [
        {"bias": False},
        {"bias": True},
        {"bias": True, "bias_quant": Int8Bias},
        {"bias": True, "bias_quant": Int16Bias},
        {"bias": True, "bias_quant": Int8BiasPerTensorFixedPointInternalScaling},
    ]
    groups = [1, inputs] if outputs % inputs == 0 else [1]
    return bnn.QuantConv2d(
        inputs,
        outputs,
        **({"kernel_size": draw(st.sampled_from([1, 3])), "padding": 0} | options),
        groups=draw(st.sampled_from(groups)),
        **draw(st.sampled_from(biases)),
        **draw(weight_quantizers()),
        return_quant_tensor=draw(st.booleans()),
    )


@st.composite
def blocks(draw, channels):
    """Layers behind one another, and how many channels they give."""
    kind = draw(st.sampled_from(["conv", "normalised", "pool", "residual", "beside", "enlarged"]))
    same = {"kernel_size": 3, "padding": 1}
    if kind in ("conv", "normalised"):
        outputs = draw(st.sampled_from([channels, 4, 6]))
        norm = [nn.BatchNorm2d(outputs)] if kind == "normalised" else []
        return [draw(convolutions(channels, outputs)), *norm, draw(activations())], outputs
    if kind == "pool":
        average = {"bit_width": draw(st.sampled_from([4, 8])), "return_quant_tensor": True}
        pool = draw(st.sampled_from([nn.MaxPool2d(2), bnn.TruncAvgPool2d(2, **average)]))
        return [pool], channels
    if kind == "residual":
        both = {f"{end}_quant": Int8ActPerTensorFixedPoint for end in ("input", "output")}
        add = bnn.QuantEltwiseAdd(**both, return_quant_tensor=True)
        return [Residual(draw(convolutions(channels, channels, **same)), add)], channels
    if kind == "beside":
        one, other = (draw(convolutions(channels, channels, **same)) for _ in range(2))
        return [Beside(one, other, draw(activations()))], 2 * channels
    weights = draw(weight_quantizers())
    layer = bnn.QuantConvTranspose2d(channels, 4, 2, stride=2, **weights)
    return [layer, draw(activations())], 4


@st.composite
def networks(draw):
    """A calibrated network in evaluation, and images for it."""
    channels = first = draw(st.sampled_from([1, 3]))
    torch.manual_seed(draw(st.integers(0, 99)))
    layers = [bnn.QuantIdentity(**SIGNED)]
    for _ in range(draw(st.integers(1, 3))):
        made, channels = draw(blocks(channels))
        layers += made
    layers.append(nn.Flatten())
    images = torch.randn(8, first, SIZE, SIZE)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = reals(nn.Sequential(*layers)(images)).shape[1]
    except RuntimeError:
        # Images became smaller than a window.
        reject()
    bias = draw(st.booleans())
    layers.append(bnn.QuantLinear(values, 3, bias=bias, weight_bit_width=4, **FIXED))
    model = calibrated(nn.Sequential(*layers), first, SIZE, SIZE)
    # Of what is 0 for all images, Brevitas' scale is 1e-10.
    proxies = [m for m in model.modules() if hasattr(m, "fused_activation_quant_proxy")]
    if any(m.is_quant_enabled and float(m.scale().detach()) < 1e-9 for m in proxies):
        reject()
    return Case(model, images)


def small_cnn(**options) -> nn.Module:
    """A network as Brevitas' users write it, of fixed-point quantizers alone."""
    torch.manual_seed(1)
    model = nn.Sequential(
        bnn.QuantIdentity(**SIGNED),
        bnn.QuantConv2d(2, 4, 3, bias_quant=Int16Bias, weight_bit_width=3, **FIXED, **options),
        bnn.QuantReLU(bit_width=4, **UNSIGNED),
        nn.MaxPool2d(2),
        nn.Flatten(),
        bnn.QuantLinear(36, 3, bias=False, weight_bit_width=4, **FIXED),
    )
    return calibrated(model, 2, SIZE, SIZE)


class FinnCnv(nn.Module):
    """The topology that FINN's users know as CNV, of binary or ternary layers, with fewer channels.

    Weights and activations of one bit are signs; of two they are -1, 0 and 1.
    """

    def __init__(self, weight_bits: int, act_bits: int, width: int):
        super().__init__()
        weights = SignedBinaryWeightPerTensorConst if weight_bits == 1 else TernaryOfOne
        acts = SignedBinaryActPerTensorConst if act_bits == 1 else TernaryActOfOne
        layers, channels = [bnn.QuantIdentity(act_quant=PixelsOfOne)], 3
        for number, outputs in enumerate([1, 1, 2, 2, 4, 4]):
            conv = bnn.QuantConv2d(
                channels,
                outputs * width,
                3,
                bias=False,
                weight_quant=weights,
                **({"weight_scaling_init": 1.0} if weight_bits == 1 else {}),
            )
            channels = outputs * width
            act = bnn.QuantIdentity(
                act_quant=acts, **({"scaling_init": 1.0} if act_bits == 1 else {})
            )
            layers += [conv, nn.BatchNorm2d(channels, eps=1e-4), act]
            layers += [nn.MaxPool2d(2)] if number in (1, 3) else []
        layers.append(nn.Flatten())
        for outputs in (8 * width, 10):
            linear = bnn.QuantLinear(
                channels,
                outputs,
                bias=False,
                weight_quant=weights,
                **({"weight_scaling_init": 1.0} if weight_bits == 1 else {}),
            )
            layers.append(linear)
            if outputs > 10:
                act = bnn.QuantIdentity(
                    act_quant=acts, **({"scaling_init": 1.0} if act_bits == 1 else {})
                )
                layers += [nn.BatchNorm1d(outputs, eps=1e-4), act]
            channels = outputs
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        # Pixels from 0 to 1, as the examples of FINN take them.
        return self.layers(2.0 * x - 1.0)


class TernaryOfOne(Int8WeightPerTensorFixedPoint):
    """-1, 0 and 1."""

    bit_width = 2


class TernaryActOfOne(Int8ActPerTensorFixedPointMinMaxInit):
    """-1, 0 and 1."""

    bit_width = 2
    narrow_range = True
    min_val = -1.0
    max_val = 1.0


class PixelsOfOne(Int8ActPerTensorFixedPointMinMaxInit):
    """128 steps from 0 to 1, and as many below."""

    min_val = -1.0
    max_val = 1.0 - 2.0**-7
