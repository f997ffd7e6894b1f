"""Pass: no sum of products and no result can overflow, whatever the images."""

from qnn.compiler.compilation import Compilation
from qnn.ir.bounds import check_bounds


def prove_bounds(state: Compilation) -> Compilation:
    """Return the same state if the sums of its network fit the configuration.

    Raises
    ------
    CompileError
        A convolution could overflow; the text names it.
    """
    check_bounds(state.graph, state.config.accumulator_bits, state.config.result_bits)
    return state
