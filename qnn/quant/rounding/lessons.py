"""Batches with the teacher's answers, which are asked for once where they stay the same."""

import torch

from qnn.quant.rounding.problem import Answers, Batch, Problem
from qnn.quant.rounding.sampling import ShuffledBatches

# Memory for activations stays below that of a training step.
CHUNK = 256  # samples that the teacher answers at a time
# 256 MiB in float32.
MOST_VALUES = 1 << 26  # that are kept, of all outputs together


class Lessons:
    """What the network sees at each step, and what it should answer.

    Answers to all samples are kept if the steps come by each of them, samples are not changed
    as they are drawn, and nothing inside is compared. The same at a step in every run.

    Parameters
    ----------
    size, seed : of batches
    steps : how many will be drawn
    inner : modules whose results are compared too
    """

    def __init__(self, problem: Problem, size: int, seed: int, steps: int, inner: tuple[str, ...]):
        self._problem, self._inner = problem, inner
        self._batches = ShuffledBatches(problem, size, seed)
        # Results inside are as large as activations: far too many to keep for a whole data set.
        fixed = problem.prepare is None and not inner
        self._kept = self._ask_all() if fixed and steps * size >= problem.samples else None

    @torch.no_grad()
    def __call__(self, step: int) -> tuple[Batch, Answers]:
        """The batch of ``step``, and the teacher's answers to it, in float32."""
        x = self._batches(step)
        if self._kept is None:
            return x, self._problem.teacher(x, self._inner)
        places = self._batches.places(step)
        return x, Answers(tuple(kept[places] for kept in self._kept))

    @torch.no_grad()
    def _ask_all(self):
        """The outputs for all samples; None where they are too many."""
        parts, problem = [], self._problem
        for chunk in zip(*(each.split(CHUNK) for each in problem.inputs), strict=True):
            batch = tuple(each.to(problem.device) for each in chunk)
            parts.append(problem.teacher(batch, ()).outputs)
            count = sum(output[0].numel() for output in parts[0])
            if count * problem.samples > MOST_VALUES or len(parts[0][0]) != len(batch[0]):
                return None
        return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))
