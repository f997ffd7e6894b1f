"""Executes an image, instruction by instruction, for many inputs at once.

Instructions run in program order, which is a serial order that the hardware's tokens enforce. The
sums are BLAS products in float32 where the weights prove every sum below 2**24 and in float64
(below 2**53, for any weights) elsewhere, so that they are exact; the rest is in int64. Sums are
cut to the accumulator's bits, and what the epilogue makes of them to its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hw.spec.image import Image
from hw.spec.isa.buffers import Region
from hw.spec.isa.header import Op
from qnn.errors import DeviceError
from qnn.runtime.device import Run
from qnn.runtime.given import Given, image_count, images_of
from qnn.runtime.tensors import from_words, pack_inputs, unpack_outputs
from sim.footprint import Write
from sim.functional_plan import FunctionalPlan, make_plan
from sim.functional_step import FunctionalStep

SLAB = 16  # runs at a time: their feature buffers stay in the cache


@dataclass(frozen=True, eq=False)
class FunctionalRuns:
    """The integers that the runs computed.

    Members
    -------
    outputs : (images, channels, height, width) integers of each output
    tensors : the same of every layer, by name
    parts : (runs, channels, height, width) integers of what each tag computed
    """

    outputs: tuple[np.ndarray, ...]
    tensors: dict[str, np.ndarray]
    parts: dict[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class FunctionalTrace:
    """What the runs of a program computed, which may be one that cannot end.

    Members
    -------
    outputs : as of ``FunctionalRuns``
    parts : those of the tags whose instructions all ran
    writes : what the instructions of each tag write
    failure : why the program did not go on, in one line; None if it ended
    stopped : the layer of the instruction that could not run
    """

    outputs: tuple[np.ndarray, ...]
    parts: dict[int, np.ndarray]
    writes: Mapping[int, Sequence[Write]]
    failure: str | None
    stopped: str | None


class FunctionalDevice:
    """The functional simulator as a device."""

    def run(self, image: Image, inputs: np.ndarray) -> Run:
        """Run ``image`` once for each row of ``inputs``; it counts no cycles."""
        plan = _whole_plan(image)
        parts = [
            _execute(image, plan, inputs[start : start + SLAB], None)
            for start in range(0, len(inputs), SLAB)
        ]
        return Run(np.concatenate(parts))


def run(image: Image, x: Given) -> FunctionalRuns:
    """Every output and every layer's tensor for ``x``.

    Parameters
    ----------
    x : (images, channels, height, width) integers of the input's type; a tuple of such arrays where
        there are several inputs

    Raises
    ------
    DeviceError
        The program reads what nothing wrote, waits for a token that never comes, or leaves a
        buffer; the text names the instruction.
    """
    parts = [result for _, result in stream(image, x)]
    return FunctionalRuns(
        tuple(np.concatenate(outputs) for outputs in zip(*(p.outputs for p in parts), strict=True)),
        {name: np.concatenate([p.tensors[name] for p in parts]) for name in parts[0].tensors},
        {tag: np.concatenate([p.parts[tag] for p in parts]) for tag in parts[0].parts},
    )


def stream(image: Image, x: Given) -> Iterator[tuple[int, FunctionalRuns]]:
    """What ``run`` gives, some images at a time, each with its first image's index."""
    plan = _whole_plan(image)
    size, count = SLAB * image.batch, image_count(x)
    for start in range(0, count, size):
        part = images_of(x, slice(start, start + size))
        inputs, images = pack_inputs(image, part), image_count(part)
        recorded: dict[int, np.ndarray] = {}
        data = _execute(image, plan, inputs, recorded)
        tensors = _by_name(image, recorded, images)
        yield start, FunctionalRuns(unpack_outputs(image, data, images), tensors, recorded)


def trace(image: Image, x: Given) -> FunctionalTrace:
    """What the runs on ``x`` compute, as ``run`` takes it, up to what an instruction cannot do."""
    plan, inputs, found = make_plan(image), pack_inputs(image, x), []
    memory = []
    for start in range(0, len(inputs), SLAB):
        found.append({})
        memory.append(_execute(image, plan, inputs[start : start + SLAB], found[-1]))
    parts = {tag: np.concatenate([each[tag] for each in found]) for tag in found[0]}
    outputs = unpack_outputs(image, np.concatenate(memory), image_count(x))
    return FunctionalTrace(outputs, parts, plan.writes, plan.failure, plan.stopped)


