"""Runs an image on the simulators, and gives every tensor its place in the network."""

from collections.abc import Iterator, Mapping

from hw.spec.image import Image
from hw.spec.tensors import Layer
from hw.spec.verilog_files import simulation_texts
from qnn.backend.execution import Execution, TensorPart
from sim import functional as simulator
from sim import rtl
from sim.footprint import footprint
from sim.trace import cycles_by_tag, layer_cycles, layer_tensor, stray_writes

BEFORE = "(before the first layer)"  # loads that the array waits for; no layer is called so


def functional(image: Image, x, tensors: bool) -> Execution:
    """Run on the functional simulator, which has no clock.

    A program that cannot go on is the execution's failure.
    """
    # Only on request: all tensors of many images are far larger than their outputs.
    if not tensors:
        return Execution(outputs=simulator.run(image, x).outputs)
    result = simulator.trace(image, x)
    parts = tuple(_functional_parts(image, result))
    failed = {"failure": result.failure, "stopped": result.stopped}
    return Execution(outputs=result.outputs, parts=parts, **failed)


def in_rtl(
    image: Image, x, tensors: bool, built: Mapping[str, bytes] | None = None, **options
) -> Execution:
    """Run the Verilog of ``built``; for ``options`` see ``sim.rtl.execute``.

    A run that failed is the execution's failure.
    """
    if built is not None:
        # Never made anew: what is proved is what the board gets.
        options = {"verilog": simulation_texts(built), **options}
    result = rtl.execute(image, x, **options)
    failures = (f"run {n}: {run.failure}" for n, run in enumerate(result.runs) if run.failure)
    return Execution(
        outputs=result.outputs,
        parts=tuple(_rtl_parts(image, result)) if tensors else (),
        failure=next(failures, None),
        broken=result.broken,
        cycles=tuple(run.cycles for run in result.runs),
        layer_cycles=_layer_cycles(image, result),
        cycles_per_second=result.cycles_per_second,
        build_seconds=result.build_seconds,
    )


def _layer_cycles(image, result) -> dict[str, float]:
    """Cycles of each layer for one image, a mean over all runs that ended."""
    names = {layer.tag: layer.name for layer in image.layers}
    totals = {BEFORE: 0, **dict.fromkeys(names.values(), 0)}
    for run in result.runs:
        if run.outcome is not None:
            for tag, cycles in cycles_by_tag(run.trace, run.cycles).items():
                totals[names.get(tag, BEFORE)] += cycles
    images = max(len(result.outputs[0]), 1)
    return {name: cycles / images for name, cycles in totals.items()}


def _functional_parts(image, result) -> Iterator[TensorPart]:
    # The same for all inputs: which values are written is a matter of addresses.
    found = {
        layer.tag: footprint(result.writes[layer.tag], layer, image.config)
        for layer in image.layers
        if layer.tag in result.parts
    }
    by_image: dict[int, list] = {}
    for layer in image.layers:
        for each in layer.by_image:
            by_image.setdefault(each.image, []).append((layer, each))
    for index in range(len(result.outputs[0])):
        # A run computes a batch, of which a layer of its program has one image or several.
        run, of_batch = divmod(index, image.batch)
        for layer, each in by_image.get(of_batch, ()):
            # A layer that the program did not come to is one that nothing computed.
            if layer.tag in found:
                own, values = found[layer.tag], result.parts[layer.tag][run][:, each.own]
                present = own.present[:, each.own]
                problem = _problem(present, own.stray, "at the end")
                yield _part(
                    layer, index, values, row=each.rows.start, present=present, problem=problem
                )


def _rtl_parts(image, result) -> Iterator[TensorPart]:
    images = len(result.outputs[0])
    for number, run in enumerate(result.runs):
        for layer in image.layers:
            for of_batch, part in _rtl_parts_of(layer, run.trace, image.config):
                index = number * image.batch + of_batch
                if index < images:
                    yield _part(layer, index, **part)


def _rtl_parts_of(layer, trace, config):
    """What a layer wrote of each of its images, with that image's index in the batch."""
    written = layer_tensor(trace, layer, config)
    stray = stray_writes(trace, layer, config)
    when = "when the run timed out" if trace.timed_out else "at the end"
    for of_batch, own, rows in layer.by_image:
        present = written.present[:, own]
        yield (
            of_batch,
            {
                "values": written.values[:, own],
                "row": rows.start,
                "present": present,
                "cycle": written.cycle[:, own],
                "problem": _problem(present, stray, when),
                "cycles": layer_cycles(trace, layer.tag),
            },
        )


def _problem(present, stray, when):
    missing = present.size - int(present.sum())
    # Missing values first: where both happen, the stray writes are most often the missing ones.
    if missing:
        return f"{missing} of {present.size} values were not written {when}"
    return f"{stray} writes outside its tensor" if stray else None


def _part(layer: Layer, index, values, **found) -> TensorPart:
    return TensorPart(
        name=layer.name,
        op=layer.op,
        image=index,
        values=values,
        channels=layer.channels,
        **found,
    )
