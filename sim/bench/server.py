"""cocotb test that serves the accelerators' wires to a driver in another process.

The environment variable QNN_JOB names a JSON file: ``base`` and ``bytes`` of the memory,
``word_bytes`` of its words, ``cores``, ``load`` and ``dump``, the files through which its content
goes, ``listen``, the port at which to serve or 0 for any, ``port``, the file for its number, and
``stop``, the number that ends this. Requests are those of ``qnn.runtime.remote``, and those that
make no sense are refused. The clock runs for register accesses and while a driver waits, and then
nothing here does. A new client takes the place of an earlier one.
"""

import json
import os
import select
import signal
import socket
import struct
from pathlib import Path

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, First, RisingEdge, Timer

from hw.spec.registers import WINDOW_BYTES
from qnn.files import write_whole
from qnn.runtime.remote import TEXT_BYTES, Answer, Request, TooLarge, receive, send
from sim.bench.accelerator import read_job, reset
from sim.memory_files import read_words, write_words

# Of the bench's clock; its rate means nothing, cycles are what is counted.
CYCLE_NS = 2
# Between looks at whether whoever waits is still there: some seconds of the largest arrays.
SLICE_CYCLES = 10_000
MESSAGE_SECONDS = 5.0  # without a byte of a message that has begun, or of an answer taken
ORPHAN_SECONDS = 1.0  # between looks at whether our parent lives


class Refused(Exception):
    """A request that makes no sense; the text goes to the client."""


class Server:
    """Answers requests, one at a time."""

    def __init__(self, dut, registers, job: dict, listener: socket.socket):
        self._dut, self._registers, self._job = dut, registers, job
        self._listener, self.client, self.stopped = listener, None, False

    @property
    def most(self) -> int:
        """The bytes of the largest message that makes sense."""
        return max(self._job["bytes"], TEXT_BYTES)

    async def answer(self, kind: int, core: int, number: int, data: bytes) -> tuple[int, bytes]:
        """Number and bytes of the answer."""
        if core >= self._job["cores"]:
            raise Refused(f"there is no core {core}, but {self._job['cores']} from 0 on")
        match kind:
            case Request.READ:
                self._select(core, number)
                return await self._registers.read(number), b""
            case Request.WRITE:
                self._select(core, number)
                await self._registers.write(number, *struct.unpack("<I", data))
            case Request.WAIT:
                return await self._wait(core, number), b""
            case Request.PUT:
                await self._put(number, np.frombuffer(data, np.uint8))
            case Request.GET:
                return 0, (await self._get(number, *struct.unpack("<I", data))).tobytes()
            case Request.STATE:
                return 0, json.dumps(self._state()).encode()
            case Request.STOP:
                if number != self._job["stop"]:
                    raise Refused("only who started this simulation may stop it")
                self.stopped = True
            case _:
                raise Refused(f"there is no request {kind}")
        return 0, b""

    def _state(self):
        known = {name: self._job[name] for name in ("base", "bytes", "cores")}
        measured = ("cycle", "violations")
        return known | {name: getattr(self._dut, name).value.to_unsigned() for name in measured}

    def _select(self, core, address):
        if address % 4 or address >= WINDOW_BYTES:
            raise Refused(
                f"there is no register at {address:#x}, but at multiples of 4 below {WINDOW_BYTES}"
            )
        self._dut.select.value = 1 << core

    async def _wait(self, core, cycles):
        dut = self._dut
        dut.running.value = 1 << core
        await FallingEdge(dut.clk)
        left = max(cycles, 1)
        # Whoever asked may have gone, or be about to be replaced: nobody else would get an answer.
        while dut.wake.value != 1 and left and not self._left_alone():
            part = min(left, SLICE_CYCLES)
            await First(RisingEdge(dut.wake), Timer(part * CYCLE_NS, "ns"))
            left -= part
        came = int(dut.wake.value == 1)
        dut.running.value = 0
        return came

    def _left_alone(self):
        """Whether someone else waits for us, or the client has gone or does not wait."""
        return bool(select.select([self._listener, self.client], [], [], 0)[0])

    async def _put(self, offset, data):
        start, words = self._words(offset, len(data))
        content = np.zeros(words * self._job["word_bytes"], np.uint8)
        # A part of a word keeps its other bytes.
        if len(data) < len(content):
            content = await self._get(start, len(content))
        content[offset - start :][: len(data)] = data
        write_words(Path(self._job["load"]), content, self._job["word_bytes"])
        await self._move(self._dut.load, start, words)

    async def _get(self, offset, size):
        start, words = self._words(offset, size)
        await self._move(self._dut.dump, start, words)
        content = read_words(Path(self._job["dump"]), self._job["word_bytes"])
        return content[offset - start :][:size].copy()

    def _words(self, offset, size):
        """First byte and count of the words that hold ``size`` bytes."""
        width = self._job["word_bytes"]
        if not size or offset + size > self._job["bytes"]:
            raise Refused(
                f"{size} bytes at {offset} do not lie in memory, which has {self._job['bytes']}"
            )
        return offset // width * width, -(-(offset + size) // width) - offset // width

    async def _move(self, edge, start, words):
        self._dut.first.value = start // self._job["word_bytes"]
        self._dut.count.value = words
        await Timer(1, "ps")
        edge.value = 1
        await Timer(1, "ps")
        edge.value = 0
        await Timer(1, "ps")


def orphaned(parent: int) -> bool:
    """Whether the process that started us has gone."""
    # A process whose parent has gone gets another one.
    return os.getppid() != parent


async def talk(server: Server, listener: socket.socket) -> None:
    """Answer whoever is connected, until told to stop or left alone."""
    parent = os.getppid()
    while not server.stopped and not orphaned(parent):
        # One client at a time; a new one is accepted at any time and takes its place.
        waiting = [listener] if server.client is None else [listener, server.client]
        ready, _, _ = select.select(waiting, [], [], ORPHAN_SECONDS)
        if listener in ready:
            if server.client is not None:
                server.client.close()
            server.client = listener.accept()[0]
            # One that stops in the middle of a message must not keep others out.
            server.client.settimeout(MESSAGE_SECONDS)
            # Requests are small and wait for their answers.
            server.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        elif server.client in ready:
            try:
                await serve_one(server)
            except OSError:  # the client has gone, or is too slow
                server.client.close()
                server.client = None


async def serve_one(server: Server) -> None:
    """Answer one request."""
    client = server.client
    try:
        request = receive(client, server.most)
    except TooLarge as error:
        send(client, Answer.REFUSED, 0, 0, str(error).encode())
        # What follows is no head of a message.
        raise ConnectionError from None
    if request is None:
        raise ConnectionError
    kind, core, number, data = request
    try:
        value, content = await server.answer(kind, core, number, data)
    # AssertionError: the accelerator does not answer on its register bus.
    except (Refused, struct.error, AssertionError) as error:
        send(client, Answer.REFUSED, core, 0, str(error).encode())
    else:
        send(client, Answer.OK, core, value, content)


@cocotb.test()
async def serve(dut):
    # Ctrl-C in a terminal comes to all of its processes: who started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = read_job()
    registers = await reset(dut)
    with socket.create_server(("127.0.0.1", job["listen"])) as listener:
        server = Server(dut, registers, job, listener)
        write_whole(Path(job["port"]), str(listener.getsockname()[1]))
        await talk(server, listener)
