"""Which arithmetic computes the reference: torch's, which is fast, or NumPy's without torch."""

from types import ModuleType


def arithmetic() -> ModuleType:
    """``qnn.ir.exact``, or ``qnn.ir.exact_arrays``, which has the same functions."""
    # Whoever only verifies a build need not install torch.
    try:
        from qnn.ir import exact
    except ImportError:
        from qnn.ir import exact_arrays

        return exact_arrays
    return exact
