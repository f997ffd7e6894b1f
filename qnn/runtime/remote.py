"""Accelerators behind a socket: registers and memory of a simulation in another process.

Each message is a head, ``HEAD``, and as many bytes as it says; the answer has the same form. A side
that gets a head which announces more bytes than fit reads none of them, and ends the connection.
"""

import enum
import socket
import struct
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from qnn.errors import DeviceError
from qnn.fields import Count, FieldsError, Place, parsed, typed
from qnn.runtime.pages import Pages

# 16 bytes, with every number at a multiple of its size.
HEAD = struct.Struct("<BBxxIQ")  # request or answer, core, bytes that follow, number
# A simulation that serves answers at once; one that still compiles has no port.
SECONDS = 10  # to connect
# For an answer, but that to WAIT: to copy an image of 100 MB takes a simulation a minute.
SILENT_SECONDS = 600
TEXT_BYTES = 1 << 16  # of an answer without content: why a request was refused, or a state


class Request(enum.IntEnum):
    """What a client asks for; number and bytes of the request, then of the answer."""

    READ = 1  # address -> value of a register
    WRITE = 2  # address, value in 4 bytes ->
    WAIT = 3  # cycles -> 1 if an interrupt came, else 0
    PUT = 4  # offset in memory, content ->
    GET = 5  # offset in memory, size in 4 bytes -> content
    STATE = 6  # -> JSON: cores, base and bytes of the memory, cycle, violations of the protocol
    STOP = 7  # the number that the one who started the simulation gave it -> it ends


class Answer(enum.IntEnum):
    """Whether a request was carried out."""

    OK = 0
    REFUSED = 1  # and the text why


class TooLarge(Exception):
    """A head that announces more bytes than its reader takes."""


@dataclass(frozen=True)
class ServerState:
    """What a simulation says of itself.

    Members
    -------
    cores : accelerators
    base, bytes : first address, and size, of the memory that they share
    cycle : of the simulated clock
    violations : of the AXI4 protocol, so far
    """

    cores: Count
    base: int
    bytes: Place
    cycle: int
    violations: int


def send(channel: socket.socket, kind: int, core: int, number: int, data: bytes = b"") -> None:
    """Send one message: its kind, core, number and bytes."""
    channel.sendall(HEAD.pack(kind, core, len(data), number) + data)


def receive(channel: socket.socket, most: int) -> tuple[int, int, int, bytes] | None:
    """Kind, core, number and bytes of the next message; None where the other side has left.

    Raises
    ------
    TooLarge
        It has more than ``most`` bytes.
    """
    head = _exactly(channel, HEAD.size)
    if head is None:
        return None
    kind, core, size, number = HEAD.unpack(head)
    if size > most:
        raise TooLarge(f"a message of {size:,} bytes is too large: at most {most:,} fit")
    data = _exactly(channel, size)
    return None if data is None else (kind, core, number, data)


def _exactly(channel, size):
    data = bytearray()
    while len(data) < size:
        # A stream has no messages: it gives what has come, in any pieces.
        part = channel.recv(min(size - len(data), 1 << 20))
        if not part:
            return None
        data += part
    return bytes(data)


