"""Batches as a function of seed and step, so that nothing of a generator has to be kept."""

import zlib

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.quant.rounding.problem import Batch, Problem, as_batch


def generator(seed: int, purpose: str, index: int) -> torch.Generator:
    """Random numbers of one purpose at one index.

    The CPU's generator takes 32 bits of a seed, so the three are mixed down to as many.
    """
    # Not Python's hash, which is another in each process.
    mixed = zlib.crc32(f"{seed} {purpose} {index}".encode())
    return torch.Generator().manual_seed(mixed)


class ShuffledBatches:
    """Batches of a problem's data, each image once in every pass.

    Raises
    ------
    ModelError
        The problem has no data.
    """

    def __init__(self, problem: Problem, size: int, seed: int):
        if not problem.samples:
            raise ModelError(
                "rounding needs data to compare answers on, not an empty set; give some thousand "
                "samples"
            )
        self._problem, self._size, self._seed = problem, size, seed
        self._orders: dict[int, Tensor] = {}

    def __call__(self, step: int) -> Batch:
        """The batch of ``step``, prepared and on the model's device."""
        problem, places = self._problem, self.places(step)
        drawn = tuple(each[places] for each in problem.inputs)
        if problem.prepare is not None:
            # In the form of the data: a tensor, or a tuple.
            given = drawn if isinstance(problem.data, tuple) else drawn[0]
            drawn = as_batch(problem.prepare(given, generator(self._seed, "prepare", step)))
        return tuple(each.to(problem.device) for each in drawn)

    def places(self, step: int) -> Tensor:
        """Which samples are the batch of ``step``, (size,) int64."""
        count = self._problem.samples
        start, stop = step * self._size, (step + 1) * self._size
        # A batch may reach from the end of one pass into the next, or over several of a small set.
        first, last = start // count, (stop - 1) // count
        # Only the passes of this batch are kept: two at most, unless the data are fewer than a
        # batch.
        self._orders = {n: self._order(n) for n in range(first, last + 1)}
        return torch.cat(list(self._orders.values()))[start - first * count : stop - first * count]

    def _order(self, index):
        if index in self._orders:
            return self._orders[index]
        count = self._problem.samples
        return torch.randperm(count, generator=generator(self._seed, "order", index))
