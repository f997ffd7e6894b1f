"""The language model in the benchmark: stories that it is rounded on, and others to test it on."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from qnn.bench import methods, shared, stories
from qnn.bench.methods import Applied, MethodRun
from qnn.bench.runs import WINDOW
from qnn.bench.table_run import TableRun
from qnn.ir.reference import Progress
from qnn.quant.rounding.sampling import generator

TESTED = slice(0, 300)  # stories
HELD_OUT = slice(300, 360)  # stories that settings are chosen on
# Stories that rounding may see, in this order; none of them is tested or chosen on.
SEEN = (slice(1000, None), slice(360, 1000))
# Rounding keeps the answers to what it has seen better than those to other stories. With copies in
# which some tokens are others, the difference is a third less, as far as one copy has told.
COPIES = 2  # of all windows, where they are augmented
REDRAWN = 0.15  # of a copy's tokens


@dataclass(frozen=True, eq=False)
class LanguageTask:
    """A trained float model and its stories."""

    model: nn.Module
    tested: list[Tensor]
    seen: list[Tensor]

    def float_scores(self) -> dict[str, float]:
        """Fields of a result that belong to the float model."""
        return {"float_perplexity": self._float_perplexity}

    @cached_property
    def _float_perplexity(self):
        # Perplexity is the exponential of the mean loss in nats.
        return math.exp(stories.loss(self.model, self.tested))

    def apply(self, run: TableRun, work: MethodRun) -> Applied:
        """Round the weights of all linear layers by the run's method."""
        most = run.how.samples // WINDOW
        with work.clock.running():
            more = self._copies(most, run.seed) if run.how.augmented else None
        return methods.apply_to_module(
            run,
            self.model,
            stories.linear_weights(self.model),
            stories.windows(self.seen, WINDOW)[:most],
            work,
            tuned=stories.gains(self.model),
            inner=stories.blocks(self.model),
            more=more,
        )

    def _copies(self, most, seed):
        """Windows with tokens of the model's own, each copy cut at other places."""
        stream, copies = torch.cat(self.seen), []
        for number in range(COPIES):
            cut = stream[WINDOW * (number + 1) // (COPIES + 1) :]
            windows = stories.windows([cut], WINDOW)[:most]
            draws = generator(seed, "stories", number)
            copies.append(stories.redrawn(self.model, windows, REDRAWN, draws))
        return torch.cat(copies)

    def scores(self, run: TableRun, applied: Applied, progress: Progress | None = None) -> dict:
        """Fields of a result that the rounded network decides, on every tested token."""
        return {
            "test_perplexity": math.exp(stories.loss(applied.network, self.tested)),
            "test_tokens": stories.predicted(self.tested),
            "codes_after": applied.codes_after,
        }


def language_task(name: str, folder: Path | None) -> LanguageTask:
    """The task of ``stories260k``, from the folder of data and weights."""
    folder = shared.needed(folder, name)
    model = stories.Stories()
    model.load_state_dict(shared.weights(folder, name))
    told = shared.stories(folder)
    seen = [story for part in SEEN for story in told[part]]
    return LanguageTask(model.eval(), told[TESTED], seen)
