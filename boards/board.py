"""What a board is to the rest of ``qnn``: its device, its limits, its files and its results.

Boards hold the designs of the back end that they name. So far that is the array: configurations,
images and register maps here are the array's.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from boards.cell_kinds import CellKind
from boards.shared import BoardFacts
from hw.spec.config import SvpeConfig

if TYPE_CHECKING:
    import numpy as np

    from hw.spec.image import Image

Command = tuple[str, tuple[str, ...]]  # a tool and its arguments


class Stage(IntEnum):
    """How far a tool takes a design; results are shown in this order."""

    # Numbers, as results are sorted by them.
    SYNTHESISED = 1
    ROUTED = 2
    IMPLEMENTED = 3


@dataclass(frozen=True, kw_only=True)
class CellCount:
    """A way to count the cells that a design takes of a board's device.

    Members
    -------
    titles : name of a result in the build folder to its heading
    missing, todo : heading where there is no such result, and what gives one
    other_numbers : whether such a result has more than cells and a clock
    """

    stage: Stage
    titles: Mapping[str, str]
    missing: str
    todo: str
    other_numbers: bool = False


@dataclass(frozen=True, kw_only=True)
class ClockCheck:
    """Where a tool's analysis of a board's clock stands, and what it means.

    Members
    -------
    record : name of the result in the build folder, with ``estimated_fmax_mhz``
    todo : what gives that result
    judge : a result's values to what its clock is of, and whether the board's clock is met
    """

    stage: Stage
    title: str
    record: str
    todo: str
    judge: Callable[[Mapping[str, object]], tuple[str, bool]]


@dataclass(frozen=True, kw_only=True)
class OpenFlow:
    """How open tools make a board's bitstream from its folder in a build.

    Members
    -------
    folder : in the build folder
    commands : names of the Verilog files to the steps
    bitstream, report : what the last step and place and route write
    wheel : the Python distribution that places and routes
    """

    folder: str
    commands: Callable[[Iterable[str]], list[Command]]
    bitstream: str
    report: str
    wheel: str


@dataclass(frozen=True, kw_only=True)
class SerialPins:
    """Where a board's own design talks, so that it can be simulated from pin to pin.

    Members
    -------
    folder : in the build folder, which has its Verilog
    top : the module
    clock, receives, sends : its ports
    clock_hz : the clock's rate
    divisor : clock cycles of a bit of the serial line
    """

    folder: str
    top: str
    clock: str
    receives: str
    sends: str
    clock_hz: int
    divisor: int


Outputs = tuple[tuple["np.ndarray", ...], tuple[int, ...]]  # integers of each output, cycles
SerialHost = Callable[["Image", str, "np.ndarray"], Outputs]  # image, port, images


class Board(BoardFacts, Protocol):
    """What a board owns: its facts, and what is made of them.

    Members
    -------
    backend : whose designs it holds
    tool : what builds its bitstream
    project : the file of a build folder that starts this build
    cells, clock : results that a report shows
    kinds : the cells of its device, as its maker's tools write them
    open_flow : how open tools make its bitstream; None where only the vendor's tool does
    serial : runs images on a board that answers on a serial line; None for one that runs the driver
    pins : where a design of the board's own talks; None where the board gets ``rtl`` as it is
    """

    @property
    def backend(self) -> str: ...
    @property
    def tool(self) -> str: ...
    @property
    def project(self) -> str: ...
    @property
    def cells(self) -> tuple[CellCount, ...]: ...
    @property
    def clock(self) -> ClockCheck: ...
    # Names and not keys: a user compares them with the tool's own report.
    @property
    def kinds(self) -> tuple[CellKind, ...]: ...
    @property
    def open_flow(self) -> OpenFlow | None: ...
    @property
    def serial(self) -> SerialHost | None: ...
    @property
    def pins(self) -> SerialPins | None: ...

    def evidence(self, build: Path) -> int:
        """How surely the project of a build folder is this board's; 0 if it is not."""
        ...

    def check_fits(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> None:
        """Raise where the board has no room, no ports or no clock for the design.

        Raises
        ------
        CompileError
            The text has the numbers.
        """
        ...

    def files(
        self,
        config: SvpeConfig,
        built: Mapping[str, bytes],
        cores: int,
        clock_mhz: float | None = None,
    ) -> dict[str, bytes]:
        """Further files for the build folder, path to content; ``built`` is what is there."""
        ...

    def summary(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> str:
        """What was made, and how to build it, in one line."""
        ...

    def findings(self, files: Mapping[str, str]) -> list[str]:
        """What is wrong with the board's files in a build folder, a line each; none if all is well.

        Raises
        ------
        ToolError
            What they are checked with is missing on this machine.
        """
        ...

    def results(self, build: Path) -> dict[str, dict]:
        """Results that the board's tool left in a build folder, name to values.

        Raises
        ------
        ToolError
            A file is not what the tool writes.
        """
        ...
