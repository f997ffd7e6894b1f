"""What a script has made: cells, their connections, addresses, and the steps of the build."""

from dataclasses import dataclass, field

from boards.vivado.blocks import SMARTCONNECT, Block, BlockPin, Bus, Shape


@dataclass
class Cell:
    """An instance of a block, with the values of its parameters."""

    name: str
    kind: str
    block: Block
    values: dict[str, str]

    @property
    def shape(self) -> Shape:
        return self.block.shape(self.values)


@dataclass(frozen=True)
class Segment:
    """Addresses of a master's space that reach a slave."""

    space: str
    slave: str
    base: int
    bytes: int

    @property
    def end(self) -> int:
        return self.base + self.bytes

    def __str__(self) -> str:
        return f"{self.slave} at {self.base:#x} to {self.end - 1:#x}"


@dataclass
class RecordedDesign:
    """A Vivado project as the recorder saw it."""

    part: str = ""
    board_part: str = ""
    name: str = ""  # of the block design
    sources: list[str] = field(default_factory=list)
    top: str = ""
    cells: dict[str, Cell] = field(default_factory=dict)
    nets: list[set[str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)  # of buses: master, slave
    segments: list[Segment] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)  # of its validation and of the runs

    def pins(self) -> dict[str, BlockPin]:
        """Every pin, as cell/pin."""
        return {
            f"{cell.name}/{name}": pin
            for cell in self.cells.values()
            for name, pin in cell.shape.pins.items()
        }

    def buses(self) -> dict[str, Bus]:
        """Every bus interface, as cell/bus."""
        return {
            f"{cell.name}/{name}": bus
            for cell in self.cells.values()
            for name, bus in cell.shape.buses.items()
        }

    def net(self, pin: str) -> set[str]:
        """The pins that ``pin`` is connected with, itself included."""
        return next((net for net in self.nets if pin in net), {pin})

    def driver(self, pin: str) -> str | None:
        """The output that drives ``pin``."""
        pins = self.pins()
        return next((one for one in sorted(self.net(pin)) if pins[one].output), None)

    def reached(self, master: str, passed: tuple[str, ...] = ()) -> list[str]:
        """The slaves that a master's transfers can reach, through what lies between."""
        found = []
        for source, slave in self.links:
            cell = self.cells[slave.partition("/")[0]]
            # A ring of interconnects would be walked round for ever.
            if source != master or cell.name in passed:
                continue
            # What is behind an interconnect is reached through each of its managers.
            if cell.kind != SMARTCONNECT:
                found.append(slave)
                continue
            for name, bus in cell.shape.buses.items():
                if bus.master:
                    found += self.reached(f"{cell.name}/{name}", (*passed, cell.name))
        return found

    def loose(self, cell: Cell) -> list[str]:
        """Connections of a cell to pins and buses that it does not have."""
        # A parameter may take pins away that are connected already.
        used = {name for net in self.nets for name in net}
        used |= {name for link in self.links for name in link}
        own = {f"{cell.name}/{name}" for name in (*cell.shape.pins, *cell.shape.buses)}
        return sorted(name for name in used - own if name.startswith(f"{cell.name}/"))
