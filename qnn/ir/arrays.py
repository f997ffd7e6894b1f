"""How a graph's text shows arrays, as ranges or whole, and how its file says where they lie."""

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from qnn.fields import Count, Place

# Those that a graph's file can hold; quantization makes int64.
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@dataclass(frozen=True)
class StoredArray:
    """Where a file has an array: NumPy's name of its type, its shape, and its first byte."""

    dtype: str
    shape: tuple[Count, ...]
    place: Place


def array_text(values: np.ndarray, full: bool) -> str:
    """An array as text; one number where all entries are equal.

    In ``full`` every entry in order, equal neighbours counted: ``[-5,3*0,9]``. Else the least and
    the greatest: ``-5..9``.
    """
    least, most = int(values.min()), int(values.max())
    if least == most:
        return str(least)
    if not full:
        return f"{least}..{most}"
    # Epilogues and codes of zeros are mostly runs; counting them keeps lines short.
    runs = ((len(list(same)), value) for value, same in groupby(values.ravel().tolist()))
    return f"[{','.join(f'{count}*{value}' if count > 1 else str(value) for count, value in runs)}]"
