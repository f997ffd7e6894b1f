"""Compiles and verifies one network, in the process that has the fault."""

import hashlib

from hw.spec.image import Image
from hw.spec.isa.header import Op
from qnn.bench.faults.seen import Seen
from qnn.bench.faults.trials import FaultTrial
from qnn.compiler.check_program import ProgramError
from qnn.design import compile
from qnn.ir.codes import Codes
from qnn.ir.serialize import from_bytes
from sim.verify import verify


def run_trial(trial: FaultTrial) -> Seen:
    """What ``verify`` says of a trial's network, and what the compiler made of it.

    A program that the compiler itself proves to be wrong is what ended the trial.
    """
    graph = from_bytes(trial.graph, "trial")
    try:
        design = compile(graph, trial.config, trial.batch)
    except ProgramError as error:
        text = f"{type(error).__name__}: {error}"
        return Seen(text, layer=error.layer, programs=programs(error.image))
    # Integers that are neither reals nor pixels say so by their type.
    x = tuple(images.view(Codes) for images in trial.images)
    report = verify(design, x if len(x) > 1 else x[0], "functional")
    # As the replay of accepted bytes has it, for which one image is enough.
    alone = design if trial.batch == 1 else compile(graph, trial.config)
    estimate = repr(alone.backend.estimate(alone.artifact))
    made = hashlib.sha256(alone.artifact.to_bytes() + estimate.encode()).hexdigest()
    return Seen(None, report.passed, report.first_layer, programs(design.artifact), made)


def programs(image: Image) -> dict[str, str]:
    """A digest of the instructions of each layer, and of what they load, by its name.

    Those of the image's inputs and outputs have where these lie in memory, too.
    """
    ports = (*image.inputs, *image.outputs)
    found = {each.name: hashlib.sha256() for each in (*ports, *image.layers)}
    for port in ports:
        found[port.name].update(repr(port).encode())
    # Tags are numbers that a plan gives; names are the user's.
    names = {layer.tag: layer.name for layer in image.layers}
    for each in image.program:
        if each.tag in names:
            found[names[each.tag]].update(repr(each).encode())
            found[names[each.tag]].update(_loaded(each, image))
    return {name: digest.hexdigest() for name, digest in found.items()}


def _loaded(instruction, image) -> bytes:
    """The weights and parameters that an instruction reads of the image."""
    if instruction.op is not Op.LOAD:
        return b""
    size = instruction.words * instruction.buffer.word_bytes(image.config)
    return image.payload[instruction.offset : instruction.offset + size]
