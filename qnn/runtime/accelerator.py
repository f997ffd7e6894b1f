"""A network on a device, as users of FINN's drivers know it: execute, measure, validate."""

import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from hw.spec.image import Image
from qnn.errors import DeviceError, ModelError
from qnn.runtime.driver import Driver, Spent
from qnn.runtime.given import Given, image_count, images_of
from qnn.runtime.handshake import COUNTERS, Outcome
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from qnn.runtime.transport import Transport
from qnn.runtime.values import (
    as_results,
    decode,
    encode,
    example,
    score_shapes,
    scores_of,
)
from qnn.tasks.kinds import TaskKind, find_task, labels_for
from qnn.tasks.measures import measures, tally

MEGA = 1e-6


class Accelerator:
    """The network ``image`` on the device behind ``transport``.

    Parameters
    ----------
    limit : int, optional
        Cycles after which a run counts as hung.
    """

    def __init__(self, image: Image, transport: Transport, limit: int | None = None):
        self.image, self.driver = image, Driver(transport, limit)
        self._pack_seconds = self._unpack_seconds = 0.0

    def execute(self, images: Given) -> tuple[np.ndarray, ...]:
        """The integers of each output, (images, *shape in the user's model), before the host's.

        Where the user's model gives names, so does this: ``execute(images)["out"]``.

        Parameters
        ----------
        images : see ``qnn.runtime.values.encode``: (N, height, width, channels) uint8, usually; a
            tuple with one array for each input where there are several

        Raises
        ------
        DeviceError
            The images are of another shape or kind, or the device refused or failed.
        """
        parts, count = [tensors for tensors, _ in self._runs(images)], image_count(images)
        blocks = tuple(np.concatenate(tensors)[:count] for tensors in zip(*parts, strict=True))
        return as_results(self.image, blocks)

    def reals(self, images: Given) -> tuple[np.ndarray, ...]:
        """What the quantized model gives for ``images``: float64, or classes of an argmax."""
        return decode(self.image, self.execute(images))

    def throughput_test(self, batch_size: int = 100) -> dict[str, float | None]:
        """Measure ``batch_size`` random images; names are those of FINN's drivers, if it has one.

        Times are the host's, in ms, and overlap the accelerators' work, whose clock is
        ``fclk[mhz]``, if it is known. Cycles are the accelerators' own: the mean of all runs, an
        image.

        Raises
        ------
        DeviceError
            There is no image to measure, or as for ``execute``.
        """
        _check_batch("throughput_test", batch_size)
        images = example(self.image, batch_size)
        # Before the clock starts: an image is put in memory once, whatever is run on it.
        self.driver.load(self.image)
        self._pack_seconds = self._unpack_seconds = 0.0
        self.driver.spent = spent = Spent()
        started = time.perf_counter()
        outcomes = [outcome for _, outcome in self._runs(images)]
        seconds = time.perf_counter() - started
        runs, batch = len(outcomes), self.image.batch
        cycles = sum(outcome.cycles for outcome in outcomes) / runs / batch
        hertz, cores = self.driver.transport.hertz, len(self.driver.transport.cores)
        return {
            "runtime[ms]": 1e3 * seconds,
            "throughput[images/s]": batch_size / seconds,
            "DRAM_in_bandwidth[MB/s]": MEGA * runs * self.image.input_bytes / seconds,
            "DRAM_out_bandwidth[MB/s]": MEGA * runs * self.image.output_bytes / seconds,
            # None where nobody knows the clock, as in a simulation: a made-up one would be taken
            # for measured.
            "fclk[mhz]": hertz and MEGA * hertz,
            "batch_size": batch_size,
            "pack_input[ms]": 1e3 * self._pack_seconds,
            "copy_input_data_to_device[ms]": 1e3 * spent.copy_in,
            "execute[ms]": 1e3 * spent.execute,
            "copy_output_data_from_device[ms]": 1e3 * spent.copy_out,
            "unpack_output[ms]": 1e3 * self._unpack_seconds,
            "cores": cores,
            "images_per_run": batch,
            "cycles_per_image": cycles,
            "throughput_of_cores_alone[images/s]": hertz and cores * hertz / cycles,
        } | {
            f"{name}_cycles_per_image": sum(o.counters[name] for o in outcomes) / runs / batch
            for name in (counter.name.lower() for counter in COUNTERS)
        }

    def validate(
        self,
        images: Given,
        labels: np.ndarray | Mapping[str, np.ndarray],
        batch_size: int = 100,
        report: Callable[[str], None] = print,
    ) -> float | dict[str, float]:
        """Percent of ``images`` whose greatest output is that of the label, or whose logit is.

        Parameters
        ----------
        labels : of each image; where the user's model gives several results, a dictionary with
            those of some, by their names, and the percents are one, too

        Raises
        ------
        DeviceError
            A result is no classes, labels do not fit it, or as for ``execute``.
        """
        _check_batch("validate", batch_size)
        shapes, count = score_shapes(self.image), image_count(images)
        given = dict(labels) if isinstance(labels, Mapping) else _of_the_only(shapes, labels)
        tasks = {name: _task(shapes, name, np.asarray(each), count) for name, each in given.items()}
        sums = dict.fromkeys(tasks, 0.0)
        batches = -(-count // batch_size)
        for number in range(batches):
            part = slice(number * batch_size, (number + 1) * batch_size)
            scores = scores_of(self.image, self.execute(images_of(images, part)))
            found = dict(zip(shapes, scores, strict=True))
            for name, (kind, wanted) in tasks.items():
                sums[name] = sums[name] + tally(kind, found[name], wanted[part])
                right, done = int(sums[name][0]), int(sums[name][1])
                of = f"{name} " if len(shapes) > 1 else ""
                report(f"batch {number + 1} / {batches} : {of}total OK {right} NOK {done - right}")
        accuracy = {name: measures(tasks[name][0], sums[name])["accuracy"] for name in tasks}
        for name, each in accuracy.items():
            report(f"Final accuracy{f' of {name}' if len(shapes) > 1 else ''}: {each:f}")
        return accuracy if isinstance(labels, Mapping) else accuracy[next(iter(shapes))]

    def close(self) -> None:
        """Let go of the device."""
        self.driver.close()

    def _runs(self, images) -> Iterator[tuple[tuple[np.ndarray, ...], Outcome]]:
        """Outputs of each run's images, and what the accelerator said of it."""
        x = encode(self.image, images)
        for run in self.driver.stream(self.image, self._packed(x)):
            started = time.perf_counter()
            tensors = unpack_outputs(self.image, run.output[None], self.image.batch)
            self._unpack_seconds += time.perf_counter() - started
            yield tensors, run.outcome

    def _packed(self, x) -> Iterator[np.ndarray]:
        batch = self.image.batch
        for start in range(0, image_count(x), batch):
            started = time.perf_counter()
            data = pack_inputs(self.image, images_of(x, slice(start, start + batch)))[0]
            self._pack_seconds += time.perf_counter() - started
            yield data


def _of_the_only(shapes, labels):
    """Labels of the only result, by its name."""
    if len(shapes) > 1:
        raise DeviceError(
            f"validate needs a dictionary of labels by the names of results, which are "
            f"{', '.join(shapes)}, not one array; say which result they are for"
        )
    return {next(iter(shapes)): labels}


def _task(shapes, name, labels, count) -> tuple[TaskKind, np.ndarray]:
    """What a result is for, and the labels of ``count`` images in that form."""
    # First, as labels mean nothing where they have no result.
    if name not in shapes:
        raise DeviceError(
            f"validate needs labels of results, which are {', '.join(shapes)}, not of '{name}'; "
            f"correct the name"
        )
    if labels.shape[:1] != (count,):
        got = len(labels) if labels.ndim else "a single number"
        raise DeviceError(
            f"validate needs a label for each of {count} images, not {got}; pair them"
        )
    if not count:
        raise DeviceError("validate needs at least one image; give some")
    try:
        kind = find_task(shapes[name], labels)
        known = labels_for(kind, shapes[name], labels, "validate needs")
    except ModelError as error:
        raise DeviceError(str(error)) from None
    if not kind.classifies:
        raise DeviceError(
            f"validate needs one output of classes, not one of shape {shapes[name]} for the task "
            f"'{kind.value}'; use execute"
        )
    return kind, known


def _check_batch(who, size):
    if size < 1:
        raise DeviceError(f"{who} needs a batch_size of at least 1, not {size}; leave it out")
