"""What goes over the serial line of a board that holds one network.

The host sends the INPUT region, byte by byte; the board computes and answers with a head of
``ANSWER`` and the OUTPUT region. The next input comes behind the answer: what comes before it is
lost. A host that stops in between is forgotten after
``PATIENCE_BITS`` bit times, so that the next byte begins a new input.
"""

import hashlib
import struct

ANSWER = struct.Struct("<IBB2x8s")  # registers CYCLES, STATUS and ERROR, then the image's digest
PATIENCE_BITS = 1 << 14  # an eighth of a second at 115,200 baud


def digest(payload: bytes) -> bytes:
    """The 8 bytes by which an answer names the IMAGE region that its board holds."""
    return hashlib.sha256(payload).digest()[:8]
