"""One result on its way to the feature buffer: a column and a pass of a tile."""

from amaranth import *
from amaranth.lib import data

from hw.layouts import TILES_STRUCT
from hw.spec.config import COLUMN_STEPS, SHIFT_BITS


class Operand(data.Struct):
    """What brings one result's operands from where they wait; it moves from row to row."""

    column: COLUMN_STEPS
    sum_unsigned: 1  # of a product: how its factors are stored
    skip_unsigned: 1


class Element(data.Struct):
    """What the epilogue needs as it begins with a sum or product; it moves from row to row."""

    multiply: 1  # the product of the two operands, rather than the sum
    parameter_address: TILES_STRUCT["parameter_address"].shape
    raw: 1  # a slice of the sum, not rounded and not clamped,
    slice_shift: SHIFT_BITS  # from this bit on


class Limits(data.Struct):
    """What the epilogue needs at the end of one result; it moves from row to row, too."""

    raw: 1
    low: signed(16)
    high: signed(16)


class Arrival(data.Struct):
    """The column whose sum leaves the array in this cycle; it moves from row to row, too."""

    valid: 1
    column: COLUMN_STEPS


class Destination(data.Struct):
    """Where the results of an element are written, and what they are."""

    address: TILES_STRUCT["output_address"].shape
    part: TILES_STRUCT["output_part"].shape
    all: 1  # a maximum: all lanes
    number: TILES_STRUCT["passes"].shape  # of the pass
    tag: TILES_STRUCT["tag"].shape
    signals: 3  # tokens that its instruction gives at its end: load, compute, store
    table: 1  # the results are indices of entries that are written in their place,
    table_address: TILES_STRUCT["table_address"].shape  # of this table of each row
