"""What an ECP5 board is, as far as a design that lives in its block RAM depends on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hw.spec.resources import Device

BLOCK_RAM_BITS = 18 * 1024  # of a DP16KD
BAUD = 115_200  # of the serial line: the fastest that every terminal program offers


@dataclass(frozen=True)
class Pin:
    """A port's bit, the ball that it is on, and the buffer's settings."""

    port: str
    site: str
    settings: str


@dataclass(frozen=True, kw_only=True)
class Ecp5Facts:
    """The facts of one ECP5 board.

    Members
    -------
    name, title : as ``--board`` takes it, and as its maker writes it
    config, sizes : our choice of a configuration that fits it
    chip, device : the chip's name for people, and its cells
    part : the chip, in nextpnr's words
    clock, clock_hz : the port of the clock, and its rate
    receives, sends : ports of the serial line
    button, button_label : the port that starts over when it is high, and what is printed beside it
    leds : the port of the LEDs
    high : ports that must be driven high
    pins, pins_source : where each bit of each port is, and the file that says so
    connector : of the serial line, as it is printed on the board
    loader : the board's name for openFPGALoader
    origin : a sentence for the user on what pins and commands are from
    """

    name: str
    title: str
    config: str
    chip: str
    device: Device
    part: tuple[str, ...]
    clock: str
    clock_hz: int
    receives: str
    sends: str
    button: str
    button_label: str
    leds: str
    high: tuple[str, ...]
    pins: tuple[Pin, ...]
    pins_source: str
    connector: str
    loader: str
    origin: str
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def top(self) -> str:
        """The name of the top module."""
        return f"qnn_{self.name}"

    @property
    def clock_mhz(self) -> float:
        """The clock's rate, in MHz."""
        return self.clock_hz / 1e6

    @property
    def divisor(self) -> int:
        """Clock cycles of a bit of the serial line."""
        return round(self.clock_hz / BAUD)


def constraints(facts: Ecp5Facts) -> str:
    """The ``.lpf`` file of the board's design."""
    lines = [f"# Pins of {facts.pins_source}; written by qnn"]
    # Paths of reset and of asynchronous inputs have no timing to meet.
    lines += ["BLOCK RESETPATHS ;", "BLOCK ASYNCPATHS ;"]
    for pin in facts.pins:
        lines.append(f'LOCATE COMP "{pin.port}" SITE "{pin.site}" ;')
        lines.append(f'IOBUF PORT "{pin.port}" IO_TYPE=LVCMOS33 {pin.settings} ;')
    lines.append(f'FREQUENCY PORT "{facts.clock}" {facts.clock_mhz:.6f} MHz ;')
    return "\n".join(lines) + "\n"
