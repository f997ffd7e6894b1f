"""Quantizers of constants: weights of a QONNX file as the codes that stand for them."""

import numpy as np

from hw.spec.isa.codes import BITS, BITS_RANGE, most_index, term_shift
from qnn.interchange.qonnx_values import CodedWeights, MadeAt, refuse
from qnn.ir.ops.conv import MOST_TERMS
from qnn.ir.sums import magnitudes
from qnn.quant.shortest_sums import shortest_sums

# Codes of 3 bits have digits for every whole number: -1, 0, 1 and 2 are all there are in base 4.
INTEGER_CODE_BITS = 3
BIAS_BITS = 32
NEAREST = ("ROUND", "HALF_EVEN")  # names of one rounding
ADVICE = (
    "export it with power-of-two scales, or quantize the file anew with 'qnn quantize FILE "
    "--requantize', which keeps what is on the grid"
)


def power_exponents(place: MadeAt, scale: np.ndarray, what: str = "scales") -> np.ndarray:
    """Exponents e of scales 2**-e, flat.

    Raises
    ------
    ModelError
        A scale is no power of two.
    """
    # float32 has every power of two that a scale can be, so that none was rounded to one.
    flat = np.asarray(scale, np.float64).ravel()
    mantissa, exponent = np.frexp(flat)
    if not flat.size or not np.isfinite(flat).all() or not (mantissa == 0.5).all():
        wrong = flat[mantissa != 0.5][:1]
        refuse(place, f"{what} that are powers of two", f"{wrong.sum():g}", ADVICE)
    return 1 - exponent.astype(np.int64)


def float_quantized(place: MadeAt, numbers: list[np.ndarray], rounding: str) -> CodedWeights:
    """Weights behind a ``FloatQuant`` without a mantissa: one code each."""
    w, scale, *rest = numbers
    bits, mantissa, bias, most = (_number(place, each) for each in rest)
    if mantissa != 0 or bits + 1 not in BITS:
        needs = f"no mantissa and as many bits of exponent as a code {BITS_RANGE} has"
        refuse(place, needs, f"{bits:g} and {mantissa:g} of mantissa", ADVICE)
    if rounding not in NEAREST or bias % 1 or (most > 0 and np.frexp(most)[0] != 0.5):
        got = f"rounding {rounding}, bias {bias:g} and {most:g} at most"
        refuse(place, "rounding to nearest, a whole bias and a power of two at most", got, ADVICE)
    exponents = _by_output(place, w, scale) + int(bias) - 1
    index = _indices(w * np.ldexp(1.0, _along(exponents, w).astype(np.int32)))
    # The greatest value may be said to be less than the bits of the exponent have room for.
    limit = int(np.floor(np.log2(most))) + int(bias) if most > 0 else 0
    index = index.clip(-limit, limit).clip(-most_index(int(bits) + 1), most_index(int(bits) + 1))
    return CodedWeights(index[None].astype(np.int8), int(bits) + 1, exponents)


def _indices(steps):
    """Signed indices of the nearest powers of two: 0 below half of the least."""
    size = np.abs(steps)
    # As qonnx rounds: to an even multiple of the power below, which is the next one.
    power = np.floor(np.log2(np.maximum(size, 1)))
    rounded = np.round(size / np.exp2(power)) * np.exp2(power)
    index = np.where(rounded > 0, np.log2(np.maximum(rounded, 1)) + 1, 0)
    return (np.sign(steps) * index).astype(np.int64)


