"""A graph as text, one line a node: short for a reader, or in full, which parses.

A line is ``name: type shape = operator(operands) details``; behind the last node stand the outputs,
and lines of what the host computes of them. The short form shows arrays as ranges and leaves the
weights out, the full form has every number.
"""

from qnn.host.program import HostProgram
from qnn.ir.check import check
from qnn.ir.graph import Graph, Output, network_tensors
from qnn.ir.ops import OPERATORS, Operator
from qnn.ir.ops.operator import Head
from qnn.ir.reader import TextReader, written_name
from qnn.ir.shape import Shape

# A word may be an operator's special case, as "depthwise" is of conv.
HOST = "host "  # begins a line of what the host computes
_BY_WORD = {word: operator for operator in OPERATORS for word in operator.words}


def text(graph: Graph, *, full: bool = False) -> str:
    """One line for each node, then the outputs; in ``full``, what ``parse`` reads."""
    lines = [f"{_head(node)} = {node.body(full)}" for node in graph.nodes]
    lines.append(f"return {', '.join(map(_output, graph.outputs))}")
    if graph.host is not None:
        lines += [f"{HOST}{line}" for line in graph.host.text(full=full).split("\n")]
    return "\n".join(lines)


def parse(text: str) -> Graph:
    """The checked graph of a full text; empty lines count for nothing.

    Raises
    ------
    CompileError
        The text is not a graph's; the error names line, column and what was needed. Or the graph
        breaks a rule of ``check``.
    """
    reader, nodes = TextReader(text), {}
    while not _has_return(reader):
        node = _node(reader, nodes)
        nodes[node.name] = node
    outputs = [_read_output(reader)]
    while reader.has(","):
        outputs.append(_read_output(reader))
    reader.end_of_line()
    host = _read_host(reader, outputs)
    if reader.skip_empty_lines():
        reader.refuse("nothing behind the outputs")
    # Lines are read one by one, so rules between them are left to the check of the whole.
    graph = Graph(tuple(nodes.values()), tuple(outputs), host)
    check(graph)
    return graph


def _read_host(reader: TextReader, outputs: list[Output]) -> HostProgram | None:
    lines, start = [], reader.place
    while reader.skip_empty_lines() and reader.has(HOST):
        lines.append(reader.rest_of_line())
    try:
        return HostProgram.parse("\n".join(lines), len(network_tensors(outputs))) if lines else None
    except ValueError as error:
        reader.refuse(f"steps of the host that can be taken ({error})", start)


def _has_return(reader: TextReader) -> bool:
    if not reader.skip_empty_lines():
        # Text that ends early has lost its outputs; say so rather than guess them.
        reader.refuse("a line of a node, or 'return' and the outputs")
    return reader.has("return ")


def _node(reader: TextReader, nodes: dict[str, Operator]) -> Operator:
    def shape_of(name: str, place: int) -> Shape:
        if name not in nodes:
            reader.refuse("the name of an earlier line", place)
        return nodes[name].shape

    place = reader.place
    name = reader.name()
    if name in nodes:
        reader.refuse("a name that no earlier line has", place)
    reader.expect(":")
    head = Head(name=name, type=reader.qtype(), shape=reader.sizes(3))
    reader.expect("=")
    word = reader.one_of(tuple(_BY_WORD))
    node = _BY_WORD[word].parse(head, word, reader, shape_of)
    reader.end_of_line()
    return node


def _head(node):
    return f"{written_name(node.name)}: {node.type} {_sizes(node.shape)}"


def _output(output: Output):
    axes = "" if output.axes is None else f" axes={output.axes}"
    return f"{written_name(output.name)} {_sizes(output.shape)}{axes}"


def _read_output(reader: TextReader) -> Output:
    name, shape = reader.name(), reader.optional_sizes()
    axes = reader.output_axes() if reader.has("axes=") else None
    return Output(name, shape, axes)


def _sizes(sizes):
    return "x".join(map(str, sizes))
