"""Integers of an input's type, said so in their own type: all other arrays are reals or pixels."""

import numpy as np

# Batches of codes are joined to larger ones, and stay what they are.
_JOINS = (np.concatenate, np.stack, np.vstack)


class Codes(np.ndarray):
    """An array of integers q that stand for the reals q * 2**-exponent of an input's type.

    Floats are reals and uint8 are pixels to everything that takes a user's data. Integers could be
    either or codes, and are refused unless they are wrapped: ``qnn.Codes(array)``.

    Raises
    ------
    TypeError
        The array has no integers.
    """

    def __new__(cls, array: np.ndarray) -> "Codes":
        """``array`` itself, seen as codes; a tensor of PyTorch will do too."""
        values = np.asarray(array)
        if values.dtype.kind not in "iu":
            raise TypeError(f"Codes needs integers, not {values.dtype}; round them first")
        # uint8 would be taken for pixels again where only the type of number is left.
        return (values.astype(np.int16) if values.dtype == np.uint8 else values).view(cls)

    def __array_function__(self, func, types, args, kwargs):
        """What is joined of codes alone is codes; beside plain arrays it is a plain array."""
        result = super().__array_function__(func, types, args, kwargs)
        # Others, such as a sum or a sorting, keep or lose the type as NumPy has it.
        joined = func in _JOINS and all(issubclass(each, Codes) for each in types)
        return result.view(Codes) if joined else result

    def __array_wrap__(self, array, context=None, return_scalar=False):
        """What is computed from codes: a plain array, as a sum or a scaled value is no code."""
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain
