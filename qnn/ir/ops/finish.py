"""What all operators that an epilogue finishes share: its fields in files, and its checks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from qnn.ir.arrays import StoredArray
from qnn.ir.epilogue import INDEX_BITS, Epilogue
from qnn.ir.ops.operator import Operator, check_activation_type, check_within, refuse

# An int64 shifted by 64 places or more is undefined, in NumPy as in C.
MOST_SHIFT = 63
# The order is that of the arrays in a file.
_USUAL = {
    "left": StoredArray,
    "bias": StoredArray,
    "right": StoredArray,
    "skip_left": StoredArray | None,
    "rounded": bool,
    "low": int,
    "high": int,
}
EPILOGUE_FIELDS: Mapping[str, Any] = {**_USUAL, "table": StoredArray}  # no table: it is left out


def epilogue_fields(epilogue: Epilogue[np.ndarray]) -> dict:
    """The epilogue's fields as a file has them, without a table where there is none."""
    names = EPILOGUE_FIELDS if epilogue.table is not None else _USUAL
    return {name: getattr(epilogue, name) for name in names}


def taken_epilogue(fields: dict) -> Epilogue[np.ndarray]:
    """The epilogue of an operator's ``fields``, which are then gone from them."""
    found = [name for name in EPILOGUE_FIELDS if name in fields]
    return Epilogue(**{name: fields.pop(name) for name in found})


def check_epilogue(node: Operator, epilogue: Epilogue[np.ndarray], *, skip: bool) -> None:
    """Refuse arrays of another type or shape than a number for each channel of ``node``.

    ``skip`` says whether the node has a skip operand, which the epilogue then shifts.
    """
    # The reference adds and shifts these in int64, so other types would change results.
    for name in ("left", "bias", "right", *["skip_left"] * skip):
        array = getattr(epilogue, name)
        if not isinstance(array, np.ndarray) or array.dtype != np.int64:
            got = getattr(array, "dtype", type(array).__name__)
            refuse(node, f"int64 {name}", got, "build it again")
        if array.shape != (node.shape[0],):
            refuse(node, f"{name} of shape ({node.shape[0]},)", array.shape, "build it again")
        if name != "bias" and not 0 <= int(array.min()) <= int(array.max()) <= MOST_SHIFT:
            got = f"{array.min()} to {array.max()}"
            do = "quantize it with other exponents"
            refuse(node, f"{name} shifts from 0 to {MOST_SHIFT}", got, do)
    if epilogue.skip_left is not None and not skip:
        refuse(node, "skip_left only with a skip", "skip_left alone", "remove it")


def check_result(node: Operator, epilogue: Epilogue[np.ndarray]) -> None:
    """Refuse a type, a clamp or a table that the epilogue's results cannot have."""
    if node.rounded:
        check_activation_type(node)
        if epilogue.table is None:
            check_within(node, "a clamp", epilogue.low, epilogue.high)
        else:
            _check_table(node, epilogue)
        return
    if epilogue.table is not None:
        refuse(node, "a table only with a rounded result", "an unrounded one", "round it")
    # The epilogue's sums are signed and as wide as SvpeConfig.result_bits allows.
    if not node.type.signed or not 24 <= node.type.bits <= 48:
        needs = "a signed type of 24 to 48 bits, as it is unrounded"
        refuse(node, needs, node.type, "give it the epilogue's")
    # Channels of an unrounded result share one exponent, which only left shifts reach.
    if epilogue.right.any():
        most = int(epilogue.right.max())
        refuse(node, "no right shift, as it is unrounded", most, "shift nothing")


def _check_table(node, epilogue):
    low, high, table = epilogue.low, epilogue.high, epilogue.table
    least, most = -1 << INDEX_BITS - 1, (1 << INDEX_BITS - 1) - 1
    if not least <= low <= high <= most:
        needs = f"a table's index within {least} to {most}"
        refuse(node, needs, f"{low} to {high}", "clamp it to fewer entries")
    if not isinstance(table, np.ndarray) or table.dtype != np.int64:
        got = getattr(table, "dtype", type(table).__name__)
        refuse(node, "an int64 table", got, "build it again")
    entries = high - low + 1
    if table.shape not in ((1, entries), (node.shape[0], entries)):
        needs = f"a table of shape (1 or {node.shape[0]}, {entries})"
        refuse(node, needs, table.shape, "build it again")
    check_within(node, "a table", int(table.min()), int(table.max()))
