"""The modules of a synthesised netlist, each as arrays with numbers of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qnn.eda.timing.kinds import is_output
from qnn.eda.timing.rewrite import PAIR


@dataclass(frozen=True, eq=False)
class Module:
    """The arrays of one module; nets are numbered within it.

    Members
    -------
    pair : (cells,) a number that two LUTs in one have in common
    inside : the name, module, own nets and the module's port nets of each instance in it
    """

    kind: np.ndarray
    table: np.ndarray
    pair: np.ndarray
    pin_cell: np.ndarray
    pin_port: np.ndarray
    pin_net: np.ndarray
    pin_out: np.ndarray
    nets: int
    cell_names: Sequence[str]
    net_names: Mapping[int, str]
    ports: Mapping[str, list[int]]
    inside: Sequence[tuple[str, str, Mapping[str, list[int]]]]


class Numbers(dict):
    """Numbers for names, in the order in which they are first asked for."""

    def __missing__(self, name):
        self[name] = len(self)
        return self[name]


def arrays(module: Mapping, others: Mapping, kinds: Numbers, ports: Numbers) -> Module:
    """The arrays of a module; what is of a kind among ``others`` is an instance."""
    numbers = _NetNumbers({"0": 0, "1": 1, "x": 0, "z": 0})
    kind, table, pair, names, inside = [], [], [], [], []
    pairs = Numbers()
    cell_of, port_of, net_of, out_of = [], [], [], []
    for name, cell in module["cells"].items():
        if cell["type"] in others:
            links = {port: numbers.of(bits) for port, bits in cell["connections"].items()}
            inside.append((name, cell["type"], links))
            continue
        if cell["type"].startswith("$"):
            continue
        for port, bits in cell["connections"].items():
            out = is_output(port)
            for n, bit in enumerate(bits):
                cell_of.append(len(kind))
                port_of.append(ports[port if len(bits) == 1 else f"{port}[{n}]"])
                net_of.append(numbers[bit])
                out_of.append(out)
        kind.append(kinds[cell["type"]])
        table.append(_table(cell))
        pair.append(pairs[cell.get("attributes", {}).get(PAIR, f"alone {len(kind)}")])
        names.append(name)
    own_ports = {name: numbers.of(port["bits"]) for name, port in module["ports"].items()}
    return Module(
        np.array(kind, int),
        np.array(table, np.uint64),
        np.array(pair, int),
        *(np.array(values, int) for values in (cell_of, port_of, net_of)),
        np.array(out_of, bool),
        max(numbers.values()) + 1,
        names,
        _net_names(module, numbers),
        own_ports,
        inside,
    )


class _NetNumbers(Numbers):
    """Numbers of nets, of which the constants have four names and two numbers."""

    def __missing__(self, name):
        self[name] = len(self) - 2
        return self[name]

    def of(self, bits):
        return [self[bit] for bit in bits]


def _table(cell):
    if cell["type"].startswith("LUT"):
        return int(cell["parameters"]["INIT"].replace("x", "0"), 2)
    if cell["type"].startswith("RAMB"):
        return sum(
            place * (int(cell["parameters"].get(name, "0"), 2) > 0)
            for place, name in ((1, "DOA_REG"), (2, "DOB_REG"))
        )
    return 0


def _net_names(module, numbers):
    """For each net that a source file names, its name: the deepest in the hierarchy.

    Of those, one that is no port is preferred, and then the shortest.
    """
    found = {}
    for name, net in module["netnames"].items():
        if net["hide_name"] or "$" in name.split(".")[-1][:1]:
            continue
        for n, bit in enumerate(net["bits"]):
            if isinstance(bit, str) or bit not in numbers:
                continue
            own = name if len(net["bits"]) == 1 else f"{name}[{n}]"
            key = (-own.count("."), name in module["ports"], len(own), own)
            if numbers[bit] not in found or key < found[numbers[bit]]:
                found[numbers[bit]] = key
    return {number: key[-1] for number, key in found.items()}
