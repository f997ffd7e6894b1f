"""What a program does, worked out once for all inputs: addresses, weights, and their checks.

Everything but the activations is the same for every input, so that weights and epilogue numbers
are read here, and so is every mistake of a program found here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hw.spec.image import Image
from hw.spec.isa.end import End
from hw.spec.isa.header import Engine, Op
from qnn.errors import DeviceError
from sim.footprint import Write
from sim.functional_step import FunctionalStep
from sim.functional_tiles import plan_conv, plan_max_pool
from sim.functional_transfers import plan_load, plan_store
from sim.machine import Machine


@dataclass(frozen=True, eq=False)
class FunctionalPlan:
    """Every instruction that moves features, in program order.

    Members
    -------
    writes : what the instructions of each tag write
    failure : why the program cannot go on after these steps, in one line; None if it can
    stopped : the layer of the instruction that cannot run
    """

    steps: tuple[FunctionalStep, ...]
    writes: Mapping[int, Sequence[Write]]
    failure: str | None = None
    stopped: str | None = None


def make_plan(image: Image) -> FunctionalPlan:
    """The plan of ``image``, up to an instruction that cannot run.

    Such a one reads what nothing wrote, waits for a token that never comes, or leaves a buffer or
    region; the plan's failure names it.
    """
    machine = Machine(image)
    steps: list[FunctionalStep] = []
    failure = stopped = None
    try:
        _plan(machine, image, steps)
    # What runs until then is worth comparing: the mistake may be in a layer before.
    except DeviceError as error:
        failure, stopped = str(error), machine.layer
    return FunctionalPlan(tuple(steps), machine.writes, failure, stopped)


def _plan(machine, image, steps):
    last = {i.tag: n for n, i in enumerate(image.program) if i.engine is Engine.COMPUTE}
    for index, instruction in enumerate(image.program):
        machine.begin(index, instruction)
        if isinstance(instruction, End):
            break
        machine.tokens(instruction)
        step = _PLANNERS[instruction.op](machine, instruction)
        if step is not None:
            done = instruction.tag if last.get(instruction.tag) == index else None
            known = done is not None and done < len(image.layers)
            steps.append(FunctionalStep(**{**vars(step), "finishes": done if known else None}))
    # A layer that no instruction computes would look like one of zeros.
    machine.all_written([layer.tag for layer in image.layers], last)


_PLANNERS = {
    Op.LOAD: plan_load,
    Op.STORE: plan_store,
    Op.CONV: plan_conv,
    Op.MAXPOOL: plan_max_pool,
}
