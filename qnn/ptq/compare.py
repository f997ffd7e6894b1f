"""A float network and a quantized one on the same test samples, in the numbers of their task."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from qnn.frontend.capture import capture, tried
from qnn.frontend.unwrap import fixed_batch
from qnn.host.program import HostProgram
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
from qnn.tasks.seen import SEEN, as_seen
from qnn.tasks.structures import grown_axis


@dataclass(frozen=True, eq=False)
class TestSet:
    """Test samples as the float network takes them, and what is wanted of each output.

    Members
    -------
    inputs : (samples, ...) reals of each input
    labels : of each output, in the form of its task; None where there are none
    kinds : the task of each output
    form : of results that are classes, or whose images lie along another axis than the first; None:
        there are no such
    """

    __test__ = False  # pytest takes classes of such names for tests

    inputs: tuple[Tensor, ...]
    labels: tuple[np.ndarray | None, ...]
    kinds: tuple[TaskKind, ...]
    form: "ResultForm | None" = None

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
            shapes, form = _form(network, inputs)
        # Of all labels: those of the first few samples may all be zeros and ones.
        whole, learnt = (fitting(shapes, _arrays(y)) for y in (data.y_test, data.y_train))
        told = [y if y is not None else other for y, other in zip(whole, learnt, strict=True)]
        given = tuple(inputs[0].shape[1:]) if len(inputs) == 1 else None
        kinds = find_tasks(shapes, told, asked, given)
        if TaskKind.RECONSTRUCTION in kinds:
            some = TestSet(_first(inputs, SEEN), told, kinds, form).outputs(network)
            kinds = as_seen(kinds, asked, inputs[0][:SEEN].numpy(), some)
        labels = checked_labels(kinds, shapes, whole)
        checked_labels(kinds, shapes, learnt)
        chosen = tuple(y if y is None else y[which] for y in labels)
        return TestSet(inputs, chosen, kinds, form)

    def outputs(self, model: nn.Module) -> tuple[np.ndarray, ...]:
        """The outputs of a float or quantized model, (samples, ...) reals.

        Of classes there is a 1 at the one that it names.
        """
        form = self.form
        found = self._outputs(model, None if form is None else form.axes)
        found = found if form is None else form.as_scores(found)
        return tuple(each[: len(self.inputs[0])] for each in found)

    def _outputs(self, model, axes):
        batch = fixed_batch(model)
        if batch is None:
            return all_outputs(model, self.inputs, axes=axes)
        # The last samples once more, until the last batch is as large as the model needs it.
        short = -len(self.inputs[0]) % batch
        whole = tuple(torch.cat([x, x[-1:].expand(short, *x.shape[1:])]) for x in self.inputs)
        return all_outputs(model, whole, batch, axes)

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


@dataclass(frozen=True)
class ResultForm:
    """How results become what measures take, as the graph of the float network knows it.

    Members
    -------
    host : what ends the results
    shapes : of the scores of a sample
    """

    host: HostProgram
    shapes: tuple[tuple[int, ...], ...]

    @property
    def axes(self) -> tuple[int, ...]:
        """The axis of each result that the images lie along."""
        return tuple(map(self.host.batch_axis, range(len(self.shapes))))

    def as_scores(self, results: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """``results`` with the axes of their scores, (samples, ...), and classes as a 1 each."""
        return tuple(map(self._as_scores, range(len(results)), results))

    def _as_scores(self, place, values):
        shape, (end, along) = self.shapes[place], self.host.end_of(place)
        values = self.host.as_scores(place, values, shape)
        if end != "argmax":
            return values
        # The images' axis counts as one.
        classes = np.arange(shape[along - 1]).reshape(-1, *(1,) * (len(shape) - along))
        return np.moveaxis((values == classes).astype(np.float32), along, 1)

    def measured_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of a sample's ``as_scores``."""
        found = []
        for place, shape in enumerate(self.shapes):
            end, along = self.host.end_of(place)
            if end == "argmax":
                shape = (shape[along - 1], *shape[: along - 1], *shape[along:])
            found.append(shape)
        return tuple(found)


def _form(network, inputs) -> tuple[tuple[tuple[int, ...], ...], ResultForm | None]:
    """The shapes of what is measured of a sample, and how results become that."""
    found = tried(network, _first(inputs, 2))
    if all(output.is_floating_point() for output in found) and _is_led(network, inputs, found):
        return tuple(tuple(output.shape[1:]) for output in found), None
    # How many classes there are, an argmax does not tell; what it is computed of does.
    graph = capture(network, inputs)
    if graph.host is None:
        return tuple(tuple(output.shape[1:]) for output in found), None
    shapes = tuple(each.shape for each in results_of(graph.outputs, graph.host))
    form = ResultForm(graph.host, shapes)
    return form.measured_shapes(), form


def _is_led(network, inputs, found):
    """Whether the images lie along the first axis of all results."""
    if fixed_batch(network) is not None:
        return all(output.dim() and len(output) == fixed_batch(network) for output in found)
    fewer = tried(network, _first(inputs, 1))
    pairs = zip(fewer, found, strict=True)
    return all(grown_axis(few.shape, many.shape) == 0 for few, many in pairs)


def _first(inputs, count):
    return tuple(x[:count] for x in inputs)


def _arrays(labels) -> Labels:
    if isinstance(labels, tuple):
        return tuple(None if y is None else y.numpy() for y in labels)
    return None if labels is None else labels.numpy()
