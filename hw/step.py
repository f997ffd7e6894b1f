"""What the sequencer says of each step, and the place of a step in its loops."""

from amaranth import *
from amaranth.lib import data

from hw.layouts import TILES_STRUCT
from hw.spec.config import ADDRESS_BITS, POSITION_BITS

POSITION = signed(POSITION_BITS)


class Step(data.Struct):
    """One step of a tile, as the sequencer issues it."""

    valid: 1
    first: 1  # of its tile
    term: 1  # the first of a term
    last: 1  # of its tile: the results follow
    final: 1  # the last of its instruction
    skip: 1  # reads the skip operand, not the input; adds nothing
    weight_address: TILES_STRUCT["weight_address"].shape


# Offsets of addresses wrap like addresses; those of coordinates have room for padding.
class Offsets(data.Struct):
    """Sums of steps, loop by loop; each is zero at the start of its loop."""

    block: ADDRESS_BITS
    kernel_x: ADDRESS_BITS  # also of the coordinate
    kernel_y: ADDRESS_BITS
    kernel_row: POSITION
    tile_x: ADDRESS_BITS  # also of the coordinate
    tile_y: ADDRESS_BITS
    tile_row: POSITION
    skip_tile_x: POSITION
    skip_tile_y: ADDRESS_BITS
    output_tile_x: ADDRESS_BITS
    output_tile_y: ADDRESS_BITS
    output_column: POSITION
    output_row: POSITION