class RemoteTransport:
    """The ``Transport`` of a simulation that serves at ``host`` and ``port``.

    Its clock stands still but for register accesses and ``wait``.
    """

    hertz = None  # a simulated clock has no frequency

    def __init__(self, host: str, port: int):
        self.name = f"rtl://{host}:{port}"
        try:
            self._channel = socket.create_connection((host, port), SECONDS)
        except OSError as error:
            raise DeviceError(
                f"{self.name}: no simulation answers there ({error.strerror or error}); start one, "
                f"or correct host and port"
            ) from None
        # A machine that vanished is noticed, also during a long wait.
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Messages are small and each is waited for: collecting them would cost 40 ms each.
        self._channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            state = self.state()
        except DeviceError:
            self._channel.close()
            raise
        self.cores = [RemoteCore(self, number) for number in range(state.cores)]
        self._base = state.base
        self._pages = Pages(self.name, state.bytes, "start a simulation with more memory")

    def ask(
        self, kind: Request, core: int, number: int = 0, data: bytes = b"", wanted: int = 0
    ) -> tuple[int, bytes]:
        """Number and bytes of the answer, which are ``wanted``, or any text for STATE.

        Raises
        ------
        DeviceError
            The simulation refused, has ended, or answers as none does.
        """
        # A simulated run may take hours.
        self._channel.settimeout(None if kind == Request.WAIT else SILENT_SECONDS)
        try:
            send(self._channel, kind, core, number, data)
            answer = receive(self._channel, max(wanted, TEXT_BYTES))
        except TimeoutError:
            # What may come later would be taken for the answer to another request.
            self._channel.close()
            raise DeviceError(
                f"{self.name}: no answer within {SILENT_SECONDS} seconds; start the simulation anew"
            ) from None
        except OSError:
            answer = None
        except TooLarge as error:
            self._strange(str(error))
        if answer is None:
            raise DeviceError(
                f"{self.name}: the simulation has ended, or another driver has taken this one's "
                f"place; use one driver at a time"
            )
        how, of, value, content = answer
        if how == Answer.REFUSED:
            raise DeviceError(f"{self.name}: {content.decode(errors='replace')}")
        if how != Answer.OK or of != core:
            self._strange(f"an answer of kind {how} of core {of} to a request of core {core}")
        if kind == Request.READ and value >> 32:
            self._strange(f"{value:#x} for a register of 32 bits")
        if kind != Request.STATE and len(content) != wanted:
            self._strange(f"an answer of {len(content):,} bytes, not of {wanted:,}")
        return value, content

    def state(self) -> ServerState:
        """What the simulation says of itself."""
        try:
            return typed(ServerState, parsed(self.ask(Request.STATE, 0)[1]))
        except FieldsError as error:
            self._strange(f"a state of which {error}")

    def _strange(self, what) -> NoReturn:
        self._channel.close()
        raise DeviceError(
            f"{self.name}: needs a simulation of this version of qnn, but got {what}; start one "
            f"with 'qnn serve', or correct host and port"
        )

    def allocate(self, size: int) -> "RemoteBuffer":
        """See ``Transport``."""
        return RemoteBuffer(self, self._base, self._pages.take(size), size)

    def free(self) -> None:
        """See ``Transport``."""
        self._pages.clear()

    def close(self) -> None:
        """Close the connection; the simulation waits for another client."""
        self._channel.close()


class RemoteCore:
    """One accelerator of a simulation that runs elsewhere; see ``Core``."""

    def __init__(self, transport: RemoteTransport, number: int):
        self._transport, self._number = transport, number

    def read(self, address: int) -> int:
        """See ``Core``."""
        return self._transport.ask(Request.READ, self._number, address)[0]

    def write(self, address: int, value: int) -> None:
        """See ``Core``."""
        self._transport.ask(Request.WRITE, self._number, address, struct.pack("<I", value))

    def wait(self, cycles: int) -> bool:
        """See ``Core``."""
        return bool(self._transport.ask(Request.WAIT, self._number, cycles)[0])


class RemoteBuffer:
    """A part of the simulated memory, with no cache between; see ``Buffer``."""

    def __init__(self, transport: RemoteTransport, base: int, offset: int, size: int):
        self._transport, self._offset = transport, offset
        self.address, self.size = base + offset, size

    def write(self, data: np.ndarray) -> None:
        """See ``Buffer``."""
        self._transport.ask(Request.PUT, 0, self._offset, data.tobytes())

    def read(self) -> np.ndarray:
        """See ``Buffer``."""
        size = struct.pack("<I", self.size)
        _, content = self._transport.ask(Request.GET, 0, self._offset, size, wanted=self.size)
        return np.frombuffer(content, np.uint8)

    def flush(self) -> None:
        """Return at once, as there is no cache."""

    def invalidate(self) -> None:
        """Return at once, as there is no cache."""
