"""The weights and biases of a design learn together, so that it answers as the float network does.

Layers that were rounded in order have each taken back what was lost before them. What is lost
behind them, only the whole network can tell.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from qnn.nn.model import QuantizedModel
from qnn.nn.round import Source, round_quantized
from qnn.ptq.calibrated import Calibrated
from qnn.ptq.teacher import Teacher
from qnn.quant.rounding import Batch, Progress
from qnn.quant.rounding.checkpoint import Checkpoint
from qnn.quant.rounding.latent import Latent
from qnn.tasks.kinds import TaskKind

# Chosen by images that neither the networks nor their weights had seen: of DS-CNN and VWW's
# MobileNetV1, of one term, and of a ResNet-8 that was trained on 40,000 images of CIFAR-10's
# training set, by the other 10,000.
FEW = Latent(steps=200, batch=64, rate=3e-3, tuned_rate=1e-3, temperature=2.0, inner_weight=5.0)
# Few images hold weights where results inside the network stay as they were. Of many, these results
# are not worth what they cost the answers; and more steps than these lose again.
MANY = replace(FEW, steps=600, inner_weight=0.5)
ENOUGH = 2048  # images that are many
BATCH_PIXELS = 1 << 20  # of the images of a step, at most: 64 of 128 x 128
TIMED = 3  # steps that tell how long all of them will take


class _TooLong(Exception):
    """All steps would take longer than there is time."""


@dataclass(eq=False)
class _Watch:
    """Hears of each step, and ends what would take more than so many ``seconds``."""

    seconds: float
    progress: Progress
    begun: float = field(default_factory=time.monotonic)
    first: int | None = None  # step that was heard of first; after an interruption not the first

    def __call__(self, step: int, steps: int, share: float) -> None:
        if self.first is None:
            # From its end on: before it, tables and kernels are made once.
            self.first, self.begun = step, time.monotonic()
        done, left = step - self.first, steps - step
        spent = time.monotonic() - self.begun
        if done >= TIMED and spent / done * (done + left) > self.seconds:
            raise _TooLong
        self.progress(step, steps, share)


def learn(
    quantized: QuantizedModel,
    start: Calibrated,
    images: Batch,
    kinds: Sequence[TaskKind],
    seconds: float,
    checkpoint: Checkpoint | None = None,
    progress: Progress = lambda *_: None,
) -> bool:
    """Let the weights learn on their grids, and the biases beside them, in place.

    Parameters
    ----------
    start : what ``quantized`` was built from
    images : (count, ...) of each input, what the float model takes
    kinds : what each output is for
    seconds : that it may take
    checkpoint : is gone on from if it is there, and removed in the end
    progress : told steps done, steps in all and 1

    Returns
    -------
    Whether it learnt: else there was too little time, and ``quantized`` is as it was
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    source = Source(Teacher(start.graph, [None] * len(images), device), images, kinds=tuple(kinds))
    count = len(images[0])
    # Of all inputs together, as a step keeps the tensors of all of them.
    pixels = sum(each[0].numel() // each.shape[1] for each in images)
    options = FEW if count < ENOUGH else MANY
    batch = min(options.batch, max(1, BATCH_PIXELS // pixels), count)
    try:
        round_quantized(
            quantized,
            source,
            replace(options, batch=batch),
            _Watch(seconds, progress),
            checkpoint,
            device,
            method="latent",
        )
        learnt = True
    except _TooLong:
        learnt = False
    # An interruption leaves it, as it has what was learnt so far.
    if checkpoint is not None:
        checkpoint.path.unlink(missing_ok=True)
    return learnt
