"""The files that an ECP5 board adds to a build: its design with the network, pins and commands."""

from pathlib import Path

from boards.ecp5.commands import pins_file, script
from boards.ecp5.facts import BAUD, Ecp5Facts, constraints
from boards.ecp5.memory import check_memory, memory_bytes, network
from boards.ecp5.top import Ecp5Top
from hw.spec.image import Image
from hw.spec.serial import ANSWER, PATIENCE_BITS, SUM
from hw.verilog import files as verilog_files


def files(facts: Ecp5Facts, image: bytes) -> dict[str, bytes]:
    """Path in the build folder to content, for the network in the bytes of an ``image.bin``.

    Raises
    ------
    CompileError
        The board's block RAM cannot hold the network.
    """
    held = Image.from_bytes(image)
    # Before any Verilog is made, which takes seconds.
    check_memory(facts, held)
    sources = verilog(facts, held)
    texts = {
        **sources,
        pins_file(facts): constraints(facts),
        "build.sh": script(facts, sources),
        "README.md": readme(facts, held),
    }
    return {f"{facts.name}/{name}": text.encode() for name, text in texts.items()}


def verilog(facts: Ecp5Facts, image: Image, *, divisor: int | None = None) -> dict[str, str]:
    """The design as Verilog, file name to text; ``image`` is in its memory.

    Parameters
    ----------
    divisor : clock cycles of a bit of the serial line; by default those of ``BAUD``
    """
    # A simulation takes a small divisor, because real bits last hundreds of cycles.
    divisor = divisor or facts.divisor
    return verilog_files(Ecp5Top(facts, network(image), divisor=divisor), facts.top)


def readme(facts: Ecp5Facts, image: Image) -> str:
    """How to build and use the folder."""
    text = (Path(__file__).parent / "readme.txt").read_text()
    return text.format(
        title=facts.title,
        name=facts.name,
        clock_mhz=facts.clock_mhz,
        connector=facts.connector,
        loader=facts.loader,
        button=facts.button_label,
        origin=facts.origin,
        config=image.config,
        memory_bytes=memory_bytes(image),
        baud=BAUD,
        input_bytes=image.input_bytes,
        output_bytes=image.output_bytes,
        head_bytes=ANSWER.size,
        sum_bytes=SUM.size,
        patience=PATIENCE_BITS / BAUD,
    )
