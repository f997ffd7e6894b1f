"""Integers to buffer words and back, as they lie in memory: lane 0 lowest, whole beats."""

import numpy as np


def pack(values: np.ndarray, bits: int, word_bytes: int) -> np.ndarray:
    """Words of ``bits``-bit values.

    Parameters
    ----------
    values : (..., count) integers; each is cut to its low ``bits`` bits
    word_bytes : at least ``ceil(count * bits / 8)``; the rest of each word is zero

    Returns
    -------
    (..., word_bytes) uint8
    """
    values = np.asarray(values)
    # Whole bytes of each value, lowest first; millions of weights have eight bits at most.
    kind = np.uint8 if bits <= 8 else np.dtype("<i8")
    octets = values.astype(kind)[..., None].view(np.uint8)
    flat = np.unpackbits(octets, axis=-1, count=bits, bitorder="little")
    flat = flat.reshape(*values.shape[:-1], values.shape[-1] * bits)
    packed = np.packbits(flat, axis=-1, bitorder="little")
    out = np.zeros((*values.shape[:-1], word_bytes), np.uint8)
    out[..., : packed.shape[-1]] = packed
    return out


def unpack(words: np.ndarray, bits: int, count: int, *, signed: bool) -> np.ndarray:
    """The ``count`` values of each word of ``(..., word_bytes)`` uint8, as int64."""
    flat = np.unpackbits(words, axis=-1, bitorder="little")[..., : count * bits]
    flat = flat.reshape(*words.shape[:-1], count, bits).astype(np.int64)
    values = (flat << np.arange(bits, dtype=np.int64)).sum(-1)
    if signed:
        # A negative number's highest bit weighs -2**(bits - 1), which is 2**bits less than it was
        # counted.
        values -= (values >> (bits - 1)) << bits
    return values
