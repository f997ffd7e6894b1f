"""A socket behind which no simulation is, or one that answers wrongly, is one line."""

import json
import socket
import threading
from contextlib import closing, contextmanager, suppress

import numpy as np
import pytest

from qnn.errors import DeviceError
from qnn.runtime import remote
from qnn.runtime.remote import HEAD, RemoteTransport, Request, receive

STATE = {"cores": 1, "base": 0, "bytes": 8192, "cycle": 0, "violations": 0}


def answer(data=b"", kind=0, core=0, number=0, size=None):
    return HEAD.pack(kind, core, len(data) if size is None else size, number) + data


@contextmanager
def answering(*answers, state=None):
    """The port of a server that gives ``state`` and then each of ``answers``, whatever is asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def work():
        client = listener.accept()[0]
        with client:
            known = json.dumps(STATE).encode() if state is None else state
            for content in (answer(known), *answers):
                if receive(client, 1 << 20) is None:
                    return
                client.sendall(content)
            with suppress(OSError):
                client.recv(1)  # waits for the end

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    with listener:
        yield listener.getsockname()[1]
        thread.join()


def refusal(use, *answers, **options):
    """What ``use`` of a transport is refused with, without the place."""

    def refused(port):
        with closing(RemoteTransport("127.0.0.1", port)) as transport:
            use(transport)

    with answering(*answers, **options) as port, pytest.raises(DeviceError) as error:
        refused(port)
    place, _, text = str(error.value).partition(f":{port}: ")
    assert place == "rtl://127.0.0.1"
    return text


def strange(what):
    return (
        f"needs a simulation of this version of qnn, but got {what}; start one with 'qnn serve', "
        f"or correct host and port"
    )


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (b"{}", "a state of which it needs the key 'cores', not 0 others"),
        (
            b"[",
            "a state of which it needs JSON, not text with the fault 'Expecting value: line 1 "
            "column 2 (char 1)'",
        ),
        (
            json.dumps(STATE | {"cores": 0}).encode(),
            "a state of which cores needs a number from 1 to 2147483647, not 0",
        ),
    ],
)
def test_a_state_that_makes_no_sense(state, what):
    assert refusal(lambda transport: None, state=state) == strange(what)


def test_a_server_of_another_kind():
    listener = socket.create_server(("127.0.0.1", 0))

    def work():
        client = listener.accept()[0]
        with client:
            client.recv(100)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>")
            with suppress(OSError):  # the other side leaves with bytes unread
                client.recv(1)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    with listener:
        port = listener.getsockname()[1]
        with pytest.raises(DeviceError) as error:
            RemoteTransport("127.0.0.1", port)
        thread.join()
    assert str(error.value).startswith(
        f"rtl://127.0.0.1:{port}: needs a simulation of this version of qnn, but got a message of "
    )


def test_less_memory_than_was_asked_for_is_not_taken_for_all():
    text = refusal(lambda transport: transport.allocate(100).read(), answer(bytes(99)))
    assert text == strange("an answer of 99 bytes, not of 100")


def test_more_bytes_than_were_asked_for_are_not_waited_for():
    text = refusal(lambda transport: transport.allocate(100).read(), answer(size=(1 << 32) - 1))
    assert text == strange("a message of 4,294,967,295 bytes is too large: at most 65,536 fit")


def test_a_register_of_more_bits_than_it_has():
    text = refusal(lambda transport: transport.cores[0].read(0), answer(number=1 << 32))
    assert text == strange("0x100000000 for a register of 32 bits")


def test_an_answer_of_another_core_or_kind():
    for wrong in ({"core": 1}, {"kind": 9}):
        text = refusal(lambda transport: transport.cores[0].read(0), answer(**wrong))
        what = f"kind {wrong.get('kind', 0)} of core {wrong.get('core', 0)}"
        assert text == strange(f"an answer of {what} to a request of core 0")


def test_a_server_that_says_nothing(monkeypatch):
    monkeypatch.setattr(remote, "SILENT_SECONDS", 0.1)
    text = refusal(lambda transport: transport.cores[0].read(0), b"")
    assert text == "no answer within 0.1 seconds; start the simulation anew"


def test_a_server_that_leaves_in_the_middle_of_an_answer():
    listener = socket.create_server(("127.0.0.1", 0))

    def work():
        client = listener.accept()[0]
        with client:
            client.recv(100)
            client.sendall(answer(b"{", size=50))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    with listener:
        port = listener.getsockname()[1]
        with pytest.raises(DeviceError) as error:
            RemoteTransport("127.0.0.1", port)
        thread.join()
    assert str(error.value) == (
        f"rtl://127.0.0.1:{port}: the simulation has ended, or another driver has taken this one's "
        f"place; use one driver at a time"
    )


def test_a_wait_may_take_longer_than_other_answers(monkeypatch):
    monkeypatch.setattr(remote, "SILENT_SECONDS", 0.1)
    with answering(answer(number=1)) as port:
        transport = RemoteTransport("127.0.0.1", port)
        assert transport.cores[0].wait(5)
        assert transport._channel.gettimeout() is None
        transport.close()


def test_what_is_asked_is_answered():
    content = np.arange(100, dtype=np.uint8)
    with answering(answer(number=7), answer(), answer(content.tobytes())) as port:
        transport = RemoteTransport("127.0.0.1", port)
        assert transport.ask(Request.READ, 0, 4) == (7, b"")
        buffer = transport.allocate(100)
        buffer.write(content)
        np.testing.assert_array_equal(buffer.read(), content)
        transport.close()
