"""What losses see of networks: scores, a sample's along the first axis, before what ends them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from qnn.host.program import HostProgram
from qnn.nn.model import QuantizedModel
from qnn.nn.training.student import ImageReader
from qnn.tasks.structures import grown_axis, tensors_of


@dataclass(frozen=True, eq=False)
class ScoreReader:
    """Gives the scores of the model in training and of its teacher, which are alike.

    Members
    -------
    reader : calls both
    host : what ends the results of a quantized model; None: nothing, or it is a float one
    shapes : of the scores of a sample, where there is a ``host``
    axes : of each result of a float model, the axis that the samples lie along
    """

    reader: ImageReader
    host: HostProgram | None
    shapes: tuple[tuple[int, ...], ...]
    axes: tuple[int, ...]

    @staticmethod
    def of(model: nn.Module, reader: ImageReader, call: Callable[[Tensor], Any], x: Tensor):
        """The one for ``model``, of which ``call`` gives the results for samples such as ``x``."""
        if not isinstance(model, QuantizedModel):
            return ScoreReader(reader, None, (), _axes(call, x))
        given = model.plan.given
        shapes = tuple(each.shape for each in given)
        return ScoreReader(reader, model.plan.host, shapes, (0,) * len(given))

    def __call__(self, network: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
        """The scores of samples, (samples, ...) each."""
        if self.host is not None and isinstance(network, QuantizedModel):
            return network.unfinished(x)
        return self._of_results(tensors_of(self.reader(network, x)))

    def with_results(self, network: nn.Module, x: Tensor) -> tuple[Any, tuple[Tensor, ...]]:
        """What the network gives, as it nests it, and the scores, of one run."""
        if self.host is not None and isinstance(network, QuantizedModel):
            return network.finished_and_unfinished(x)
        result = self.reader(network, x)
        return result, self._of_results(tensors_of(result))

    def _of_results(self, results: Sequence[Tensor]) -> tuple[Tensor, ...]:
        # Of other results than in evaluation the caller says what it needs.
        if len(results) != len(self.axes) or not all(isinstance(x, Tensor) for x in results):
            return tuple(results)
        if self.host is None:
            return tuple(x.movedim(n, 0) for x, n in zip(results, self.axes, strict=True))
        return tuple(self._score(place, value) for place, value in enumerate(results))

    def _score(self, place, value):
        host, shape = self.host, self.shapes[place]
        try:
            found = host.as_scores(place, value, shape, torch)
        except (RuntimeError, IndexError):  # a teacher that gives something else
            return value
        end = host.end_of(place)[0]
        if end != "softmax":
            # Classes of an argmax stay what they are; anything else is a number.
            return found if end == "argmax" else found.float()
        # Logarithms of probabilities are logits that have them, whatever the others were.
        return found.float().clamp(min=torch.finfo(torch.float32).tiny).log()


def _axes(call, x):
    """The axis of each result that grows with the samples; 0 where nothing tells."""
    shapes, fewer = (
        [tuple(y.shape) for y in tensors_of(call(part)) if isinstance(y, Tensor)]
        for part in (x, x[:1])
    )
    if len(shapes) != len(fewer):
        return (0,) * len(shapes)
    return tuple(map(grown_axis, fewer, shapes))
