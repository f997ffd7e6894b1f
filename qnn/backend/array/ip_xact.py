"""The accelerator as an IP-XACT component (IEEE 1685-2014): buses, registers, ports and files."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import NamedTuple

from hw.axi import ADDRESS_BITS, REGISTER_BITS
from hw.interfaces import BUS, BUSES, SIGNALS
from hw.spec.config import SvpeConfig
from hw.spec.licence import SPDX
from hw.spec.registers import (
    FIELDS,
    READ_ONLY,
    RUN_BITS,
    RUN_OFFSET,
    WIDE,
    WINDOW_BYTES,
    Register,
    Status,
)
from hw.spec.verilog_files import TOP, simulation_files, synthesis_files

NAMESPACE = "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"
# Vendor, library, name and version, by which catalogues of IP name the component.
IDENTITY = ("qnn", "ip", TOP, "1.0")
VIEWS = {"simulation": simulation_files, "synthesis": synthesis_files}  # and what each takes
HEADER = "driver/qnn_accelerator.h"
REGISTERS, MEMORY = "registers", "memory"  # names of the memory map and the address space
_PORT = re.compile(r"^  (?P<way>input|output) wire (?:\[(?P<left>\d+):0\] )?(?P<name>\w+),?$", re.M)


class TopPort(NamedTuple):
    """A port of the top module: its name, ``in`` or ``out``, and its width."""

    name: str
    direction: str
    bits: int


def ports_of(verilog: str) -> list[TopPort]:
    """The ports that the text of the top module declares, in alphabetical order."""
    body = verilog.partition(f"module {TOP} (")[2].partition("endmodule")[0]
    return sorted(
        TopPort(port["name"], port["way"].removesuffix("put"), int(port["left"] or 0) + 1)
        for port in _PORT.finditer(body)
    )


def component(config: SvpeConfig, built: Mapping[str, bytes]) -> bytes:
    """The text of ``component.xml``; the same bytes for the same build.

    Parameters
    ----------
    built : files of the build, path to content
    """
    ports = ports_of(built[f"rtl/{TOP}.v"].decode())
    ElementTree.register_namespace("ipxact", NAMESPACE)
    root = ElementTree.Element(_tag("component"))
    for key, value in zip(("vendor", "library", "name", "version"), IDENTITY, strict=True):
        _add(root, key, value)
    _interfaces(root, ports)
    space = _add(_add(root, "addressSpaces"), "addressSpace")
    _fill(space, name=MEMORY, range=1 << ADDRESS_BITS, width=config.bus_bits)
    _registers(root)
    _model(root, ports)
    _files(root, built)
    _add(root, "description", f"Accelerator without multipliers: {config}")
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {SPDX} -->\n{text}\n'.encode()


def _interfaces(root, ports):
    interfaces = _add(root, "busInterfaces")
    for bus, parameters in BUSES.items():
        names = [port.name for port in ports if port.name.startswith(f"{bus}_")]
        mine = {name: name.removeprefix(f"{bus}_").upper() for name in names}
        entry = _interface(interfaces, bus, BUS, mine)
        # The one that the host writes registers on, and the one that reads and writes memory.
        if parameters["PROTOCOL"] == "AXI4LITE":
            _add(_add(entry, "slave"), "memoryMapRef", memoryMapRef=REGISTERS)
        else:
            _add(_add(entry, "master"), "addressSpaceRef", addressSpaceRef=MEMORY)
        _parameters(entry, bus, parameters)
    for port, (kind, logical, words) in SIGNALS.items():
        entry = _interface(interfaces, port, f"xilinx.com:signal:{kind}:1.0", {port: logical})
        _add(entry, "master" if kind == "interrupt" else "slave")
        _parameters(entry, port, dict(pair.split() for pair in words.split(", ")))


def _interface(interfaces, name, bus, ports):
    entry = _add(interfaces, "busInterface")
    _add(entry, "name", name)
    vendor, library, kind, version = bus.split(":")
    identity = {"vendor": vendor, "library": library, "version": version}
    _add(entry, "busType", name=kind, **identity)
    abstraction = _add(_add(entry, "abstractionTypes"), "abstractionType")
    _add(abstraction, "abstractionRef", name=f"{kind}_rtl", **identity)
    maps = _add(abstraction, "portMaps")
    for physical, logical in sorted(ports.items()):
        pair = _add(maps, "portMap")
        _add(_add(pair, "logicalPort"), "name", logical)
        _add(_add(pair, "physicalPort"), "name", physical)
    return entry


def _parameters(entry, name, values):
    parameters = _add(entry, "parameters")
    for key, value in values.items():
        parameter = _add(parameters, "parameter", parameterId=f"{name}_{key}", type="string")
        _fill(parameter, name=key, value=f'"{value}"')


def _registers(root):
    block_map = _add(_add(root, "memoryMaps"), "memoryMap")
    _add(block_map, "name", REGISTERS)
    block = _add(block_map, "addressBlock")
    _fill(block, name=REGISTERS, baseAddress=0, range=WINDOW_BYTES, width=REGISTER_BITS)
    _add(block, "usage", "register")
    for register in Register:
        # The bus has 32 bits: the upper half of a wide one is a register of its own.
        halves = ("LOW", "HIGH") if register in WIDE else ("",)
        for number, half in enumerate(halves):
            _register(block, register, "_".join(filter(None, (register.name, half))), 4 * number)
    _add(block_map, "addressUnitBits", 8)


def _register(block, register, name, offset):
    access = "read-only" if register in READ_ONLY else "read-write"
    entry = _add(block, "register")
    _fill(entry, name=name, addressOffset=f"'h{register + offset:x}", size=REGISTER_BITS)
    _add(entry, "volatile", "true" if register in READ_ONLY else "false")
    _add(entry, "access", access)
    for bits in FIELDS.get(register, ()):
        field = _add(entry, "field")
        _fill(field, name=bits.name, bitOffset=bits.bit_length() - 1, bitWidth=1)
        if register is Register.STATUS and bits is not Status.INTERRUPT:
            _add(field, "access", "read-only")
        elif register is Register.STATUS:
            _fill(field, access="read-write", modifiedWriteValue="oneToClear")
        else:
            _add(field, "access", access)
    if register in FIELDS:
        run = _add(entry, "field")
        _fill(run, name="RUN", bitOffset=RUN_OFFSET, bitWidth=RUN_BITS)
        _add(run, "access", "read-only" if register is Register.STATUS else access)
    else:
        _fill(_add(entry, "field"), name="VALUE", bitOffset=0, bitWidth=REGISTER_BITS)


def _model(root, ports):
    model = _add(root, "model")
    views = _add(model, "views")
    for view in VIEWS:
        _fill(_add(views, "view"), name=view, componentInstantiationRef=view)
    instantiations = _add(model, "instantiations")
    for view in VIEWS:
        entry = _add(instantiations, "componentInstantiation")
        _fill(entry, name=view, language="Verilog", moduleName=TOP)
        _add(_add(entry, "fileSetRef"), "localName", view)
    listed = _add(model, "ports") if ports else None
    for port in ports:
        entry = _add(listed, "port")
        _add(entry, "name", port.name)
        wire = _add(entry, "wire")
        _add(wire, "direction", port.direction)
        if port.bits > 1:
            _fill(_add(_add(wire, "vectors"), "vector"), left=port.bits - 1, right=0)


def _files(root, built):
    sets = _add(root, "fileSets")
    wanted = {name: (take(built), "verilogSource") for name, take in VIEWS.items()}
    wanted["software"] = ([HEADER], "cSource")
    for name, (files, kind) in wanted.items():
        entry = _add(sets, "fileSet")
        _add(entry, "name", name)
        for path in files:
            _fill(_add(entry, "file"), name=path, fileType=kind)


def _fill(parent, **values):
    for key, value in values.items():
        _add(parent, key, value)


def _add(parent, key, text=None, **attributes):
    element = ElementTree.SubElement(parent, _tag(key), attributes)
    element.text = None if text is None else str(text)
    return element


def _tag(key):
    return f"{{{NAMESPACE}}}{key}"
