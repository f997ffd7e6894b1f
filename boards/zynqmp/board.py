"""A Zynq UltraScale+ board: a Vivado project that builds a bitstream for one to four cores."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boards.board import CellCount, ClockCheck, Stage
from boards.shared import ArrayBoard
from boards.zynqmp import project, results
from boards.zynqmp.clock import check_clock
from boards.zynqmp.devices import KINDS
from boards.zynqmp.facts import HP_PORTS, Facts
from hw.spec.config import SvpeConfig
from hw.spec.resources import total, usable
from qnn.errors import CompileError


@dataclass(frozen=True)
class ZynqMp(ArrayBoard[Facts]):
    """A Zynq UltraScale+ board as a ``boards.board.Board``: a Vivado project, PYNQ or UIO."""

    tool = "Vivado"
    project = "vivado/build.tcl"
    kinds = KINDS
    open_flow = None
    serial = None
    pins = None

    @property
    def cells(self) -> tuple[CellCount, ...]:
        synthesised = f"of a {self.title} (Yosys, before packing)"
        return (
            CellCount(
                stage=Stage.SYNTHESISED,
                titles={
                    "synth_array": f"The array alone, {synthesised}",
                    "synth_accelerator": f"The accelerator, {synthesised}",
                },
                missing=f"{self.title} (Yosys)",
                todo="qnn synth BUILD",
            ),
            CellCount(
                stage=Stage.IMPLEMENTED,
                titles={results.RECORD: f"The board's design on {self.title} (Vivado)"},
                missing=f"{self.title} (Vivado, implemented)",
                todo=f"Vivado, on the project of qnn compile MODEL --board {self.name}",
                other_numbers=True,
            ),
        )

    @property
    def clock(self) -> ClockCheck:
        return ClockCheck(
            stage=Stage.IMPLEMENTED,
            title=f"Clock on {self.title}",
            record=results.RECORD,
            todo="Vivado, on the project of qnn compile",
            judge=results.judge,
        )

    def evidence(self, build: Path) -> int:
        return project.evidence(self.facts, build)

    def check_fits(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> None:
        if not 1 <= cores <= HP_PORTS.value:
            raise CompileError(
                f"{self.name}: cores must be 1 to {HP_PORTS.value}, one for each memory port of "
                f"the processing system, not {cores}"
            )
        check_clock(self.facts, self._clock(clock_mhz))
        try:
            cells = total(config).times(cores)
        except ValueError as error:
            raise CompileError(f"{self.name}: {error}") from None
        for kind, most in usable(self.device).items():
            needed = getattr(cells, kind)
            if needed > most:
                raise CompileError(
                    f"{self.name}: {cores} x {config} takes {needed:,} {kind} (estimated), but "
                    f"{most:,} of {getattr(self.device, kind):,} are usable; take fewer cores, "
                    f"rows, columns or words"
                )

    def files(
        self,
        config: SvpeConfig,
        built: Mapping[str, bytes],
        cores: int,
        clock_mhz: float | None = None,
    ) -> dict[str, bytes]:
        return project.files(self.facts, config, built, cores, self._clock(clock_mhz))

    def summary(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> str:
        cells = total(config).times(cores)
        shares = ", ".join(
            f"{getattr(cells, kind) / getattr(self.device, kind):.0%} of {name}"
            for kind, name in (("lut", "LUTs"), ("ff", "flip-flops"), ("bram18", "block RAM"))
        )
        return (
            f"{self.name}, {cores} core{'s' if cores > 1 else ''} at {self._clock(clock_mhz):g} "
            f"MHz: {shares} (estimated); not run in Vivado: vivado -mode batch -source "
            f"{self.project}"
        )

    def findings(self, files: Mapping[str, str]) -> list[str]:
        from boards.zynqmp.check import findings  # with all of the recorder

        return findings(files, self.facts)

    def results(self, build: Path) -> dict[str, dict]:
        return results.results(build)

    def _clock(self, clock_mhz):
        return self.clock_mhz if clock_mhz is None else clock_mhz
