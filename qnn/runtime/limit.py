"""How many cycles a run may take before it counts as hung."""

from hw.spec.image import Image
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer

# Room for a program of a few instructions, whose sum is small.
START_CYCLES = 20_000
# The sum has no overlap at all, so that a run that goes on is over long before.
MARGIN = 4  # over the sum of all instructions one after the other
INSTRUCTION_CYCLES = 200  # latency of fetch, pipeline and tokens


def cycle_limit(image: Image, latency: int) -> int:
    """Far more cycles than ``image`` needs on a memory of ``latency`` cycles."""
    cycles = sum(
        INSTRUCTION_CYCLES + latency + _work(instruction, image, latency)
        for instruction in image.program
    )
    return START_CYCLES + MARGIN * cycles


def _work(instruction: Instruction, image: Image, latency: int) -> int:
    if isinstance(instruction, Transfer):
        return instruction.rows * (instruction.run_beats(image.config) + latency)
    return instruction.cycles if isinstance(instruction, Tiles) else 0
