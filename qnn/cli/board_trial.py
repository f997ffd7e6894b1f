"""A trial of a thorough verification: the design of a board, from pin to pin, as its files lie."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from boards.board import SerialPins
    from qnn.design import Design
    from qnn.runtime.given import Given
    from sim.verification import Report

NAME = "the board's design, from pin to pin"


def board_trial(build: Path, design: "Design", x: "Given") -> "tuple[tuple[str, Report], ...]":
    """The trial's name and report; nothing for a build whose board has no design of its own.

    Parameters
    ----------
    x : what ``verify`` takes; the first run's inputs are taken
    """
    from qnn.ir.encode import encode_input
    from qnn.ir.reference import reference
    from qnn.runtime.given import images_of
    from sim.verification import LayerReport, Report

    pins = board_pins(build)
    if not pins:
        return ()
    # One run: a bit takes hundreds of cycles.
    given = images_of(encode_input(design.graph, x), slice(0, design.artifact.batch))
    expected = reference(design.graph, given, outputs_only=True)
    got, problem = answers(design, pins, given)
    layers = [
        LayerReport(
            name=output.name,
            op="output",
            image=0,
            values=expected[output.name].size,
            mismatches=int((expected[output.name] != values).sum()),
            first=None,
            problem=None,
            cycles=None,
        )
        for output, values in zip(design.graph.outputs, got, strict=bool(got))
    ]
    return ((NAME, Report("rtl", tuple(layers), problem)),)


def board_pins(build: Path) -> "SerialPins | None":
    """The pins of the board's own design in a build; None where it has none."""
    import boards

    board = boards.board_of(build)
    return board.pins or None if board else None


def board_sources(design: "Design", pins: "SerialPins") -> dict[str, str]:
    """The Verilog of the board's own design, by file name."""
    return {
        Path(name).name: data.decode()
        for name, data in design.built.items()
        if name.endswith(".v") and Path(name).parent == Path(pins.folder)
    }


def answers(
    design: "Design", pins: "SerialPins", given: "Given"
) -> "tuple[tuple[np.ndarray, ...], str | None]":
    """The board's outputs for ``given``, and what is wrong beside them, in one line, or None."""
    import numpy as np

    from hw.spec.registers import Status
    from hw.spec.serial import ANSWER, SUM, answer_bytes, digest, exchange_sum
    from qnn.runtime.given import image_count
    from qnn.runtime.limit import cycle_limit
    from qnn.runtime.tensors import pack_inputs, unpack_outputs
    from sim.runner import SimulationFailed
    from sim.serial_line import Pins, exchange

    image, size = design.artifact, answer_bytes(design.artifact.output_bytes)
    data = pack_inputs(image, given)[0].tobytes()
    try:
        (answer,) = exchange(
            board_sources(design, pins),
            pins.top,
            Pins(pins.clock, pins.receives, pins.sends),
            [data],
            answer_bytes=size,
            clock_hz=pins.clock_hz,
            divisor=pins.divisor,
            # A byte takes ten bits on the line.
            limit_cycles=cycle_limit(image, 0) + 10 * pins.divisor * size,
        )
    except SimulationFailed as error:
        return (), str(error).partition("\n")[0]
    _, status, error, name = ANSWER.unpack_from(answer)
    problem = None
    if name != digest(image.payload):
        problem = (
            f"the board's design holds network {name.hex()}, not {digest(image.payload).hex()}"
        )
    elif SUM.unpack(answer[-SUM.size :])[0] != exchange_sum(data, answer[: -SUM.size]):
        problem = "the sum in the answer of the board's design is not that of the exchange"
    elif status & Status.FAILED:
        problem = f"the board's run failed with error {error}"
    region = np.frombuffer(answer[ANSWER.size : -SUM.size], np.uint8)[None]
    return unpack_outputs(image, region, image_count(given)), problem
