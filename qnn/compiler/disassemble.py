"""The instructions of an image, decoded from its bytes."""

from hw.spec.image import Image, ImageError
from hw.spec.isa.encoding import LAYOUTS
from hw.spec.isa.fields import Layout
from hw.spec.isa.header import HEADER, INSTRUCTION_BYTES, Op

_HEADER = Layout("HEADER", HEADER)


def instructions(image: Image) -> list[dict[str, int]]:
    """The fields of every instruction, in program order.

    Raises
    ------
    ImageError
        An operation code that does not exist, or bytes after the last instruction.
    """
    if image.program_bytes % INSTRUCTION_BYTES:
        raise ImageError(f"image: a program of {image.program_bytes} bytes; compile it again")
    decoded = []
    for number in range(image.program_bytes // INSTRUCTION_BYTES):
        start = number * INSTRUCTION_BYTES
        word = int.from_bytes(image.payload[start : start + INSTRUCTION_BYTES], "little")
        code = _HEADER.decode(word)["op"]
        if code not in list(Op):
            raise ImageError(
                f"image: instruction {number} has operation code {code}, which does not exist; "
                f"compile it again"
            )
        decoded.append({**LAYOUTS[Op(code)].decode(word), "op": Op(code)})
    return decoded
