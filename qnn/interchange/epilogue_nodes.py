"""The epilogue in standard operators: shifts as products by powers of two and exact floors."""

import numpy as np

from qnn.interchange.number_type import FLOAT, INTEGER, by_channel, number_type, powers_of_two
from qnn.interchange.writer import OnnxWriter, Tensor
from qnn.ir.epilogue import Epilogue


def finished(
    writer: OnnxWriter, total: Tensor, epilogue: Epilogue, reach: int, skip: Tensor | None
) -> Tensor:
    """The result of the sums ``total``; rounded, its numbers are float32, else as wide as need be.

    Every step is exact by proof: no sum exceeds ``reach``, which chooses the type. There, a shift
    to the left is a product with a power of two, which only moves the exponent of a float. A shift
    to the right, with half added before, is such a product and a floor; of int64, which has no
    floor, it is a division of what remains after ``Mod``, whose result has the divisor's sign.
    (``BitShift`` is of unsigned integers alone.)

    Parameters
    ----------
    reach : the greatest magnitude of the sum with everything added, see ``Sums.plain_bounds``
    """
    dtype = number_type(reach)
    v = _shifted_left(writer, writer.cast(total, dtype), epilogue.left)
    if skip is not None:
        shifted = _shifted_left(writer, writer.cast(skip, dtype), epilogue.skip_left)
        v = writer.add("Add", v, shifted)
    # Adding half before the shift rounds half up; it rides in the bias.
    bias = epilogue.bias + (1 << epilogue.right >> 1)
    if bias.any():
        v = writer.add("Add", v, writer.constant(by_channel(bias), dtype))
    if not epilogue.rounded:
        return v
    v = _shifted_right(writer, v, epilogue.right)
    # Bounds of an index fit 12 bits and those of a result 16: every type has them.
    bounds = (writer.constant(bound, dtype) for bound in (epilogue.low, epilogue.high))
    v = writer.add("Clip", v, *bounds)
    return writer.cast(v, FLOAT) if epilogue.table is None else _looked_up(writer, v, epilogue)


def _shifted_left(writer, v, places):
    if not places.any():
        return v
    factors = powers_of_two(by_channel(places), v.dtype)
    return writer.add("Mul", v, writer.constant(factors, v.dtype))


def _shifted_right(writer, v, places):
    if not places.any():
        return v
    if v.dtype != INTEGER:
        factors = powers_of_two(-by_channel(places), v.dtype)
        return writer.add("Floor", writer.add("Mul", v, writer.constant(factors, v.dtype)))
    # In two steps, as 2**63 is no int64; the floor of a floor is that of the whole.
    for part in (places // 2, places - places // 2):
        divisor = writer.constant(powers_of_two(by_channel(part), INTEGER))
        rest = writer.add("Mod", v, divisor)
        v = writer.add("Div", writer.add("Sub", v, rest), divisor)
    return v


def _looked_up(writer, indices, epilogue):
    rows, entries = epilogue.table.shape
    # The tables of all channels lie behind each other; one for all is found at the same place.
    first = by_channel(np.arange(rows) * entries - epilogue.low)
    places = writer.add("Add", writer.cast(indices, INTEGER), writer.constant(first))
    table = writer.constant(epilogue.table.ravel(), FLOAT)
    return writer.add("Gather", table, places, axis=0)
