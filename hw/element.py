"""One element on its way to the feature buffer: a turn of columns in a pass of a tile.

Every cycle is one turn, in which each of the ``epilogue_words`` chains of the array gives the
result of one column, so that an element is as many words as there are chains.
"""

from amaranth import *
from amaranth.lib import data

from hw.layouts import TILES_STRUCT
from hw.spec.config import ADDRESS_BITS, COLUMN_STEPS, SHIFT_BITS


class Operand(data.Struct):
    """What brings an element's operands from where they wait; it moves from row to row."""

    turn: COLUMN_STEPS
    sum_unsigned: 1  # of a product: how its factors are stored
    skip_unsigned: 1


class Element(data.Struct):
    """What the epilogue needs as it begins with a sum or product; it moves from row to row."""

    multiply: 1  # the product of the two operands, rather than the sum
    parameter_address: TILES_STRUCT["parameter_address"].shape
    raw: 1  # a slice of the sum, not rounded and not clamped,
    slice_shift: SHIFT_BITS  # from this bit on


class Limits(data.Struct):
    """What the epilogue needs at the end of an element; it moves from row to row, too."""

    raw: 1
    low: signed(16)
    high: signed(16)


class Arrival(data.Struct):
    """The turn whose sums leave the array in this cycle; it moves from row to row, too."""

    valid: 1
    turn: COLUMN_STEPS


class Destination(data.StructLayout):
    """Where the results of an element are written, and what they are."""

    def __init__(self, config):
        super().__init__(
            {
                "addresses": data.ArrayLayout(ADDRESS_BITS, config.epilogue_words),
                "part": TILES_STRUCT["output_part"].shape,
                "all": 1,  # a maximum: all lanes
                "number": TILES_STRUCT["passes"].shape,  # of the pass
                "tag": TILES_STRUCT["tag"].shape,
                # Tokens that its instruction gives at its end: load, compute, store.
                "signals": 3,
                # The results are indices of entries of this table of each row, which are written in
                # their place.
                "table": 1,
                "table_address": TILES_STRUCT["table_address"].shape,
            }
        )
