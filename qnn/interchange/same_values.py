"""What is refused where another runtime computes other values than the reference."""

import numpy as np

from qnn.errors import ModelError


def check_same(
    what: str, runtime: str, found: np.ndarray, wanted: np.ndarray, wrong: np.ndarray, do: str
) -> None:
    """Return if nothing differs.

    Parameters
    ----------
    what : the tensor, as the start of a sentence
    found, wanted : of ``runtime``, and of the reference
    wrong : where they differ, (...) bool
    do : what to do about it

    Raises
    ------
    ModelError
        Values differ; the text has the first.
    """
    if not wrong.any():
        return
    place = tuple(int(n) for n in np.argwhere(wrong)[0])
    # Every digit, and no fraction of what is whole.
    first = [np.format_float_positional(each[place], trim="-") for each in (found, wanted)]
    raise ModelError(
        f"{what} needs the same values of {runtime} and of the reference, but {int(wrong.sum()):,} "
        f"of {wrong.size:,} differ, the first at {list(place)}: {runtime} gives {first[0]}, "
        f"the reference {first[1]}; {do}"
    )
