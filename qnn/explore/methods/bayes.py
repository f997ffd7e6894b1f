"""Bayesian optimisation by noisy expected hypervolume improvement, over designs that exist.

A Gaussian process for each metric learns what its prediction leaves out: of accuracy, what layers
take back from each other; of cycles, how busy an array is. So the cheap fidelity is the mean of the
dear one. Cells are known exactly. The acquisition is taken at discrete designs, random ones and
neighbours of the front, and never at a point between that would have to be rounded.

Source: Daulton et al., "Parallel Bayesian Optimization of Multiple Noisy Objectives with Expected
Hypervolume Improvement", arXiv:2105.08195; its logarithm: Ament et al., arXiv:2310.20708.
"""

import warnings
from itertools import islice

from qnn.explore.methods import greedy
from qnn.explore.space import Vector
from qnn.explore.state import SearchState

FIRST = 8  # designs before a model is fitted: half by the greedy order, half at random
DRAWN = 96  # random candidates; as many again at most are neighbours of the front
ROUNDS = 2  # of looking for the best candidates, the second among neighbours of those found


def propose(state: SearchState, count: int) -> list[Vector]:
    """Up to ``count`` designs that together should add most to the volume of the front."""
    random = state.random()
    if len(state.usable) < FIRST:
        mixed = [*greedy.propose(state, count // 2), *state.drawn(random, count)]
        return state.new(mixed, count)
    # Here, as command lines are read by methods' names alone.
    import torch

    with warnings.catch_warnings(), torch.random.fork_rng(devices=()):
        # Of libraries: of types that they deprecate, and of inputs that are not scaled by them.
        warnings.simplefilter("ignore")
        from qnn.explore.methods.acquisition import Acquisition

        # By the common generator botorch fits anew what did not converge, and leaves out designs
        # that add nothing: what else has drawn from it must change no proposal.
        torch.manual_seed(random.randrange(1 << 31))
        acquisition = Acquisition(state, random.randrange(1 << 31))
        found: list[Vector] = []
        near = [other for vector in state.front() for other in state.space.neighbours(vector)]
        random.shuffle(near)
        for _ in range(ROUNDS):
            candidates = [*found, *near[:DRAWN], *state.drawn(random, DRAWN)]
            pool = state.new(candidates, len(candidates))
            if not pool:
                return []
            found = acquisition.best(pool, count)
            near = list(islice(_around(state, found), DRAWN))
    return found


def _around(state, vectors):
    for vector in vectors:
        yield from state.space.neighbours(vector)
