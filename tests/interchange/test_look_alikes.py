"""QONNX nodes that are like those that are read, but mean something else: never other integers."""

import numpy as np
import pytest

import qnn
from qnn.errors import ModelError
from tests.interchange.qonnx_files import DOMAIN, QonnxFile, check_integers, written

RNG = np.random.default_rng(2)
PLACES = np.float32([1, 2, 4])  # powers of two, one for each place of an axis


def start(channels=3, size=3):
    """A file with its input, and a convolution of it, (1, 3, 3, 3), that nothing has rounded."""
    net = QonnxFile((1, channels, size, size))
    x = net.quant("x", 0.25, 6)
    w = net.quant(RNG.normal(0, 1, (3, channels, 1, 1)), 0.25, 4)
    return net, x, net.add("Conv", x, w, kernel_shape=[1, 1])


def done(net, y, shape=(1, 3, 3, 3)):
    return net.wrapper(net.quant(y, 0.25, 8, rounding="FLOOR"), shape)


def bias_behind_relu():
    net, _, y = start()
    return done(net, net.add("Add", net.add("Relu", y), np.float32([-1, -2, 1]).reshape(3, 1, 1)))


def residual_behind_relu():
    net, x, y = start()
    return done(net, net.add("Add", net.add("Relu", y), x))


def residual_before_a_line_behind_relu():
    net, x, y = start()
    return done(net, net.add("Add", x, net.add("Relu", y)))


def relu_at_the_end():
    net, _, y = start()
    return net.wrapper(net.add("Relu", y), (1, 3, 3, 3))


def factor_behind_clip():
    net, _, y = start()
    bounded = net.add("Clip", y, np.float32(-1), np.float32(1))
    return done(net, net.add("Mul", bounded, np.float32(0.5)))


def factors_behind_clip():
    net, _, y = start()
    bounded = net.add("Clip", y, np.float32(-1), np.float32(1))
    return done(net, net.add("Mul", bounded, PLACES.reshape(3, 1, 1)))


def factors_behind_relu():
    net, _, y = start()
    return done(net, net.add("Mul", net.add("Relu", y), PLACES.reshape(3, 1, 1)))


def clip_without_a_least():
    net, _, y = start()
    net.constants["top"] = np.float32(0.5)
    return done(net, net.add("Clip", y, "", "top"))


def clip_without_ends():
    net, _, y = start()
    return done(net, net.add("Clip", y))


def bias_of_columns():
    net, _, y = start()
    return done(net, net.add("Add", y, PLACES))


def factors_of_columns():
    net, _, y = start()
    return done(net, net.add("Mul", y, PLACES))


def factors_of_columns_before_a_sum():
    net, x, y = start()
    return done(net, net.add("Add", y, net.add("Mul", x, PLACES)))


def _weighted(scales):
    net = QonnxFile((1, 3, 3, 3))
    w = net.quant(RNG.normal(0, 4, (3, 3, 3, 3)), scales, 4)
    return done(net, net.add("Conv", net.quant("x", 0.25, 6), w, pads=[1] * 4), (1, 3, 3, 3))


def scales_of_inputs():
    return _weighted(PLACES.reshape(3, 1, 1))


def scales_of_columns():
    return _weighted(PLACES)


def _floats(scales, most=4, rounding="ROUND"):
    net = QonnxFile((1, 3, 3, 3))
    w = net.add(
        *("FloatQuant", RNG.normal(0, 4, (3, 3, 1, 1)), scales, 2, 0, 1, most),
        domain=DOMAIN,
        rounding_mode=rounding,
        **{"has_inf": 0, "has_nan": 0, "has_subnormal": 0, "saturation": 1},
    )
    return done(net, net.add("Conv", net.quant("x", 0.25, 6), w))


def scales_of_floats_of_inputs():
    return _floats(PLACES.reshape(3, 1, 1))


def floats_up_to_three():
    return _floats(0.5, most=3)


def floats_that_are_cut_off():
    return _floats(0.5, rounding="FLOOR")


def one_bit_with_a_sign():
    net = QonnxFile((1, 3, 3, 3))
    w = net.quant(RNG.normal(0, 1, (3, 3, 1, 1)), 0.5, 1, narrow=1)
    return done(net, net.add("Conv", net.quant("x", 0.25, 6), w))


def _linear(*nodes):
    net, _, y = start()
    y = net.quant(y, 0.25, 8, rounding="FLOOR")
    for op, attributes in nodes:
        y = net.add(op, y, **attributes)
    w = net.quant(RNG.normal(0, 1, (4, 27)), 0.25, 4)
    return done(net, net.add("Gemm", y, w, transB=1), (1, 4))


