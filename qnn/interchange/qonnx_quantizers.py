"""Our types and codes as QONNX's quantizers, and the reals that they take and give."""

import numpy as np

from hw.spec.isa.codes import most_index, term_shift
from qnn.interchange.number_type import DOUBLE, FLOAT
from qnn.interchange.run_qonnx import DOMAIN
from qnn.interchange.writer import OnnxWriter, Tensor
from qnn.ir.sums import magnitudes
from qnn.quant.qtype import QType

# A FloatQuant of no mantissa and this bias has the values 0, 1, 2, 4 and so on, times its scale:
# exponent 0 is none of its own, and exponent 1 stands for 2**0, just as index 1 of a code does.
EXPONENT_BIAS = 1


def exact_reals(integers: np.ndarray, exponents: np.ndarray | int) -> np.ndarray:
    """``integers * 2**-exponents``, float64."""
    return np.ldexp(np.asarray(integers, np.float64), -np.asarray(exponents).astype(np.int32))


def int_quant(writer: OnnxWriter, x: Tensor, type: QType, label: str | None = None) -> Tensor:
    """``x`` cut off to whole steps of ``type`` and clamped to it; float32.

    Whoever wants halves to round up adds half a step before: of QONNX's roundings, ``ROUND`` takes
    halves to even numbers, and ``HALF_UP`` away from 0.
    """
    numbers = (exact_reals(1, type.exponent), type.zero_point, type.bits)
    return writer.add(
        "IntQuant",
        x,
        *(writer.constant(number, FLOAT) for number in numbers),
        dtype=FLOAT,
        domain=DOMAIN,
        label=label,
        signed=int(type.signed),
        narrow=0,
        rounding_mode="FLOOR",
    )


def float_quants(
    writer: OnnxWriter, codes: np.ndarray, weight_bits: int, exponents: np.ndarray
) -> Tensor:
    """Weights in as many signed powers of two as they have terms, added up.

    Parameters
    ----------
    codes : (terms, outputs, inputs / groups, kernel height, kernel width), as of ``Conv``
    exponents : (outputs,) of the last term's least magnitude, which is ``2**-exponent``
    """
    # From the highest term down, as ``Conv`` keeps them.
    terms, places, total = len(codes), term_shift(weight_bits), None
    for term, integers in enumerate(magnitudes(codes)):
        own = exponents - places * (terms - 1 - term)
        scales = exact_reals(1, own)[:, None, None, None]
        given = (
            # One for all channels where one will do, as tools that draw a network show it.
            scales.ravel()[0] if (scales == scales[0]).all() else scales,
            weight_bits - 1,
            0,
            EXPONENT_BIAS,
            1 << (most_index(weight_bits) - 1),
        )
        part = writer.add(
            "FloatQuant",
            writer.constant(integers * scales, FLOAT),
            *(writer.constant(number, FLOAT) for number in given),
            domain=DOMAIN,
            rounding_mode="ROUND",
            has_inf=0,
            has_nan=0,
            has_subnormal=0,
            saturation=1,
        )
        total = part if total is None else writer.add("Add", total, part)
    return total


def scaled(writer: OnnxWriter, x: Tensor, places: np.ndarray) -> Tensor:
    """``x`` times ``2**places``, channel by channel; itself where that is 1."""
    if not places.any():
        return x
    factors = exact_reals(1, -places)
    same = (factors == factors[0]).all()
    return writer.add(
        "Mul", x, writer.constant(factors[0] if same else factors[:, None, None], x.dtype)
    )


def wide(writer: OnnxWriter, x: Tensor, reach: int) -> Tensor:
    """``x`` in float64 where sums up to ``reach`` need it, else as it is."""
    return writer.cast(x, DOUBLE) if reach >= 1 << 24 else x
