"""The narrowest ONNX type in which sums are exact, and the powers of two in it."""

import numpy as np

FLOAT, DOUBLE, INTEGER = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)


def number_type(reach: int) -> np.dtype:
    """The type whose sums are exact, in any order, while no partial sum exceeds ``reach``.

    float32 holds every integer of up to 24 bits and float64 every one of up to 53; beyond that,
    only int64 does. onnxruntime convolves in float32 alone, which is why that comes first.
    """
    if reach < 1 << 24:
        return FLOAT
    return DOUBLE if reach < 1 << 53 else INTEGER


def powers_of_two(exponents: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """``2**exponents``, exact in ``dtype``; of int64 only where they are from 0 to 62."""
    # Exponents of float32 go from -126 to 127, far beyond any shift.
    if dtype == INTEGER:
        return np.int64(1) << np.asarray(exponents, np.int64)
    return np.ldexp(dtype.type(1), np.asarray(exponents).astype(np.int32))


def by_channel(values: np.ndarray) -> np.ndarray:
    """Numbers of channels as ONNX spreads them, (channels, 1, 1); one alone where all are equal."""
    return values[0] if (values == values[0]).all() else values[:, None, None]
