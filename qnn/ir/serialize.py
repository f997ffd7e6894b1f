"""Integer graphs as ``.qgraph`` files.

File format, little-endian: 8 bytes ``QNNGRAPH``, a 32-bit version, 32 bits of header length,
64 bits of the arrays' length, the SHA-256 of all that follows; then the header (JSON: nodes in
order, outputs, each array's type, shape and place) and the arrays' bytes.
"""

import hashlib
import json
import struct
from math import prod
from pathlib import Path

import numpy as np

from qnn.errors import QnnError
from qnn.fields import FieldsError, Place, parsed, typed, typed_fields
from qnn.files import read_file, write_whole
from qnn.ir.arrays import INTEGERS, StoredArray
from qnn.ir.check import check
from qnn.ir.graph import Graph, Output, host_in
from qnn.ir.ops import OPERATORS
from qnn.quant.qtype import QType

MAGIC = b"QNNGRAPH"
VERSION = 2
# The head has a fixed size and holds both lengths, so that a file that was cut short is told
# from one that was altered: the first has too few bytes, the second another hash.
HEAD = struct.Struct("<8sIIQ32s")
_BY_KIND = {operator.kind: operator for operator in OPERATORS}
# As NumPy writes the types whose bytes have an order, and those of one byte.
_DTYPES = {np.dtype(name).newbyteorder("<").str for name in INTEGERS}


def save(graph: Graph, path: str | Path) -> None:
    """Write the file; a reader never sees half of it.

    Raises
    ------
    QnnError
        The folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    data = to_bytes(graph)
    try:
        write_whole(path, data)
    except OSError as error:
        raise QnnError(
            f"{path}: a graph needs a writable folder with room, but got '{error.strerror}'; "
            f"choose another path"
        ) from None


def load(path: str | Path) -> Graph:
    """Read and check a file.

    Raises
    ------
    QnnError
        No such file, not a graph, another version, cut short, altered, or not legal.
    """
    try:
        data = read_file(Path(path))
    except OSError as error:
        raise QnnError(
            f"{path}: reading a graph needs a file, but got '{error.strerror}'; write one with "
            f"'qnn export'"
        ) from None
    return from_bytes(data, str(path))


def to_bytes(graph: Graph) -> bytes:
    """The file's bytes; the same for equal graphs."""
    arrays: list[np.ndarray] = []
    header = {
        "nodes": [_node_fields(node, arrays) for node in graph.nodes],
        "outputs": [_output_fields(output) for output in graph.outputs],
    }
    # Few networks have one, so that most files do not name it.
    if graph.host is not None:
        header["host"] = graph.host.text(full=True)
    # NumPy's integers, which a graph may hold among its sizes, become plain ones
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), default=int).encode()
    payload = b"".join(array.tobytes() for array in arrays)
    # Of all behind it: one flipped bit anywhere is found before anything is read.
    digest = hashlib.sha256(text + payload).digest()
    return HEAD.pack(MAGIC, VERSION, len(text), len(payload), digest) + text + payload


def from_bytes(data: bytes, name: str = "graph") -> Graph:
    """The checked graph of a file's bytes; ``name`` is for the error, which is as ``load``'s."""
    if len(data) < HEAD.size or data[:8] != MAGIC:
        raise QnnError(f"{name}: not a qnn graph; write one with 'qnn export'")
    _, version, text_bytes, payload_bytes, digest = HEAD.unpack_from(data)
    if version != VERSION:
        raise QnnError(
            f"{name}: graph version {version}, but this qnn reads version {VERSION}; export the "
            f"model again"
        )
    body = data[HEAD.size :]
    if len(body) != text_bytes + payload_bytes:
        raise QnnError(
            f"{name}: {len(data)} bytes, but its header says "
            f"{HEAD.size + text_bytes + payload_bytes}; copy or export it again"
        )
    if hashlib.sha256(body).digest() != digest:
        raise QnnError(f"{name}: its checksum does not match; copy or export it again")
    try:
        graph = _graph(parsed(body[:text_bytes]), body[text_bytes:])
    except FieldsError as error:
        raise QnnError(f"{name}: {error}; export the model again") from None
    check(graph)
    return graph


def _node_fields(node, arrays):
    values = {key: _plain(value, arrays) for key, value in node.to_fields().items()}
    return {"kind": node.kind} | values


def _output_fields(output):
    axes = [] if output.axes is None else [output.axes]
    return [output.name, list(output.shape), *axes]


def _plain(value, arrays):
    """What JSON can hold; an array becomes its type, shape and place in the payload."""
    if isinstance(value, QType):
        fields = {"bits": value.bits, "signed": value.signed, "exponent": value.exponent}
        # Few types have one, so that most graphs do not name it.
        return fields | ({"zero_point": value.zero_point} if value.zero_point else {})
    if isinstance(value, np.ndarray):
        # Little-endian on every machine, so that equal graphs are equal bytes.
        little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        place = sum(array.nbytes for array in arrays)
        arrays.append(little)
        return {"dtype": little.dtype.str, "shape": list(value.shape), "place": place}
    return value


def _graph(header, payload):
    wanted = {"nodes": list[dict], "outputs": list[list], "host": str | None}
    held = typed_fields(wanted, header, ("host",))
    nodes, stored = [], 0
    for number, values in enumerate(held["nodes"]):
        try:
            operator, fields = _typed_node(values)
        except FieldsError as error:
            raise error.inside(number).inside("nodes") from None
        arrays = {key: value for key, value in fields.items() if isinstance(value, StoredArray)}
        fields |= {key: _array(array, payload) for key, array in arrays.items()}
        nodes.append(operator.from_fields(fields))
        stored += sum(fields[key].nbytes for key in arrays)
        # Each byte is one array's: else a small file could ask for any amount of memory.
        if stored > len(payload):
            raise FieldsError(f"arrays of {len(payload)} bytes in all", stored)
    outputs = tuple(map(_output, held["outputs"]))
    return Graph(tuple(nodes), outputs, host_in(held.get("host"), outputs))


def _typed_node(values):
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in _BY_KIND:
        raise FieldsError(f"a kind of {', '.join(_BY_KIND)}", repr(kind)[:40])
    operator = _BY_KIND[kind]
    return operator, typed_fields(operator.file_fields, values, operator.optional_fields)


def _output(values):
    name, shape, *axes = (*values, None, None)[: max(len(values), 2)]
    axes = typed(tuple[str] if axes else tuple[()], axes)
    return Output(typed(str, name), typed(tuple[Place, ...], shape), *axes)


def _array(stored, payload):
    if stored.dtype not in _DTYPES:
        raise FieldsError(f"arrays of {', '.join(INTEGERS)}", f"'{stored.dtype[:40]}'")
    dtype, count = np.dtype(stored.dtype), prod(stored.shape)
    if stored.place + count * dtype.itemsize > len(payload):
        end = stored.place + count * dtype.itemsize
        raise FieldsError(f"arrays within {len(payload)} bytes", f"one up to {end}")
    array = np.frombuffer(payload, dtype, count, stored.place)
    return array.astype(dtype.newbyteorder("=")).reshape(stored.shape)
