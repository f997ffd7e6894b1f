"""The exact words and bytes that instructions read and write, in the order in which they do."""

import numpy as np

from hw.spec.config import COLUMN_STEPS, SvpeConfig
from hw.spec.isa.tiles import ADDRESS_MASK, Four, Tiles
from hw.spec.isa.transfer import Transfer

# The bits of every column's number: (columns, bits).
_COLUMN_BITS = np.arange(1 << COLUMN_STEPS)[:, None] >> np.arange(COLUMN_STEPS) & 1


def chip_words(transfer: Transfer) -> np.ndarray:
    """Every buffer word of a copy: (rows, words)."""
    # As many words as are copied, and no span: rows may leave others between them.
    starts = transfer.address + np.arange(transfer.rows) * transfer.address_step
    return starts[:, None] + np.arange(transfer.words)


def memory_bytes(transfer: Transfer, config: SvpeConfig) -> np.ndarray:
    """The first byte in the region of every word of a copy: (rows, words)."""
    starts = transfer.offset + np.arange(transfer.rows) * transfer.offset_step
    return starts[:, None] + np.arange(transfer.words) * transfer.buffer.word_bytes(config)


def reads(tiles: Tiles) -> tuple[np.ndarray, np.ndarray]:
    """Feature words that the columns read, without the skip step.

    Returns
    -------
    addresses : (tiles, steps, columns) int64
    inside : the same shape, bool: others give the padding value
    """

    def axis(tile_y, tile_x, kernel_y, kernel_x, block):
        outer = _loops((tiles.tiles_y, tile_y), (tiles.tiles_x, tile_x))
        kernel = ((tiles.kernel_y, kernel_y), (tiles.kernel_x, kernel_x))
        # Each term reads the same words again, so that its loop adds nothing.
        inner = _loops((tiles.terms, 0), *kernel, (tiles.blocks, block))
        return outer[:, None, None] + inner[None, :, None]

    across, along = tiles.tile_x_stride, tiles.kernel_x_stride
    address = axis(tiles.tile_y_step, across, tiles.kernel_y_step, along, tiles.block_step)
    address = tiles.input_address + address + column_offsets(tiles, tiles.column_address)
    x = tiles.input_x + axis(0, across, 0, along, 0) + column_offsets(tiles, tiles.column_x)
    y = axis(tiles.tile_y_stride, 0, tiles.kernel_y_stride, 0, 0)
    y = tiles.input_y + y + column_offsets(tiles, tiles.column_y)
    inside = (x >= 0) & (x < tiles.input_width) & (y >= 0) & (y < tiles.input_height)
    # Hardware's adders wrap: a place in the padding may begin before the buffer.
    return address & ADDRESS_MASK, inside


def read_bounds(tiles: Tiles) -> tuple[tuple[int, int], ...]:
    """First and past the last word of all that the columns read, and of the skip step if it is.

    Reads outside the map count too, so that the bounds are wide but cost no loop over the steps.
    """
    loops = (
        (tiles.tiles_y, tiles.tile_y_step),
        (tiles.tiles_x, tiles.tile_x_stride),
        (tiles.kernel_y, tiles.kernel_y_step),
        (tiles.kernel_x, tiles.kernel_x_stride),
        (tiles.blocks, tiles.block_step),
    )
    bounds = _bounds(tiles, tiles.input_address, loops, tiles.column_address)
    if not tiles.skip:
        return (bounds,)
    loops = ((tiles.tiles_y, tiles.skip_tile_y_step), (tiles.tiles_x, tiles.skip_tile_x_step))
    return bounds, _bounds(tiles, tiles.skip_address, loops, tiles.skip_column)


def _bounds(tiles, first, loops, columns):
    ends = [(count - 1) * step for count, step in loops]
    # An address that wraps is a step back where that is shorter.
    half = (ADDRESS_MASK + 1) // 2
    steps = [(step + half & ADDRESS_MASK) - half for step in columns]
    offsets = column_offsets(tiles, steps)
    low = first + sum(min(end, 0) for end in ends) + int(offsets.min())
    high = first + sum(max(end, 0) for end in ends) + int(offsets.max())
    # What wraps may be anywhere.
    return (low, high + 1) if 0 <= low and high <= ADDRESS_MASK else (0, ADDRESS_MASK + 1)


def skip_reads(tiles: Tiles) -> np.ndarray:
    """Feature words of the skip step, of the columns that are written: (tiles, columns)."""
    down, across = tiles.skip_tile_y_step, tiles.skip_tile_x_step
    outer = _loops((tiles.tiles_y, down), (tiles.tiles_x, across))
    columns = column_offsets(tiles, tiles.skip_column)[: tiles.written]
    address = tiles.skip_address + outer[:, None] + columns
    return address & ADDRESS_MASK


def writes(tiles: Tiles) -> tuple[np.ndarray, np.ndarray]:
    """Feature words that the columns write.

    Returns
    -------
    addresses : (tiles, passes, columns) int64
    valid : (tiles, columns) bool: the others' pixels are outside the output
    """
    columns = np.arange(tiles.written)
    # Columns run along the tile's rows, as pixels lie in memory.
    dx, dy = columns % tiles.tile_width, columns // tiles.tile_width
    down, across = tiles.output_tile_y_step, tiles.output_tile_x_step
    outer = _loops((tiles.tiles_y, down), (tiles.tiles_x, across))
    passes = np.arange(tiles.passes) * tiles.pass_step
    address = tiles.output_address + outer[:, None, None] + passes[:, None]
    x = _loops((tiles.tiles_y, 0), (tiles.tiles_x, tiles.tile_width))[:, None] + dx
    y = _loops((tiles.tiles_y, tiles.tile_height), (tiles.tiles_x, 0))[:, None] + dy
    valid = (x < tiles.output_width) & (y < tiles.output_height)
    pixel = dy * tiles.output_pitch + dx * tiles.output_step
    return (address + pixel) & ADDRESS_MASK, valid


def column_offsets(tiles: Tiles, steps: Four) -> np.ndarray:
    """What each column adds to an address or a coordinate: (columns,)."""
    return _COLUMN_BITS[: tiles.columns] @ np.array(steps)


def _loops(*counts_and_steps: tuple[int, int]) -> np.ndarray:
    """Sums of all loop steps, outermost first, as one axis."""
    total = np.zeros(1, np.int64)
    for count, step in counts_and_steps:
        if count == 1:
            continue
        total = (total[:, None] + np.arange(count) * step).reshape(-1)
    return total
