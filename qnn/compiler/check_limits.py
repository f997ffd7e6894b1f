"""Pass: codes, activations and counts are within what the configuration has."""

from hw.spec.isa.header import TAG_BITS, TOKEN_BITS
from qnn.compiler.compilation import Compilation
from qnn.errors import CompileError
from qnn.ir.ops import Conv

TAGS = 1 << TAG_BITS
MOST_OUTPUTS = (1 << TOKEN_BITS) - 1  # stored outputs of one image; each takes a token


def check_limits(state: Compilation) -> Compilation:
    """Return the same state if the configuration can hold its network.

    Raises
    ------
    CompileError
        A number is too large; the text names the tensor and the parameter of ``SvpeConfig``.
    """
    _check_widths(state.graph, state.config)
    _check_outputs(state.graph)
    return state


def check_counts(state: Compilation) -> Compilation:
    """Return the same state if instructions can count the layers of its batch.

    Raises
    ------
    CompileError
        There are more layers than tags; the text says what to change.
    """
    # A lower bound: strips take a tag each, which is known when they are chosen.
    of = [sum(node.is_computed for node in part.graph.nodes) for part in state.parts]
    needed = sum(n * part.turns for n, part in zip(of, state.parts, strict=True))
    if needed > TAGS:
        raise CompileError(
            f"{sum(of)} layers in a batch of {state.batch} need {needed} tags, but an instruction "
            f"counts {TAGS}; use a smaller batch"
        )
    return state


def _check_widths(graph, config):
    for node in graph.nodes:
        if isinstance(node, Conv):
            _check_conv(node, config)
        if node.rounded and node.type.bits > config.activation_bits:
            raise CompileError(
                f"tensor '{node.name}' needs {node.type.bits}-bit activations, but the "
                f"configuration has {config.activation_bits} (SvpeConfig.activation_bits); raise it"
            )


def _check_conv(node, config):
    if (bits := _weight_bits(node, config)) > config.weight_bits:
        raise CompileError(
            f"conv '{node.name}' needs {bits}-bit weights, but the configuration "
            f"has {config.weight_bits} (SvpeConfig.weight_bits); raise it"
        )
    if node.epilogue.table is not None:
        _check_table(node, config)


def _check_table(node, config):
    if not config.tables:
        raise CompileError(
            f"{node.kind} '{node.name}' needs a table, but the configuration has none "
            f"(SvpeConfig.table_words); give it {1 << config.table_bits} words or more"
        )
    if node.epilogue.index_bits > config.table_bits:
        raise CompileError(
            f"{node.kind} '{node.name}' needs a table with an index of {node.epilogue.index_bits} "
            f"bits, but the configuration has {config.table_bits} (SvpeConfig.table_bits); raise it"
        )


def _weight_bits(node, config):
    """The bits of the codes that hold the node's weights."""
    if config.pe == "shift":
        return node.weight_bits
    # An array that multiplies holds integers in two's complement, whose bits are those of the
    # largest.
    integers = node.integers
    extremes = int(integers.min()), int(integers.max())
    # -1 - v has as many bits as v, for negative v, and one more is the sign.
    return max(max(value, -1 - value).bit_length() + 1 for value in extremes)


def _check_outputs(graph):
    if len(graph.outputs) > MOST_OUTPUTS:
        raise CompileError(
            f"the graph has {len(graph.outputs)} outputs, but the accelerator counts "
            f"{MOST_OUTPUTS} that wait to be stored; use fewer"
        )
