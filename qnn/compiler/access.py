"""The exact words that a TILES instruction reads and writes, step by step, from its fields."""

import numpy as np

from hw.spec.config import ADDRESS_BITS, COLUMN_STEPS

MASK = (1 << ADDRESS_BITS) - 1


def _columns(fields, name):
    """What each column adds: (columns,)."""
    numbers = np.arange(fields["columns"])
    bits = [(numbers >> b & 1) * fields[f"{name}_{b}"] for b in range(COLUMN_STEPS)]
    return np.sum(bits, axis=0)


def _loops(fields, *counts_and_steps):
    """Sums of all loop steps, outermost first, as one axis."""
    total = np.zeros(1, np.int64)
    for count, step in counts_and_steps:
        total = (total[:, None] + np.arange(fields[count]) * step).reshape(-1)
    return total


def reads(fields: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Feature words that the columns read, without the skip step.

    Returns
    -------
    addresses : (tiles, steps, columns) int64
    inside : the same shape, bool: others give the padding value
    """

    def axis(tile_y, tile_x, kernel_y, kernel_x, block):
        tiles = _loops(fields, ("tiles_y", tile_y), ("tiles_x", tile_x))
        inner = (("kernel_y", kernel_y), ("kernel_x", kernel_x), ("blocks", block), ("terms", 0))
        return tiles[:, None, None] + _loops(fields, *inner)[None, :, None]

    f = fields
    across, along = f["tile_x_stride"], f["kernel_x_stride"]
    address = axis(f["tile_y_step"], across, f["kernel_y_step"], along, f["block_step"])
    address = f["input_address"] + address + _columns(f, "column_address")
    x = f["input_x"] + axis(0, across, 0, along, 0) + _columns(f, "column_x")
    y = axis(f["tile_y_stride"], 0, f["kernel_y_stride"], 0, 0)
    y = f["input_y"] + y + _columns(f, "column_y")
    inside = (x >= 0) & (x < f["input_width"]) & (y >= 0) & (y < f["input_height"])
    return address & MASK, inside


def skip_reads(fields: dict[str, int]) -> np.ndarray:
    """Feature words of the skip step: (tiles, columns)."""
    tiles = _loops(
        fields, ("tiles_y", fields["skip_tile_y_step"]), ("tiles_x", fields["tile_width"])
    )
    return fields["skip_address"] + tiles[:, None] + _columns(fields, "skip_column") & MASK


def writes(fields: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Feature words that the columns write.

    Returns
    -------
    addresses : (tiles, passes, columns) int64
    valid : (tiles, columns) bool: the others' pixels are outside the output
    """
    columns = np.arange(fields["columns"])
    dx, dy = columns % fields["tile_width"], columns // fields["tile_width"]
    tiles = _loops(
        fields, ("tiles_y", fields["output_tile_y_step"]), ("tiles_x", fields["tile_width"])
    )
    passes = np.arange(fields["passes"]) * fields["pass_step"]
    address = fields["output_address"] + tiles[:, None, None] + passes[:, None]
    x = _loops(fields, ("tiles_y", 0), ("tiles_x", fields["tile_width"]))[:, None] + dx
    y = _loops(fields, ("tiles_y", fields["tile_height"]), ("tiles_x", 0))[:, None] + dy
    valid = (x < fields["output_width"]) & (y < fields["output_height"])
    return (address + dy * fields["output_pitch"] + dx) & MASK, valid
