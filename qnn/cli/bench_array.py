"""``qnn bench array``: what a lane costs, shifts and multipliers side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.output import Json, print_json, print_table, progress

if TYPE_CHECKING:
    from qnn.bench.array import Row
    from qnn.bench.clocks import Clocks

HEADER = (
    *("PE", "weights", "activations", "sum", "LUT/lane", "packed", "FF", "CARRY8", "DSP"),
    *("path: LUTs", "+ carry bits", "ZCU102 lanes", "GOP/s"),
)


def bench_array(
    route: Annotated[
        bool, typer.Option(help="Also place and route both arrays on an ECP5; takes minutes.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Picture to write, .png.")] = None,
    as_json: Json = False,
) -> None:
    """Measure what a lane of the array costs, beside multipliers in DSP blocks and in LUTs.

    Yosys counts the cells for UltraScale+; what fits a ZCU102 is estimated from them.
    """
    from qnn.bench import array, clocks

    with progress("synthesise") as report:
        rows = array.measure_all(report)
    routed = clocks.measure() if route else None
    if plot is not None:
        from qnn.bench.array_plot import write_plot

        write_plot(rows, plot)
    if as_json:
        print_json(array.to_fields(rows) | (routed.to_fields() if routed else {}))
        return
    _print_rows(rows)
    if routed:
        _print_clocks(routed)


def _print_rows(rows: "list[Row]") -> None:
    from qnn.bench import array

    table = [
        (
            row.pe,
            f"{row.weight_bits} bits",
            f"{row.activation_bits} bits",
            f"{row.accumulator_bits} bits",
            f"{row.lut_per_lane:.2f}",
            f"{row.lut_packed_per_lane:.2f}",
            f"{row.ff_per_lane:.1f}",
            f"{row.carry8_per_lane:.2f}",
            f"{row.dsp_per_lane:.0f}",
            str(row.longest_path_luts),
            str(row.longest_path_carry_bits),
            f"{row.lanes_zcu102:,}",
            f"{row.gops_zcu102:,.0f}",
        )
        for row in rows
    ]
    print_table(array.TITLE, HEADER, table)
    for text in array.findings(rows):
        print(text)


def _print_clocks(clocks: "Clocks") -> None:
    rows = [
        (name, f"{found.mhz:.0f}", f"{found.luts:,}", f"{found.ffs:,}", str(found.dsps))
        for name, found in clocks.routed.items()
    ]
    print_table(clocks.title, ("PE", "MHz", "LUT4", "FF", "MULT18"), rows)
