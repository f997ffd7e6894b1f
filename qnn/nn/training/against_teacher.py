"""What a model loses on images held out, before and after training, against its teacher alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qnn.nn.training.task import TrainingTask
from qnn.tasks.kinds import TaskKind
from qnn.tasks.lost import OWN_ERROR, Lost, lost_shares, worst_of


class AgainstTeacher:
    """Takes in images part by part.

    Members
    -------
    shares : (3, outputs, images) float64, of the model at the start, of the trained one, and of
        the images in the place of a model, which say how well a teacher gives back its input;
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
        x: Tensor,
        answers: Sequence[Tensor] | None,
        found: Sequence[Sequence[Tensor]],
    ) -> None:
        """Take in some images.

        Parameters
        ----------
        places : of the images among those held out
        x : the images
        answers : the teacher's scores, of each output; None without a teacher
        found : the scores of both models
        """
        # Classes that a teacher chose do not say how sure it was.
        if answers is None or not all(each.is_floating_point() for each in answers):
            self.tells = False
            return
        for output, (head, wanted) in enumerate(zip(self.task.heads, answers, strict=True)):
            scores = [each[output] for each in found]
            if head.kind is TaskKind.RECONSTRUCTION:
                scores.append(self.task.reader.reals(x))
            for who, got in enumerate(scores):
                lost = lost_shares(wanted, got.reshape(wanted.shape), head.kind)
                self.shares[who, output, places] = lost

    def lost(self) -> tuple[Lost, Lost] | tuple[None, None]:
        """What the model loses at the start, and trained; None where no teacher tells."""
        if not self.tells:
            return None, None
        kinds = [head.kind for head in self.task.heads]
        before, after, of_inputs = self.shares
        own = [
            # Of a perfect teacher, and of what gives back no input.
            float(errors.mean()) or OWN_ERROR * head.loss.unit
            for head, errors in zip(self.task.heads, of_inputs, strict=True)
        ]
        return worst_of(list(before), kinds, own), worst_of(list(after), kinds, own)
