"""A float network and a quantized one on the same test samples, in the numbers of their task."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from qnn.frontend.capture import capture, tried
from qnn.frontend.unwrap import fixed_batch
from qnn.ir.graph import results_of
from qnn.nn.data import Dataset
from qnn.nn.model import QuantizedModel
from qnn.nn.named_data import NamedDataset
from qnn.nn.preprocess import Statistic, checked_inputs
from qnn.nn.training.outputs import all_outputs
from qnn.ptq.data import drawn, reals
from qnn.tasks.kinds import TaskKind
from qnn.tasks.measures import signal_to_noise
from qnn.tasks.outputs import (
    Asked,
    Labels,
    Numbers,
    by_name,
    checked_labels,
    find_tasks,
    fitting,
    scores,
)


@dataclass(frozen=True, eq=False)
class TestSet:
    """Test samples as the float network takes them, and what is wanted of each output.

    Members
    -------
    inputs : (samples, ...) reals of each input
    labels : of each output, in the form of its task; None where there are none
    kinds : the task of each output
    shapes : of each output, of one that is classes that of the scores, (classes, ...);
        none: no output is classes
    """

    __test__ = False  # pytest takes classes of such names for tests

    inputs: tuple[Tensor, ...]
    labels: tuple[np.ndarray | None, ...]
    kinds: tuple[TaskKind, ...]
    shapes: tuple[tuple[int, ...], ...] = ()

    @staticmethod
    def of(
        network: nn.Module,
        data: Dataset | NamedDataset,
        most: int | None,
        preprocessing: tuple[Statistic | Sequence[Statistic], Statistic | Sequence[Statistic]],
        asked: Asked = None,
    ) -> "TestSet":
        """``most`` test samples of ``data``, drawn as ``drawn`` does, checked with the outputs.

        Parameters
        ----------
        preprocessing : mean and std of pixels, as ``quantize`` takes them
        asked : names of tasks; None: as labels and outputs tell

        Raises
        ------
        ModelError
            Samples, labels and outputs do not fit each other.
        """
        each = data.x_test if isinstance(data.x_test, tuple) else (data.x_test,)
        pixels = checked_inputs(*preprocessing, [x.shape[1] for x in each])
        which = slice(None) if most is None else drawn(len(each[0]), most)
        inputs = tuple(reals(x[which], known) for x, known in zip(each, pixels, strict=True))
        # Tried before any work: hours of rounding must not end in labels that fit nothing.
        with torch.no_grad():
            shapes = _score_shapes(network, _first(inputs, 2))
        # Of all labels: those of the first few samples may all be zeros and ones.
        whole, learnt = (fitting(shapes, _arrays(y)) for y in (data.y_test, data.y_train))
        told = [y if y is not None else other for y, other in zip(whole, learnt, strict=True)]
        given = tuple(inputs[0].shape[1:]) if len(inputs) == 1 else None
        kinds = find_tasks(shapes, told, asked, given)
        labels = checked_labels(kinds, shapes, whole)
        checked_labels(kinds, shapes, learnt)
        chosen = tuple(y if y is None else y[which] for y in labels)
        return TestSet(inputs, chosen, kinds, shapes)

    def outputs(self, model: nn.Module) -> tuple[np.ndarray, ...]:
        """The outputs of a float or quantized model, reals; of classes a 1 at the one it names."""
        found = self._outputs(model)
        return tuple(map(_as_scores, found, self.shapes)) if self.shapes else found

    def _outputs(self, model):
        batch = fixed_batch(model)
        if batch is None:
            return all_outputs(model, self.inputs)
        # The last samples once more, until the last batch is as large as the model needs it.
        short = -len(self.inputs[0]) % batch
        whole = tuple(torch.cat([x, x[-1:].expand(short, *x.shape[1:])]) for x in self.inputs)
        found = all_outputs(model, whole, batch)
        return tuple(each[: len(self.inputs[0])] for each in found)

    def scores(self, outputs: Sequence[np.ndarray]) -> tuple[Numbers, ...]:
        """The numbers of each output; none where nothing is known of it."""
        own = self.inputs[0].numpy() if len(self.inputs) == 1 else None
        return scores(self.kinds, outputs, self.labels, own)

    def compared(self, network: nn.Module, quantized: QuantizedModel) -> dict:
        """Fields of JSON: the task, and the numbers of both models.

        Where an output has nothing to be compared with, ``quantized`` has the signal to noise of
        its outputs against the float model's, and ``task`` is None.
        """
        names = [output.name for output in quantized.plan.given]
        wanted, got = self.outputs(network), self.outputs(quantized)
        before, after = self.scores(wanted), self.scores(got)
        after = tuple(
            found or {"snr_db": signal_to_noise(*pair)}
            for found, pair in zip(after, zip(wanted, got, strict=True), strict=True)
        )
        # Keys of their own where there is one output, as scripts look for an accuracy.
        alone = len(names) == 1
        return {
            "task": by_name(names, [k.value for k in self.kinds]) if any(before) else None,
            "test_images": len(self.inputs[0]),
            "float_accuracy": before[0].get("accuracy") if alone else None,
            "quantized_accuracy": after[0].get("accuracy") if alone else None,
            "float": by_name(names, before),
            "quantized": by_name(names, after),
        }


def _score_shapes(network, inputs) -> tuple[tuple[int, ...], ...]:
    found = tried(network, inputs)
    if all(output.is_floating_point() for output in found):
        return tuple(tuple(output.shape[1:]) for output in found)
    # How many classes there are, an argmax does not tell; what it is computed of does.
    graph, shapes = capture(network, inputs), []
    for number, result in enumerate(results_of(graph.outputs, graph.host)):
        shape, (end, along) = result.shape, graph.host.end_of(number)
        if end == "argmax":
            # The images' axis counts as one.
            shape = (shape[along - 1], *shape[: along - 1], *shape[along:])
        shapes.append(shape)
    return tuple(shapes)


def _as_scores(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if values.dtype.kind != "i":
        return values
    classes = np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
    return (values.reshape(len(values), 1, *shape[1:]) == classes).astype(np.float32)


def _first(inputs, count):
    return tuple(x[:count] for x in inputs)


def _arrays(labels) -> Labels:
    if isinstance(labels, tuple):
        return tuple(None if y is None else y.numpy() for y in labels)
    return None if labels is None else labels.numpy()
