"""What a quantized network loses on images that nothing was fitted to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import given_of, unfinished
from qnn.nn.model import QuantizedModel
from qnn.ptq.chunks import chunks, concatenated
from qnn.ptq.sensitivity import divergence
from qnn.tasks.kinds import TaskKind
from qnn.tasks.losses import spread
from qnn.tasks.lost import Lost, lost_shares, own_error, tells, unit_of, worst_of


@dataclass(frozen=True)
class Loss(Lost):
    """What is lost against the float network.

    Members
    -------
    distance : KL divergence of answers, or the squared error over the variance, of all outputs
    """

    distance: float


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Images with the float network's answers, to compare quantized networks on.

    Members
    -------
    images : (count, ...) of each input, what the float model takes
    answers : the float network's, of each output
    kinds : what each output is for
    own_errors : the float network's squared error in the task of each output, where it is of values
    errors : of each output the float network's answers less what they should be, (count, ...); NaN
        of images of which nothing tells it; None of classes, and where nothing tells any
    guesses : whether nothing tells one of them
    """

    images: tuple[Tensor, ...]
    answers: tuple[Tensor, ...] = field(repr=False)
    kinds: tuple[TaskKind, ...]
    own_errors: tuple[float, ...]
    errors: tuple[Tensor | None, ...] = field(repr=False)
    guesses: bool = False

    @staticmethod
    @torch.no_grad()
    def of(
        graph: FloatGraph,
        images: tuple[Tensor, ...],
        kinds: Sequence[TaskKind],
        wanted: Sequence[Tensor | None] | None = None,
    ) -> "HeldOut":
        """The images with what ``graph`` gives for them.

        Parameters
        ----------
        wanted : of each output what its values should be, (count, ...), as labels tell; see
            ``qnn.ptq.labelled_values``
        """
        # Scores before a last softmax, of which KL is taken with its own.
        answers = concatenated(unfinished(graph, *part) for part in chunks([images]))
        # In the axes of the user, as answers are.
        given = given_of(graph, images)[0]
        own_errors, errors, guesses = [], [], False
        for answer, kind, should in zip(answers, kinds, wanted or [None] * len(kinds), strict=True):
            unit = spread(answer)
            gives_back = kind is TaskKind.RECONSTRUCTION and given.numel() == answer.numel()
            should = given if should is None and gives_back else should
            error = None if should is None else answer - should.reshape(answer.shape)
            known = None if error is None else float(error.double().square().nanmean())
            own_errors.append(own_error(known, unit))
            errors.append(error)
            guesses |= not kind.classifies and not tells(known, unit)
        return HeldOut(images, answers, tuple(kinds), tuple(own_errors), tuple(errors), guesses)

    @property
    def unit(self) -> str:
        """Of what is lost."""
        return unit_of(self.kinds)

    @property
    def classifies(self) -> bool:
        """Whether any output is of classes."""
        return any(kind.classifies for kind in self.kinds)

    @torch.no_grad()
    def loss(self, quantized: QuantizedModel) -> Loss:
        """What ``quantized`` loses, of pixels or reals as it takes them."""
        found = concatenated(quantized.unfinished(*part) for part in chunks([self.images]))
        each = [
            (wanted, got.reshape(wanted.shape), kind)
            for wanted, got, kind in zip(self.answers, found, self.kinds, strict=True)
        ]
        shares = [lost_shares(*one, error) for one, error in zip(each, self.errors, strict=True)]
        worst = worst_of(shares, self.kinds, self.own_errors)
        return Loss(worst.lost, worst.error, sum(float(divergence(*one)) for one in each))
