"""What a model loses on images held out, before and after training, against its teacher alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qnn.nn.training.task import TrainingTask
from qnn.tasks.lost import Lost, lost_shares, own_error, worst_of


class AgainstTeacher:
    """Takes in images part by part.

    Members
    -------
    shares : (3, outputs, images) float64, of the model at the start, of the trained one, and of
        what is wanted in the place of a model, which says how far a teacher's values are from it;
        sums over several processes are those of all images
    """

    def __init__(self, task: TrainingTask):
        self.task = task
        shape = 3, len(task.heads), len(task.held_out)
        self.shares = torch.zeros(shape, dtype=torch.float64, device=task.processes.device)
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
            scores = [scores[output] for scores in found]
            # Labels of probabilities are no scores.
            if should is not None and not head.kind.classifies and not self._is_ended(output):
                scores.append(should)
            for who, got in enumerate(scores):
                lost = lost_shares(answer, got.reshape(answer.shape), head.kind)
                self.shares[who, output, places] = lost

    def _is_ended(self, output):
        host = self.task.scores.host
        return host is not None and host.end_of(output)[0] is not None

    def lost(self) -> tuple[Lost, Lost] | tuple[None, None]:
        """What the model loses at the start, and trained; None where no teacher tells."""
        if not self.tells:
            return None, None
        kinds = [head.kind for head in self.task.heads]
        before, after, of_wanted = self.shares
        own = [
            own_error(float(errors.mean()), head.loss.unit)
            for head, errors in zip(self.task.heads, of_wanted, strict=True)
        ]
        return worst_of(list(before), kinds, own), worst_of(list(after), kinds, own)
