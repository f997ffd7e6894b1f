"""Elementwise operators in a row, of which one is a function, become one function.

What a table computes costs the same whatever it is: a factor, a clamp or another function before
or behind it is free.
"""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.rewrite import Rewrite


def compose_functions(graph: FloatGraph) -> FloatGraph:
    """Let each function take in what lies before and behind it and has no other reader."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(FloatFunction):
        node = _with_operands(node, rewrite)
        _with_readers(node, rewrite)
    return rewrite.graph()


def _with_operands(node, rewrite):
    source = rewrite[node.inputs[0]]
    # Another reader would need the value between, which is then computed no more.
    while rewrite.uses(source.name) == 1 and _is_plain(source.as_function, node):
        node = replace(node, inputs=source.inputs, function=node.function.of(source.as_function))
        rewrite.exchange(node.name, node)
        rewrite.exchange(source.name)
        source = rewrite[node.inputs[0]]
    return node


def _with_readers(node, rewrite):
    while rewrite.uses(node.name) == 1 and rewrite.users(node.name):
        (reader,) = rewrite.users(node.name)
        if not _is_plain(reader.as_function, node):
            return
        node = replace(node, function=reader.as_function.of(node.function))
        rewrite.exchange(node.name, node)
        rewrite.exchange(reader.name)
        rewrite.redirect(reader.name, node.name)


def _is_plain(function, node):
    """Whether ``function`` is one, and gives ``node`` no table for each channel that has one."""
    if function is None:
        return False
    # One table serves all channels while constants agree; tables of each channel take more memory.
    return function.channels in (None, node.function.channels)
