"""The terms that one instruction computes: those in which its channels have other codes than 0."""

import numpy as np

from hw.spec.config import SvpeConfig
from qnn.compiler.segments import Group
from qnn.ir.ops import Conv


def terms_of(node: Conv, group: Group, config: SvpeConfig) -> range:
    """The terms of ``node`` that the channels of ``group`` take, at least one.

    Leading terms of zeros add nothing to a sum of zero. Trailing ones would move the sum, which
    ``moved_left`` makes up for; they stay where the epilogue cannot shift as far.
    """
    if config.pe != "shift":  # a multiplier takes the whole weight in one step
        return range(1)
    channels = list(group.channels)
    terms = len(node.codes)
    used = np.flatnonzero(node.codes[:, channels].any(axis=(1, 2, 3, 4))).tolist()
    # Of no use is the last one, if all are: a sum of nothing is the same in any term.
    first, last = (used[0], used[-1]) if used else (terms - 1, 0)
    room = config.result_bits - 1 - int(node.epilogue.left[channels].max())
    dropped = min(terms - 1 - last, max(room, 0) // config.term_shift)
    return range(min(first, terms - dropped - 1), terms - dropped)


def moved_left(node: Conv, terms: range, config: SvpeConfig) -> int:
    """Places by which a sum of ``terms`` alone is still to move before it counts as the whole."""
    return config.term_shift * (len(node.codes) - terms.stop)
