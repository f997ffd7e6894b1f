"""Random numbers as functions of (seed, step), so that a resumed run draws the same."""

from enum import IntEnum

import numpy as np
import torch


class Draw(IntEnum):
    """What is drawn; each has numbers of its own."""

    # The numbers are part of every run's bits: new draws get new ones.
    ORDER = 0
    AUGMENT = 1
    ESTIMATOR = 2
    MODULE = 3


def seed_of(seed: int, draw: Draw, *place: int) -> int:
    """A seed for one draw at one place: an epoch, a step, a process."""
    # SeedSequence mixes its words, so that neighbouring steps are unrelated; 63 bits are what torch
    # takes.
    return int(np.random.SeedSequence((seed, draw, *place)).generate_state(1, np.uint64)[0] >> 1)


def generator(seed: int, draw: Draw, *place: int) -> torch.Generator:
    """A generator on the CPU for one draw at one place."""
    return torch.Generator().manual_seed(seed_of(seed, draw, *place))
