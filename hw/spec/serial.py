"""What goes over the serial line of a board that holds one network.

The host sends the INPUT region, byte by byte; the board computes and answers with a head of
``ANSWER``, the OUTPUT region and a ``SUM`` of all bytes of the exchange: those that came and those
that it sent before. So an answer to another input, or one that the line changed, is none. The next
input comes behind the answer: what comes before it is lost. A host that stops in between is
forgotten after ``PATIENCE_BITS`` bit times, so that the next byte begins a new input.
"""

import hashlib
import struct
import zlib

ANSWER = struct.Struct("<IBB2x8s")  # registers CYCLES, STATUS and ERROR, then the image's digest
SUM = struct.Struct("<I")  # CRC-32 as Ethernet and zlib have it
PATIENCE_BITS = 1 << 14  # an eighth of a second at 115,200 baud


def digest(payload: bytes) -> bytes:
    """The 8 bytes by which an answer names the IMAGE region that its board holds."""
    return hashlib.sha256(payload).digest()[:8]


def answer_bytes(output_bytes: int) -> int:
    """The length of an answer, of which the OUTPUT region is a part."""
    return ANSWER.size + output_bytes + SUM.size


def exchange_sum(data: bytes, answer: bytes) -> int:
    """What ``SUM`` is for the INPUT region ``data`` and the ``answer`` up to the sum."""
    return zlib.crc32(answer, zlib.crc32(data))
