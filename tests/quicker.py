"""What makes a process that runs tests quicker, and changes nothing of what it computes."""

import functools
import gc
import sys
import typing

# Python's own 700 lets an elaboration, which makes objects by the million and frees few of them,
# spend half of its time on the search for cycles; of this many, they hold some megabytes.
OBJECTS_BETWEEN_SEARCHES = 20_000


def quicker() -> None:
    """Search less for garbage, never among what is imported, and export from torch in less time.

    A run calls it once, when all its tests are imported.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_SEARCHES)
    if "torch" in sys.modules:
        _export_quicker()


def _export_quicker():
    """Keep what torch 2.13 works out anew at each of some thousand exports.

    Where another torch has not these names, it is as slow as it is.
    """
    import torch._ops
    import torch.export.exported_program as exported

    # All composite operators that are registered: no test registers one.
    collect = getattr(exported, "_collect_all_valid_cia_ops", None)
    if collect and not hasattr(collect, "cache_info"):
        exported._collect_all_valid_cia_ops = functools.cache(collect)
    # Annotations of a function that is made 11,000 times an export: typing keeps what it made of
    # them, collections.abc does not.
    if hasattr(torch._ops, "Callable"):
        torch._ops.Callable = typing.Callable
