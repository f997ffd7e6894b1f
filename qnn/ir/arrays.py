"""How a graph's text shows arrays: as ranges for a reader, or whole for a parser."""

from itertools import groupby

import numpy as np


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
