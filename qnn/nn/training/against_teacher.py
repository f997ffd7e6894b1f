"""What a model loses on images held out, before and after training, against its teacher alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qnn.nn.training.task import TrainingTask
from qnn.tasks.lost import Lost, LostShares, lost_shares, own_error, worst_of


class AgainstTeacher:
    """Takes in images part by part; members of several processes add up to those of all images.

    Members
    -------
    shares : (models, 2, outputs, images) float64, ``lost`` and ``crossed`` of
        ``qnn.tasks.lost.LostShares``, of the model at the start and of the trained one
    errors : (outputs, images) float64, the teacher's squared errors, of values
    """

    def __init__(self, task: TrainingTask):
        self.task = task
        shape = len(task.heads), len(task.held_out)
        self.errors = torch.zeros(shape, dtype=torch.float64, device=task.processes.device)
        self.shares = self.errors.expand(2, 2, -1, -1).clone()
        self.tells = task.teacher is not None

    def take(
        self,
        places: Tensor,
        wanted: Sequence[Tensor | None],
        answers: Sequence[Tensor] | None,
        found: Sequence[Sequence[Tensor]],
    ) -> None:
        """Take in some images.

        Parameters
        ----------
        places : of the images among those held out
        wanted : of each output, labels or what else it should give, as ``TrainingTask.wanted``
        answers : the teacher's scores, of each output; None without a teacher
        found : the scores of both models
        """
        # Classes that a teacher chose do not say how sure it was.
        if answers is None or not all(each.is_floating_point() for each in answers):
            self.tells = False
            return
        each = zip(self.task.heads, answers, wanted, strict=True)
        for output, (head, answer, should) in enumerate(each):
            errors = None
            # Labels of probabilities are no scores.
            if should is not None and not head.kind.classifies and not self._is_ended(output):
                errors = answer.double() - should.reshape(answer.shape)
                self.errors[output, places] = errors.square().flatten(1).mean(1)
            for who, scores in enumerate(found):
                got = scores[output].reshape(answer.shape)
                shares = lost_shares(answer, got, head.kind, errors)
                self.shares[who, :, output, places] = torch.stack((shares.lost, shares.crossed))

    def _is_ended(self, output):
        host = self.task.scores.host
        return host is not None and host.end_of(output)[0] is not None

    def lost(self) -> tuple[Lost, Lost] | tuple[None, None]:
        """What the model loses at the start, and trained; None where no teacher tells."""
        if not self.tells:
            return None, None
        kinds = [head.kind for head in self.task.heads]
        own = [
            own_error(float(errors.mean()), head.loss.unit)
            for head, errors in zip(self.task.heads, self.errors, strict=True)
        ]
        before, after = (list(map(LostShares, *each)) for each in self.shares)
        return worst_of(before, kinds, own), worst_of(after, kinds, own)
