"""Networks of depthwise and 1x1 convolutions in turn: MobileNetV1 and MLPerf Tiny's DS-CNN."""

from torch import Tensor, nn

# left, right, top, bottom; TensorFlow pads even sizes behind only when the stride is 2
NONE, AROUND, BEHIND = (0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 1)
# outputs of a 1x1 convolution, and the stride of the depthwise one before it, at width 0.25
PAIRS = (
    *((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)),
    *(((128, 1),) * 5),
    *((256, 2), (256, 1)),
)


class Separable(nn.Module):
    """Convolutions one after the other, most of them depthwise and 1x1 in turn, then the mean.

    ``features`` are units of padding, convolution, BatchNorm and activation.
    """

    def __init__(self, features: list[nn.Module], channels: int, classes: int):
        super().__init__()
        self.features, self.fc = nn.Sequential(*features), nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.fc(self.features(x).mean((2, 3)))


def _unit(inputs, outputs, kernel, stride=1, padding=NONE, groups=1, bias=True, activation=nn.ReLU):
    pad = [] if padding is None else [nn.ZeroPad2d(padding)]
    # Padding is a layer of its own, as Keras has it: it is uneven, which nn.Conv2d cannot say.
    conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=bias)
    # Keras' epsilon; torch's own is 1e-5.
    return [*pad, conv, nn.BatchNorm2d(outputs, eps=1e-3), activation()]


def tiny_ds_cnn() -> Separable:
    """MLPerf Tiny's keyword spotting network: (batch, 1, 49, 10) of MFCC to (batch, 12)."""
    layers = _unit(1, 64, (10, 4), 2, (1, 1, 4, 5))
    for _ in range(4):
        layers += _unit(64, 64, 3, 1, AROUND, groups=64)
        layers += _unit(64, 64, 1)
    return Separable(layers, 64, 12)


def mobilenet_v1(
    classes: int, bias: bool, activation: type[nn.Module], pointwise_padding: tuple | None
) -> Separable:
    """MobileNetV1 of width 0.25: (batch, 3, height, width) to (batch, classes).

    ``pointwise_padding`` of zeros is a layer too, so that names are those of the checkpoint.
    """
    common = {"bias": bias, "activation": activation}
    layers = _unit(3, 8, 3, 2, BEHIND, **common)
    inputs = 8
    for outputs, stride in PAIRS:
        padding = AROUND if stride == 1 else BEHIND
        layers += _unit(inputs, inputs, 3, stride, padding, groups=inputs, **common)
        layers += _unit(inputs, outputs, 1, 1, pointwise_padding, **common)
        inputs = outputs
    return Separable(layers, inputs, classes)


def tiny_mobilenet_v1() -> Separable:
    """MLPerf Tiny's visual wake words network: (batch, 3, 96, 96) to (batch, 2)."""
    return mobilenet_v1(2, True, nn.ReLU, NONE)


def imagenet_mobilenet_v1() -> Separable:
    """TensorFlow's network for ImageNet: (batch, 3, 224, 224) to (batch, 1000)."""
    return mobilenet_v1(1000, False, nn.ReLU6, None)
