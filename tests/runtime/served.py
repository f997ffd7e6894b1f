"""A software board behind the protocol of ``qnn.runtime.remote``, for other processes."""

import json
import socket
import struct
import threading
from contextlib import contextmanager

import numpy as np

from qnn.runtime.remote import Answer, Request, receive, send
from tests.runtime.board import BASE, FakeBoard


def _answer(board, kind, core, number, data):
    memory = board.device_memory
    match kind:
        case Request.READ:
            return board.cores[core].read(number), b""
        case Request.WRITE:
            board.cores[core].write(number, *struct.unpack("<I", data))
        case Request.WAIT:
            return board.cores[core].wait(number), b""
        case Request.PUT:
            memory[number:][: len(data)] = np.frombuffer(data, np.uint8)
        case Request.GET:
            return 0, memory[number:][: struct.unpack("<I", data)[0]].tobytes()
        case Request.STATE:
            state = {"cores": len(board.cores), "base": BASE, "bytes": len(memory)}
            state |= {"cycle": 0, "violations": 0}
            return 0, json.dumps(state).encode()
    return 0, b""


def _serve(board, listener):
    while True:
        try:
            client = listener.accept()[0]
        except OSError:  # closed: the test is over
            return
        with client:
            while request := receive(client, len(board.device_memory)):
                value, content = _answer(board, *request)
                send(client, Answer.OK, request[1], value, content)


@contextmanager
def served(board: FakeBoard):
    """The URI of ``board``."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(board, listener), daemon=True)
    thread.start()
    try:
        yield f"rtl://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
