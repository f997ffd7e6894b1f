"""ResNet-20 in Brevitas: 4-bit weights and 8-bit activations whose scales are powers of two."""

from importlib import metadata

import torch.nn.functional as F
from torch import Tensor, nn

from qnn.nn.zoo import CifarResNet, OptionABlock

# Names of quantizers change between its series.
PACKAGE, SERIES = "brevitas", "0.13"
WEIGHT_BITS = 4
REACH = 4.0  # of activations, to start from: no statistics are collected, so that no step is slow


def missing() -> str | None:
    """Why there is no comparison with Brevitas here; None if there is one."""
    try:
        found = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return f"brevitas is not installed; pip install 'brevitas=={SERIES}.*'"
    if not found.startswith(f"{SERIES}."):
        return f"brevitas {found} is not {SERIES}; pip install 'brevitas=={SERIES}.*'"
    return None


def rival(blocks: int = 3) -> nn.Module:
    """A ``CifarResNet`` that rounds each tensor once, as ours: weights, images, ReLUs, sums.

    Brevitas has scales of weights by layer or by channel; by layer is the cheaper one.
    """
    model = CifarResNet(blocks)
    for module in list(model.modules()):
        if isinstance(module, OptionABlock):
            # The same modules and parameters, with another forward pass: both networks start alike.
            module.__class__ = _Block
            module.relu1, module.relu2 = _relu(), _relu()
    model.__class__ = _Network
    model.grid, model.relu = _identity(), _relu()
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d | nn.Linear):
                setattr(module, name, _quantized(child))
    return model


class _Block(OptionABlock):
    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        if self.more:
            skipped = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(skipped, (0, 0, 0, 0, self.more, self.more))
        return self.relu2(x + y)


class _Network(CifarResNet):
    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(self.grid(x))))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def _identity() -> nn.Module:
    from brevitas.nn import QuantIdentity
    from brevitas.quant.fixed_point import Int8ActPerTensorFixedPointMinMaxInit

    quantizer = Int8ActPerTensorFixedPointMinMaxInit
    # Given bounds: collecting statistics would slow its first steps.
    return QuantIdentity(act_quant=quantizer, min_val=-REACH, max_val=REACH)


def _relu() -> nn.Module:
    from brevitas.nn import QuantReLU
    from brevitas.quant.fixed_point import Uint8ActPerTensorFixedPointMaxInit

    return QuantReLU(act_quant=Uint8ActPerTensorFixedPointMaxInit, max_val=REACH)


def _quantized(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    from brevitas.nn import QuantConv2d, QuantLinear
    from brevitas.quant.fixed_point import Int8WeightPerTensorFixedPoint

    weights = {"weight_quant": Int8WeightPerTensorFixedPoint, "weight_bit_width": WEIGHT_BITS}
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return QuantLinear(layer.in_features, layer.out_features, bias=bias, **weights)
    return QuantConv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        bias=bias,
        **weights,
    )
