"""Commands of a block design: its cells, nets, buses and addresses."""

from collections.abc import Iterable, Mapping

from boards.tcl import RefusedError
from boards.vivado.blocks import BLOCKS, SMARTCONNECT, Block, module_reference
from boards.vivado.commands import Invocation
from boards.vivado.design import Cell, RecordedDesign, Segment
from boards.vivado.folder import Folder
from boards.vivado.ports import modules

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class BlockDesign:
    """Each method is the command of its name.

    Parameters
    ----------
    blocks : kinds of blocks beside ``BLOCKS``, by type without version
    preset : the kind of block that has one on this board, and the parameters that it sets
    segments : what lies behind a memory port of the processing system
    """

    def __init__(
        self,
        design: RecordedDesign,
        folder: Folder,
        blocks: Mapping[str, Block],
        preset: tuple[str, Mapping[str, str]],
        segments: Iterable[str],
    ):
        self._design, self._folder = design, folder
        self._blocks = {**BLOCKS, **blocks}
        self._preset, self._segments = preset, tuple(segments)

    def create_bd_design(self, call: Invocation) -> None:
        self._design.name = call.objects[0]

    def create_bd_cell(self, call: Invocation) -> str:
        name = call.objects[0]
        if not self._design.name:
            raise RefusedError("create_bd_cell: there is no block design; create_bd_design first")
        if name in self._design.cells:
            raise RefusedError(f"create_bd_cell: there is a cell '{name}' already")
        make = call.values.get("type", "ip")
        if make not in ("ip", "module"):
            raise RefusedError(f"create_bd_cell: -type is ip or module here, not '{make}'")
        # A cell is either an IP of the catalogue or a reference to a Verilog module.
        if make == "module":
            kind, block = self._module(call.values.get("reference", ""))
        else:
            kind, block = self._ip(call.values.get("vlnv", ""))
        self._design.cells[name] = Cell(name, kind, block, dict(block.parameters))
        return name

    def _ip(self, vlnv):
        # Without the version: it differs from one Vivado to the next, and the ports do not.
        kind = ":".join(vlnv.split(":")[:3])
        if kind not in self._blocks:
            known = ", ".join(sorted(self._blocks))
            raise RefusedError(f"create_bd_cell: no IP '{kind}' is known here; known: {known}")
        return kind, self._blocks[kind]

    def _module(self, name):
        for path in self._design.sources:
            text = self._folder.texts.get(path, "")
            if path.endswith(".v") and name in modules(text):
                return name, module_reference(text, name)
        raise RefusedError(f"create_bd_cell: no Verilog source has a module '{name}'")

    def apply_bd_automation(self, call: Invocation) -> None:
        cell = self._design.cells[self._one(call.objects[0], self._design.cells, "cell")]
        kind, values = self._preset
        if not self._design.board_part:
            raise RefusedError("apply_bd_automation: the project has no board_part, and no preset")
        if cell.kind != kind or "apply_board_preset" not in call.values.get("config", ""):
            raise RefusedError("apply_bd_automation: only the board's preset is known here")
        cell.values |= values

    def get_bd_cells(self, call: Invocation) -> str:
        return self._get(call, self._design.cells, "cell")

    def get_bd_pins(self, call: Invocation) -> str:
        return self._get(call, self._design.pins(), "pin")

    def get_bd_intf_pins(self, call: Invocation) -> str:
        return self._get(call, self._design.buses(), "interface")

    def get_bd_addr_spaces(self, call: Invocation) -> str:
        return self._get(call, self.spaces(), "address space")

    def get_bd_addr_segs(self, call: Invocation) -> str:
        return self._get(call, self.slaves(), "address segment")

    def _get(self, call, known, what):
        name = call.objects[0].lstrip("/") if call.objects else ""
        # As Vivado has it: a quiet search for nothing gives nothing.
        if "quiet" in call.flags and name not in known:
            return ""
        return self._one(name, known, what)

    def _one(self, name, known, what):
        if name not in known:
            cell = name.partition("/")[0]
            # The error lists what the same cell has, or all if there is no such cell.
            near = [one for one in known if one.partition("/")[0] == cell] or list(known)
            raise RefusedError(f"no {what} '{name}'; there is {', '.join(sorted(near)) or 'none'}")
        return name

    def connect_bd_net(self, call: Invocation) -> None:
        pins = self._design.pins()
        joined = {self._one(name, pins, "pin") for name in call.objects}
        others = [net for net in self._design.nets if not net & joined]
        # A pin that is on a net already joins that net with the new one.
        joined = joined.union(*(net for net in self._design.nets if net & joined))
        drivers = sorted(pin for pin in joined if pins[pin].output)
        if len(drivers) > 1:
            raise RefusedError(f"connect_bd_net: {' and '.join(drivers)} drive one net")
        self._design.nets = [*others, joined]

    def connect_bd_intf_net(self, call: Invocation) -> None:
        buses = self._design.buses()
        one, two = (self._one(name, buses, "interface") for name in call.objects[:2])
        for name in (one, two):
            if any(name in link for link in self._design.links):
                raise RefusedError(f"connect_bd_intf_net: {name} is connected already")
        if buses[one].master == buses[two].master:
            raise RefusedError(
                f"connect_bd_intf_net: needs a master and a slave, not {one} and {two}"
            )
        self._design.links.append((one, two) if buses[one].master else (two, one))

    def spaces(self) -> dict[str, list[str]]:
        """Address space to its masters: of a module each has its own, of an IP all share one."""
        spaces = {}
        for name, bus in self._design.buses().items():
            cell = self._design.cells[name.partition("/")[0]]
            # An interconnect passes addresses on and has no space of its own.
            if bus.master and cell.kind != SMARTCONNECT:
                space = f"{cell.name}/Data" if cell.kind in self._blocks else name
                spaces.setdefault(space, []).append(name)
        return spaces

    def slaves(self) -> dict[str, str]:
        """Address segment to its slave."""
        found = {}
        for name, bus in self._design.buses().items():
            cell = self._design.cells[name.partition("/")[0]]
            if bus.segment:
                of_ip = cell.kind in self._blocks
                # An IP's memory has a segment for each window; a module's registers have one.
                ends = [f"_{end}" for end in self._segments] if of_ip else [""]
                found |= {f"{cell.name}/{bus.segment}{end}": name for end in ends}
        return found

    def assign_bd_address(self, call: Invocation) -> None:
        missing = {"target_address_space", "offset", "range"} - call.values.keys()
        if missing or not call.objects:
            raise RefusedError("assign_bd_address: needs -target_address_space, -offset and -range")
        space = self._one(call.values["target_address_space"], self.spaces(), "address space")
        slave = self._one(call.objects[0], self.slaves(), "address segment")
        base, size = (_number(call.values[name]) for name in ("offset", "range"))
        self._design.segments.append(Segment(space, slave, base, size))

    def exclude_bd_addr_seg(self, call: Invocation) -> None:
        self._one(call.values.get("target_address_space", ""), self.spaces(), "address space")
        self._one(call.objects[0], self.slaves(), "address segment")

    def validate_bd_design(self, call: Invocation) -> None:
        self._design.steps.append("validated")

    def save_bd_design(self, call: Invocation) -> None:
        self._design.steps.append("saved")


def _number(text):
    """An address or a range: an integer, or one with K, M or G."""
    unit = UNITS.get(text[-1:].upper())
    try:
        return int(text[:-1], 0) * unit if unit else int(text, 0)
    except ValueError:
        raise RefusedError(f"'{text}' is no address or range") from None
