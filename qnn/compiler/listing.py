"""An image's program as text for people: one line per instruction, with its layer as a comment."""

from hw.spec.image import Image
from hw.spec.isa.text import line


def listing(image: Image) -> str:
    """The program in the syntax of ``hw.spec.isa.text``, which parses it.

    A comment names the layer of the instruction's tag: of a load, the one that it was planned for.
    """
    lines = []
    for instruction in image.program:
        known = instruction.engine is not None and instruction.tag < len(image.layers)
        comment = f"  # {image.layers[instruction.tag].name}" if known else ""
        lines.append(f"{line(instruction)}{comment}\n")
    return "".join(lines)