def channels_last_before_a_linear_layer():
    return _linear(("Transpose", {"perm": [0, 2, 3, 1]}), ("Flatten", {}))


def flat_linear():
    return _linear(("Flatten", {}))


def columns_side_by_side():
    net, x, y = start()
    y = net.quant(y, 0.25, 6, rounding="FLOOR")
    return net.wrapper(net.add("Concat", x, y, axis=3), (1, 3, 3, 6))


def channels_side_by_side_from_the_end():
    net, x, y = start()
    y = net.quant(y, 0.25, 6, rounding="FLOOR")
    return net.wrapper(net.add("Concat", x, y, axis=-3), (1, 6, 3, 3))


def whole_numbers_of_a_sum():
    net, _, y = start()
    return done(net, net.add("Cast", net.add("Cast", y, to=6), to=1))


def two_offsets_of_the_input():
    net = QonnxFile((1, 3, 3, 3))
    x = net.add("Add", net.add("Add", "x", np.float32(1)), np.float32(0.125))
    x = net.quant(x, 0.25, 6, rounding="FLOOR")
    w = net.quant(RNG.normal(0, 1, (3, 3, 1, 1)), 0.25, 4)
    return done(net, net.add("Conv", x, w, kernel_shape=[1, 1]))


def _moved_input(op, *operands, **attributes):
    net = QonnxFile((1, 3, 3, 3))
    x = net.quant(net.add(op, "x", *operands, **attributes), 0.25, 6)
    w = net.quant(RNG.normal(0, 1, (3, 3, 2, 1)), 0.25, 4)
    return done(net, net.add("Conv", x, w, kernel_shape=[2, 1]), (1, 3, 2, 3))


def columns_for_rows_of_the_input():
    return _moved_input("Transpose", perm=[0, 1, 3, 2])


def channels_last_input():
    return _moved_input("Transpose", perm=[0, 3, 1, 2])


def pixels_in_other_rows():
    net = QonnxFile((1, 3, 1, 4))
    net.constants["shape"] = np.array([1, 3, 2, 2])
    x = net.quant(net.add("Reshape", "x", "shape"), 0.25, 6)
    w = net.quant(RNG.normal(0, 1, (3, 3, 1, 1)), 0.25, 4)
    return done(net, net.add("Conv", x, w, kernel_shape=[1, 1]), (1, 3, 2, 2))


SUM = "needs a quantizer between a clamp and a sum, but got none"
CHANNELS = "needs one number, or one for each of 3 channels, but got shape (3,)"
SCALES = "needs one scale, or one for each output channel along the first axis, but got shape "
MEANING = "needs operands that an integer graph can have there, but got "


@pytest.mark.parametrize(
    "make",
    [
        *(factor_behind_clip, factors_behind_relu, clip_without_a_least, clip_without_ends),
        *(flat_linear, channels_side_by_side_from_the_end),
    ],
)
def test_what_is_read_gives_the_integers_of_qonnx(make, tmp_path):
    check_integers(make(), tmp_path)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (bias_behind_relu, SUM),
        (residual_behind_relu, SUM),
        (residual_before_a_line_behind_relu, SUM),
        (relu_at_the_end, "needs a quantizer behind a clamp, but got an output"),
        (factors_behind_clip, "needs a quantizer between a clamp and factors of channels"),
        (bias_of_columns, CHANNELS),
        (factors_of_columns, CHANNELS),
        (factors_of_columns_before_a_sum, CHANNELS),
        (scales_of_inputs, f"{SCALES}(3, 1, 1)"),
        (scales_of_columns, f"{SCALES}(3,)"),
        (scales_of_floats_of_inputs, f"{SCALES}(3, 1, 1)"),
        (floats_up_to_three, "but got rounding ROUND, bias 1 and 3 at most"),
        (floats_that_are_cut_off, "but got rounding FLOOR, bias 1 and 4 at most"),
        (one_bit_with_a_sign, "but got zero point 0, 1 bits and rounding ROUND"),
        (channels_last_before_a_linear_layer, f"{MEANING}Gemm of LaidOut"),
        (columns_side_by_side, f"{MEANING}Concat of "),
        (whole_numbers_of_a_sum, f"{MEANING}Cast of Line"),
        (two_offsets_of_the_input, "needs rounding FLOOR behind half a step, or ROUND"),
        (columns_for_rows_of_the_input, f"{MEANING}Transpose of GivenInput"),
        (channels_last_input, f"{MEANING}Transpose of GivenInput"),
        (pixels_in_other_rows, f"{MEANING}Reshape of GivenInput"),
    ],
)
def test_what_would_give_others_is_refused(make, told, tmp_path):
    with pytest.raises(ModelError) as refused:
        qnn.from_qonnx(written(make(), tmp_path))
    assert told in str(refused.value)