def int_quantized(
    place: MadeAt, numbers: list[np.ndarray], signed: bool, narrow: bool, rounding: str
) -> CodedWeights | np.ndarray:
    """Weights behind an ``IntQuant``: whole numbers, as shortest sums of codes; biases as reals."""
    w, scale, zero, bits = numbers
    width = _number(place, bits)
    # Only weights are sums of codes.
    bias = w.ndim < 2
    # One bit with a sign is 1 or -1, which BipolarQuant says.
    whole = width % 1 == 0 and 1 + signed <= width <= (BIAS_BITS if bias else 2 * MOST_TERMS)
    if np.any(zero) or not whole or rounding not in NEAREST:
        got = f"zero point {np.ravel(zero)[:1].sum():g}, {width:g} bits and rounding {rounding}"
        refuse(place, "weights of at most 14 bits around 0, rounded to nearest", got, ADVICE)
    width = int(width)
    low = -(1 << width - 1) + int(narrow) if signed else 0
    high = (1 << width - 1) - 1 if signed else (1 << width) - 1 - int(narrow)
    if bias:
        (exponent,) = power_exponents(place, np.reshape(_number(place, scale), 1))
        return np.ldexp(np.round(np.ldexp(w, exponent).clip(low, high)), -exponent)
    exponents = _by_output(place, w, scale)
    steps = w * np.ldexp(1.0, _along(exponents, w).astype(np.int32))
    return _summed(place, np.round(steps.clip(low, high)).astype(np.int64), exponents)


def bipolar_quantized(place: MadeAt, numbers: list[np.ndarray]) -> CodedWeights:
    """Weights behind a ``BipolarQuant``: 1 or -1 times the scale."""
    w, scale = numbers
    # As qonnx: 0 is positive.
    codes = np.where(w >= 0, 1, -1).astype(np.int8)[None]
    return CodedWeights(codes, BITS[0], _by_output(place, w, scale))


def added_terms(place: MadeAt, one: CodedWeights, other: CodedWeights) -> CodedWeights:
    """The weights whose terms are those of both, the higher ones first."""
    places = term_shift(other.weight_bits)
    # As the array has them: each weighs so many places more than the next one.
    apart = other.exponents - one.exponents
    if one.weight_bits != other.weight_bits or not (apart == places * len(other.codes)).all():
        got = f"{one.weight_bits} and {other.weight_bits} bits, {apart.tolist()[:3]} places apart"
        refuse(place, f"terms of one width, {places} places apart", got, ADVICE)
    codes = np.concatenate([one.codes, other.codes])
    if len(codes) > MOST_TERMS:
        refuse(place, f"at most {MOST_TERMS} terms", len(codes), ADVICE)
    return CodedWeights(codes, other.weight_bits, other.exponents)


def _summed(place, integers, exponents):
    bits = INTEGER_CODE_BITS
    most, terms = int(np.abs(integers).max(initial=0)), 1
    places, steps = term_shift(bits), magnitudes(np.arange(1, most_index(bits) + 1, dtype=np.int8))
    # The least number of terms that reaches every one of them.
    while True:
        sums, codes = shortest_sums(steps.tolist(), terms, places)
        if most <= sums[-1] and np.isin(np.abs(integers), sums).all():
            break
        terms += 1
        if terms > MOST_TERMS:
            refuse(place, f"integers of at most {MOST_TERMS} terms", most, ADVICE)
    found = codes[np.searchsorted(sums, np.abs(integers))] * np.sign(integers)[..., None]
    return CodedWeights(np.moveaxis(found, -1, 0).astype(np.int8), bits, exponents)


def _by_output(place, w, scale):
    """One exponent for each output, of scales that are one or have one for each."""
    exponents = power_exponents(place, scale)
    if w.ndim < 2 or not w.size or not np.isfinite(w).all():
        refuse(place, "finite weights of two axes or more", f"shape {w.shape}", ADVICE)
    # As NumPy broadcasts: a vector would be of the last axis.
    if len(exponents) > 1 and np.shape(scale) != (len(w), *(1,) * (w.ndim - 1)):
        needs = "one scale, or one for each output channel along the first axis"
        refuse(place, needs, f"shape {np.shape(scale)} of {w.shape}", ADVICE)
    return np.broadcast_to(exponents, (len(w),)).copy()


def _along(exponents, w):
    return exponents.reshape(-1, *(1,) * (w.ndim - 1))


def _number(place, array):
    if np.size(array) != 1:
        refuse(place, "one number", f"{np.size(array)}", ADVICE)
    return float(np.ravel(array)[0])
