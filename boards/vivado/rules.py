"""What must hold of a recorded design: every rule gives a line for each thing that breaks it."""

import re
from collections.abc import Iterator, Mapping, Set
from itertools import pairwise

from boards.vivado.design import RecordedDesign
from boards.vivado.ports import modules

LEAST_RANGE_BYTES = 4096  # the smallest range that Vivado's address editor assigns
_INSTANCE = re.compile(r"^ +(qnn_\w+) +\S+ +\($", re.MULTILINE)


def connections(design: RecordedDesign) -> Iterator[str]:
    """Every bus has two ends, and every input that must not be open has a driver of its kind."""
    connected = {name for link in design.links for name in link}
    if loose := sorted(design.buses().keys() - connected):
        yield f"bus {', '.join(loose)}: not connected; connect_bd_intf_net it"
    pins = design.pins()
    for name, pin in sorted(pins.items()):
        if not pin.needed:
            continue
        driver = design.driver(name)
        if driver is None:
            yield f"{pin.kind} {name} is not driven; connect_bd_net it"
        # A clock that drives a reset, for instance, is a slip of the script.
        elif pins[driver].kind != pin.kind:
            yield f"{pin.kind} {name} is driven by {driver}, which is a {pins[driver].kind}"
        elif pin.kind == "reset" and pins[driver].active_low != pin.active_low:
            yield (
                f"reset {name} is active {_level(pin)}, but {driver} is active "
                f"{_level(pins[driver])}"
            )


def clocks(design: RecordedDesign) -> Iterator[str]:
    """A line for each bus that has no clock, or two different ones at its ends."""
    buses = design.buses()
    for name, bus in sorted(buses.items()):
        if not bus.clock:
            yield f"bus {name} has no clock; name it in ASSOCIATED_BUSIF of the clock's port"
    for ends in design.links:
        if not all(buses[end].clock for end in ends):
            continue
        pins = [f"{end.partition('/')[0]}/{buses[end].clock}" for end in ends]
        drivers = [design.driver(pin) for pin in pins]
        # A bus between two clocks would need a converter, which no project here has.
        if None not in drivers and drivers[0] != drivers[1]:
            yield f"{ends[0]} runs at {drivers[0]}, but {ends[1]} at {drivers[1]}"


def interrupts(design: RecordedDesign) -> Iterator[str]:
    """Every interrupt goes somewhere, and none comes from nowhere."""
    names = [name for name, pin in design.pins().items() if pin.kind == "interrupt"]
    if loose := sorted(name for name in names if len(design.net(name)) < 2):
        yield f"interrupt {', '.join(loose)}: not connected; connect_bd_net it"


def addresses(
    design: RecordedDesign,
    spaces: Mapping[str, list[str]],
    slaves: Mapping[str, str],
    needed: tuple,
) -> Iterator[str]:
    """No two segments of a space overlap, and each master reaches what it is connected with.

    Parameters
    ----------
    spaces, slaves : address space to its masters, segment to its slave
    needed : ends of the names of segments that a space cannot do without
    """
    for space, masters in sorted(spaces.items()):
        own = sorted((s for s in design.segments if s.space == space), key=lambda s: s.base)
        for one, two in pairwise(own):
            if two.base < one.end:
                yield f"addresses of {space} overlap: {one}, and {two}"
        reached = [slave for master in masters for slave in design.reached(master)]
        for segment in own:
            yield from _aligned(segment)
            yield from _decoded(segment, design.buses()[slaves[segment.slave]].address_bits)
            if slaves[segment.slave] not in reached:
                yield f"{space} has an address for {segment.slave}, but no bus leads there"
        mapped = {segment.slave for segment in own}
        for name, slave in sorted(slaves.items()):
            if slave in reached and name.endswith(needed) and name not in mapped:
                yield f"{space} has no address for {name}; assign_bd_address it"


def _aligned(segment):
    # Address decoding compares upper bits, so that a range is a power of two.
    if segment.bytes < LEAST_RANGE_BYTES or segment.bytes & (segment.bytes - 1):
        yield (
            f"{segment} has {segment.bytes} bytes; a range is a power of two from "
            f"{LEAST_RANGE_BYTES} on"
        )
    elif segment.base % segment.bytes:
        yield f"{segment} does not begin at a multiple of its {segment.bytes:#x} bytes"


def _decoded(segment, address_bits):
    if segment.bytes > 1 << address_bits:
        yield (
            f"{segment} has {segment.bytes} bytes, more than the {address_bits} address bits of "
            f"its slave decode"
        )


def sources(design: RecordedDesign, files: Mapping[str, str]) -> Iterator[str]:
    """No module is defined twice, and every one that is instantiated is there."""
    where = {}
    for path in design.sources:
        for name in modules(files.get(path, "")) if path.endswith(".v") else ():
            if name in where:
                yield f"module {name} is in {where[name]} and in {path}; add one of them"
            where[name] = path
    for path in design.sources:
        # Yosys and Vivado would take such a module as a black box.
        for name in sorted(_instantiated(files.get(path, "")) - where.keys()):
            yield f"{path} instantiates {name}, which no source defines; add its file"


def _instantiated(text):
    """Modules of ours that have files of their own."""
    return set(_INSTANCE.findall(text))


def build(design: RecordedDesign, written: Set[str], needed: tuple[str, ...]) -> Iterator[str]:
    """The design was validated, and all files that are ``needed`` were written."""
    if "validated" not in design.steps:
        yield "the block design is never validated; call validate_bd_design"
    if f"{design.top}.v" not in [path.rpartition("/")[2] for path in design.sources]:
        yield f"the top is '{design.top}', which no source is named after; add it and set it"
    for name in needed:
        if name not in written:
            yield f"{name} is never written"


def _level(pin):
    return "low" if pin.active_low else "high"