def _whole_plan(image):
    plan = make_plan(image)
    if plan.failure:
        raise DeviceError(plan.failure)
    return plan


def _by_name(image, recorded, count):
    """Tensors of (images, channels, height, width), the runs' batches one after the other."""
    tensors: dict[str, np.ndarray] = {}
    for layer in image.layers:
        if layer.name not in tensors:
            parts = [each for each in image.layers if each.name == layer.name]
            channels = 1 + max(max(each.channels) for each in parts)
            height = max(rows.stop for each in parts for _, _, rows in each.by_image)
            part = recorded[layer.tag]
            shape = (len(part), image.batch, channels, height, layer.output.width)
            tensors[layer.name] = np.zeros(shape, part.dtype)
        # Strips that compute a row twice give the same values: whichever comes last may stay.
        for of_batch, own, rows in layer.by_image:
            place = slice(None), of_batch, list(layer.channels), rows
            tensors[layer.name][place] = recorded[layer.tag][:, :, own]
    return {name: t.reshape(-1, *t.shape[2:])[:count] for name, t in tensors.items()}


def _execute(image: Image, plan: FunctionalPlan, inputs: np.ndarray, recorded) -> np.ndarray:
    """Run the plan on ``inputs``; returns the OUTPUT region and fills ``recorded`` by tag."""
    config = image.config
    features = np.zeros((len(inputs), config.feature_words + 1, config.lanes), np.int16)
    memory = {
        Region.INPUT: inputs,
        Region.OUTPUT: np.zeros((len(inputs), image.output_bytes), np.uint8),
        Region.SCRATCH: np.zeros((len(inputs), image.scratch_bytes), np.uint8),
    }
    for step in plan.steps:
        _EXECUTE[step.op](step, features, memory)
        if recorded is not None and step.finishes is not None:
            layout = image.layers[step.finishes].output
            words = features[:, layout.address : layout.address + layout.words(config.lanes)]
            recorded[step.finishes] = from_words(words, layout, config.activation_bits)
    return memory[Region.OUTPUT]


def _load(step: FunctionalStep, features, memory):
    raw = memory[step.region][:, step.bytes]
    features[:, step.words] = step.unpack(raw)


def _store(step: FunctionalStep, features, memory):
    memory[step.region][:, step.bytes] = step.pack(features[:, step.words])


def _max_pool(step: FunctionalStep, features, memory):
    features[:, -1] = step.pad_value
    best = features[:, step.reads[:, 0]]
    for number in range(1, step.reads.shape[1]):
        np.maximum(best, features[:, step.reads[:, number]], out=best)
    features[:, step.words] = best


def _conv(step: FunctionalStep, features, memory):
    features[:, -1] = step.pad_value
    pixels, taps = step.reads.shape
    # Gathered once for all runs: then a layer is one matrix product.
    operands = features[:, step.reads.reshape(-1)].astype(step.weights.dtype)
    operands = operands.reshape(len(features) * pixels, taps * features.shape[2])
    sums = (operands @ step.weights).astype(np.int64).reshape(len(features), pixels, -1)
    # Cut before the shift, as the array's accumulator is narrower than the epilogue's sums.
    sums, added = step.cut_sum(sums), 0
    if step.skips is not None:
        skip = features[:, step.skips][:, :, step.skip_lanes].astype(np.int64)
        if step.offsets is None:
            added = skip << step.skip_left
        else:
            sums = (step.factor(sums) + step.offsets[0]) * (skip + step.offsets[1])
    value = step.cut((sums << step.left) + step.bias + added)
    lanes = step.output_lanes
    if step.words.ndim == 1:
        features[:, step.words, lanes] = _rounded(step, value)
        return
    # An unrounded result leaves slice by slice, each into a word of its own.
    for number, words in enumerate(step.words):
        features[:, words, lanes] = step.slice(value, number)


def _rounded(step, value):
    """The clamped results, or the entries of the rows' tables that they are the indices of."""
    clamped = np.clip(value >> step.right, step.low, step.high)
    if step.table is None:
        return clamped
    # Python's negative places count from the end, where the entries of negative indices are.
    return step.table[clamped, np.arange(step.table.shape[1])]


_EXECUTE = {Op.LOAD: _load, Op.STORE: _store, Op.MAXPOOL: _max_pool, Op.CONV: _conv}
