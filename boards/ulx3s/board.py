"""The ULX3S with an ECP5-85: an open board, whose whole flow is Python wheels."""

from collections.abc import Mapping
from pathlib import Path

from boards.ulx3s.check import findings
from boards.ulx3s.commands import CONSTRAINTS, script
from boards.ulx3s.facts import BLOCK_RAMS, CLOCK_HZ, TOP, constraints
from boards.ulx3s.memory import buffer_rams, memory_bytes, memory_rams, network
from boards.ulx3s.top import Ulx3sTop
from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.serial import ANSWER, PATIENCE_BITS
from hw.verilog import files as verilog_files
from qnn.errors import CompileError

BAUD = 115_200
DIVISOR = round(CLOCK_HZ / BAUD)  # clock cycles of a bit


class Ulx3s:
    """See ``boards.Board``."""

    name = "ulx3s"
    config = "test"
    tool = "nextpnr"
    project = "ulx3s/build.sh"

    def check_fits(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> None:
        if cores != 1:
            raise CompileError(f"ulx3s: the board's design has 1 core, but {cores} were asked for")
        if clock_mhz is not None and clock_mhz != CLOCK_HZ / 1e6:
            raise CompileError(
                f"ulx3s: the board's clock has {CLOCK_HZ / 1e6:g} MHz, but {clock_mhz:g} MHz were "
                f"asked for; leave out --clock-mhz"
            )
        needed = buffer_rams(config)
        if needed > BLOCK_RAMS:
            raise CompileError(
                f"ulx3s: the buffers of {config} need about {needed} block RAMs, but an ECP5-85 "
                f"has {BLOCK_RAMS}; choose a smaller --config, or --set feature_words"
            )

    def files(
        self,
        config: SvpeConfig,
        built: Mapping[str, bytes],
        cores: int,
        clock_mhz: float | None = None,
    ) -> dict[str, bytes]:
        image = Image.from_bytes(built["image.bin"])
        check_memory(image)
        sources = verilog(image)
        texts = {
            **sources,
            CONSTRAINTS: constraints(),
            "build.sh": script(sources),
            "README.md": readme(image),
        }
        return {f"ulx3s/{name}": text.encode() for name, text in texts.items()}

    def summary(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> str:
        return (
            f"ulx3s at {CLOCK_HZ / 1e6:g} MHz: about {buffer_rams(config)} of {BLOCK_RAMS} block "
            f"RAMs for buffers (estimated); not run in nextpnr: qnn synth BUILD --board ulx3s"
        )

    def findings(self, files: Mapping[str, str]) -> list[str]:
        return findings(files)


def check_memory(image: Image) -> None:
    """Refuse a network that the block RAM cannot hold beside the core's buffers.

    Raises
    ------
    CompileError
        The text has the numbers.
    """
    buffers, memory = buffer_rams(image.config), memory_rams(image)
    if buffers + memory > BLOCK_RAMS:
        raise CompileError(
            f"ulx3s: the network's {memory_bytes(image):,} bytes take {memory} block RAMs and the "
            f"buffers of {image.config} about {buffers}, but an ECP5-85 has {BLOCK_RAMS}; choose a "
            f"smaller network or --config, or --set feature_words"
        )


def verilog(image: Image, *, divisor: int = DIVISOR) -> dict[str, str]:
    """The design as Verilog, file name to text; ``image`` is in its memory."""
    return verilog_files(Ulx3sTop(network(image), divisor=divisor), TOP)


def readme(image: Image) -> str:
    """How to build and use the folder."""
    text = (Path(__file__).parent / "readme.txt").read_text()
    return text.format(
        config=image.config,
        memory_bytes=memory_bytes(image),
        baud=BAUD,
        input_bytes=image.input_bytes,
        output_bytes=image.output_bytes,
        head_bytes=ANSWER.size,
        patience=PATIENCE_BITS / BAUD,
    )
