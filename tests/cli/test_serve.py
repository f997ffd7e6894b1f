"""``qnn serve``: what drivers, strangers, Ctrl-C and a second network meet."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest

from hw.spec.axi import PAGE_BYTES
from hw.spec.config import named_config
from qnn.cli import serve
from qnn.design import Design, compile
from qnn.errors import DeviceError
from qnn.ir import serialize
from qnn.ir.encode import encode_input
from qnn.ir.graph import Graph, Output
from qnn.ir.reference import reference
from qnn.runtime.accelerator import Accelerator
from qnn.runtime.devices import open_transport
from qnn.runtime.driver import memory_bytes
from qnn.runtime.remote import HEAD, Request
from tests.compiler import small_graphs
from tests.runtime.test_folder import DESIGN, GRAPH, IMAGES


def second_network():
    """Another network for the same inputs: 3 x 6 x 5 to 4 numbers."""
    (x,) = GRAPH.inputs
    last = small_graphs.last(x, 4)
    return Graph((x, last), (Output("last", (4,)),))


def expected(graph, images):
    tensors = reference(graph, encode_input(graph, np.moveaxis(images, 3, 1)))
    return tensors["last"].reshape(len(images), -1)


@contextmanager
def serving(build, *arguments):
    """A process of ``qnn serve BUILD``, and the line that it prints when it is ready."""
    command = [sys.executable, "-m", "qnn.cli", "serve", str(build), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, start_new_session=True) as process:
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return DESIGN.write(tmp_path_factory.mktemp("serve") / "build")


@pytest.fixture(scope="module")
def uri(built):
    with serving(built, "--port", 0) as (process, line):
        yield re.search(r"rtl://\S+:\d+", line).group(0)
        assert process.poll() is None, "a request ended the server"


def connected(uri):
    place = urlsplit(uri)
    return closing(socket.create_connection((place.hostname, place.port)))


@pytest.mark.rtl
def test_a_driver_reaches_the_build_until_ctrl_c(built):
    with serving(built) as (process, line):
        found = re.fullmatch(rf"{built}: serving (rtl://127\.0\.0\.1:\d+); Ctrl-C ends it\n", line)
        with closing(open_transport(found[1])) as transport:
            (got,) = Accelerator(DESIGN.artifact, transport).execute(IMAGES)
        # As a terminal does, to the simulation as well.
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    np.testing.assert_array_equal(got, expected(GRAPH, IMAGES))
    assert process.returncode == 0
    assert err == (
        f"note: {built}: starting the simulation; its first start compiles the Verilog\n"
        f"note: {built}: stopped\n"
    )


# Each is sent, and then the client leaves: kind, core, announced bytes, number, and what follows.
BAD_REQUESTS = {
    "a register that does not exist": (Request.READ, 0, 0, 1 << 40, b""),
    "a register between two": (Request.WRITE, 0, 4, 2, bytes(4)),
    "a core that does not exist": (Request.READ, 9, 0, 0, b""),
    "a value that is cut": (Request.WRITE, 0, 2, 0x28, bytes(2)),
    "memory that does not exist": (Request.PUT, 0, 4, (1 << 64) - 1, bytes(4)),
    "more memory than there is": (Request.GET, 0, 4, 0, b"\xff" * 4),
    "a message of 4 GB": (Request.PUT, 0, (1 << 32) - 1, 0, bytes(100)),
    "a wait of many years": (Request.WAIT, 0, 0, (1 << 64) - 1, b""),
    "the end of the server": (Request.STOP, 0, 0, 0, b""),
    "no request": (77, 0, 0, 0, b""),
    "half a message": (Request.PUT, 0, 64, 0, bytes(3)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_request_that_makes_no_sense_harms_nobody(uri, name):
    kind, core, size, number, data = BAD_REQUESTS[name]
    with connected(uri) as stranger:
        stranger.sendall(HEAD.pack(kind, core, size, number) + data)
        with closing(open_transport(uri)) as transport:  # while the stranger is still there
            (got,) = Accelerator(DESIGN.artifact, transport).execute(IMAGES[:1])
    np.testing.assert_array_equal(got, expected(GRAPH, IMAGES[:1]))


@pytest.mark.rtl
def test_any_bytes_harm_nobody(uri):
    for seed in range(50):
        rng = random.Random(seed)
        # Whoever is dropped in the middle cannot send the rest.
        with connected(uri) as stranger, suppress(OSError):
            head = [rng.choice([*Request, rng.randrange(256)]), rng.randrange(2), rng.randrange(99)]
            stranger.sendall(HEAD.pack(*head, rng.randrange(1 << 20)) + rng.randbytes(head[2]))
            stranger.sendall(rng.randbytes(rng.randrange(64)))
            stranger.shutdown(socket.SHUT_WR)
            stranger.settimeout(60)
            while stranger.recv(4096):
                pass
    with closing(open_transport(uri)) as transport:
        assert transport.state().violations == 0
        (got,) = Accelerator(DESIGN.artifact, transport).execute(IMAGES[:1])
    np.testing.assert_array_equal(got, expected(GRAPH, IMAGES[:1]))


@pytest.mark.rtl
def test_a_register_that_does_not_exist_is_told(uri):
    with closing(open_transport(uri)) as transport, pytest.raises(DeviceError) as error:
        transport.cores[0].read(0x1002)
    assert str(error.value) == (
        f"{uri}: there is no register at 0x1002, but at multiples of 4 below 4096"
    )


@pytest.mark.rtl
def test_a_stranger_cannot_stop_the_server(uri):
    with closing(open_transport(uri)) as transport, pytest.raises(DeviceError) as error:
        transport.ask(Request.STOP, 0)
    assert str(error.value) == f"{uri}: only who started this simulation may stop it"


@pytest.mark.rtl
def test_a_second_network_of_the_same_configuration_needs_no_new_verilog(qnn, built, uri, tmp_path):
    graph, second = second_network(), tmp_path / "second"
    serialize.save(graph, tmp_path / "second.qgraph")
    arguments = ("compile", tmp_path / "second.qgraph", "--config", built, "-o", second)
    assert qnn(*arguments)[0] == 0
    other = Design.read(second).artifact
    assert other.payload != DESIGN.artifact.payload
    with closing(open_transport(uri)) as transport:
        accelerators = [Accelerator(image, transport) for image in (DESIGN.artifact, other)]
        for which in (0, 1, 0, 1, 1):
            (got,) = accelerators[which].execute(IMAGES[:3])
            np.testing.assert_array_equal(got, expected((GRAPH, graph)[which], IMAGES[:3]))


@pytest.mark.rtl
def test_a_network_of_another_configuration_is_one_line(qnn, built, uri, tmp_path):
    other = compile(second_network(), replace(named_config("test"), weight_words=1024))
    with closing(open_transport(uri)) as transport, pytest.raises(DeviceError) as error:
        Accelerator(other.artifact, transport).execute(IMAGES[:1])
    ours, theirs = DESIGN.config.fingerprint, other.config.fingerprint
    assert str(error.value) == (
        f"{uri}: the image is for {other.config} (fingerprint {theirs:016x}), but the device has "
        f"fingerprint {ours:016x}; compile the model for the device's configuration, by 'qnn "
        f"compile --config BUILD' with the device's build"
    )


def test_a_port_that_is_taken_is_one_line(qnn, built):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = qnn("serve", built, "--port", port)
    assert (code, out) == (3, "")
    assert err.splitlines()[-1] == (
        f"error: rtl: needs port {port} of this machine to serve at, but got 'Address already in "
        f"use'; give another one, or 0 for a free one"
    )


def test_a_memory_that_is_too_small_is_wrong_usage(qnn, built, monkeypatch):
    monkeypatch.setattr(serve, "MEBIBYTE", PAGE_BYTES)
    needed = memory_bytes(DESIGN.artifact, 4) // PAGE_BYTES
    code, out, err = qnn("serve", built, "--memory-mib", 1, "--cores", 4)
    assert (code, out) == (2, "")
    assert err.endswith(f"--memory-mib must be at least {needed} for {built} on 4 cores, not 1\n")


def test_the_configuration_of_a_build_is_taken_as_it_is(qnn, built, tmp_path):
    path = tmp_path / "second.qgraph"
    serialize.save(second_network(), path)
    arguments = ("compile", path, "--config", built, "--set", "weight_words=1024")
    code, out, err = qnn(*arguments, "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.endswith(
        f"--config {built} takes the configuration of a build of back end 'array' as it is; leave "
        f"out --set, and name that --backend\n"
    )
    assert not (tmp_path / "out").exists()
