"""Files in a folder play /dev and /sys; a socket plays the interrupt, and computes when enabled."""

import mmap
import os
import socket
import struct
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.registers import MAGIC, Register, Status
from qnn.compiler import compile_graph
from qnn.errors import DeviceError
from qnn.ir.reference import reference
from qnn.runtime import uio
from qnn.runtime.driver import Driver
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from qnn.runtime.uio import UioTransport
from tests.compiler import small_graphs
from tests.graphs import images
from tests.runtime.board import BASE, CYCLES, FakeBoard

CONFIG = named_config("test")
GRAPH = small_graphs.residual()
IMAGE = compile_graph(GRAPH, CONFIG, 2)
ADDRESS, MEMORY_BYTES, WINDOW_BYTES = BASE, 1 << 18, 4096


@pytest.fixture
def root(tmp_path):
    """A machine with one accelerator and one buffer."""
    (tmp_path / "dev").mkdir()
    fingerprint = CONFIG.fingerprint
    head = struct.pack("<IIQ", MAGIC, 0, fingerprint)
    (tmp_path / "dev" / "uio0").write_bytes(head.ljust(WINDOW_BYTES, b"\0"))
    (tmp_path / "dev" / "udmabuf0").write_bytes(bytes(MEMORY_BYTES))
    attributes = tmp_path / "sys" / "class" / "u-dma-buf" / "udmabuf0"
    attributes.mkdir(parents=True)
    (attributes / "phys_addr").write_text(f"{ADDRESS:#018x}\n")
    (attributes / "size").write_text(f"{MEMORY_BYTES}\n")
    (attributes / "dma_coherent").write_text("0\n")
    return tmp_path


class Window:
    """The registers of a core as an array of words, as a mapped file gives them."""

    def __init__(self, core):
        self.core = core

    def __getitem__(self, word):
        return self.core.read(4 * word)

    def __setitem__(self, word, value):
        self.core.write(4 * word, value)


def test_registers_are_the_words_of_the_file(root):
    with closing(transport(root)) as device:
        core = device.cores[0]
        assert core.read(Register.MAGIC) == MAGIC
        assert core.read(Register.FINGERPRINT + 4) == CONFIG.fingerprint >> 32
        core.write(Register.SCRATCH_BASE, 0x1234_5678)
    content = (root / "dev" / "uio0").read_bytes()
    assert content[Register.SCRATCH_BASE :][:4] == b"\x78\x56\x34\x12"


@contextmanager
def accelerator(root, monkeypatch, answers=True):
    """Runs what the registers say when the host enables the interrupt; counts interrupts."""
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(uio, "open_interrupt", lambda path: theirs.detach())
    with (root / "dev" / "udmabuf0").open("r+b") as file:
        memory = np.frombuffer(mmap.mmap(file.fileno(), MEMORY_BYTES), np.uint8)

    board = FakeBoard(IMAGE)
    board.device_memory, (core,) = memory, board.cores
    monkeypatch.setattr(uio, "map_registers", lambda file: Window(core))

    def work():
        count = 0
        while ours.recv(4) == b"\1\0\0\0":
            if Status.BUSY in core.status and answers:
                core.finish()
                count += 1
                ours.sendall(struct.pack("<i", count))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    with ours:
        yield
        ours.shutdown(socket.SHUT_RDWR)
        thread.join()


def transport(root):
    return UioTransport(["uio0"], "udmabuf0", root=root)


def test_runs_are_those_of_the_reference(root, monkeypatch):
    x = images(GRAPH, 5)
    with accelerator(root, monkeypatch):
        driver = Driver(transport(root))
        run = driver.run(IMAGE, pack_inputs(IMAGE, x))
        driver.close()
    assert run.cycles == (CYCLES,) * 3
    got = unpack_outputs(IMAGE, run.outputs, 5)[0]
    np.testing.assert_array_equal(got, reference(GRAPH, x)[GRAPH.outputs[0].name])


def test_a_hung_accelerator_is_a_time_out(root, monkeypatch):
    monkeypatch.setattr(uio, "SLACK_SECONDS", 0.01)
    with accelerator(root, monkeypatch, answers=False):
        driver = Driver(transport(root), limit=1000)
        with pytest.raises(DeviceError, match=r"^uio:uio0: run 0: time-out: not done after 1,000 "):
            driver.run(IMAGE, pack_inputs(IMAGE, images(GRAPH, 2)))
        driver.close()


@pytest.mark.parametrize(("hertz", "wanted"), [(200e6, 3.0), (None, 9.0)])
def test_a_time_out_is_cycles_of_the_clock_in_seconds(root, monkeypatch, hertz, wanted):
    waits = []
    record = SimpleNamespace(select=lambda r, w, x, seconds: (waits.append(seconds) or [], [], []))
    monkeypatch.setattr(uio, "select", record)
    with accelerator(root, monkeypatch):
        device = UioTransport(["uio0"], "udmabuf0", hertz, root)
        assert not device.cores[0].wait(400_000_000)
        device.close()
    assert waits == [wanted]


@pytest.mark.parametrize(("coherent", "wanted"), [(0, True), (1, False)])
def test_caches_are_maintained_for_the_bytes_of_the_region(root, monkeypatch, coherent, wanted):
    attributes = root / "sys" / "class" / "u-dma-buf" / "udmabuf0"
    (attributes / "dma_coherent").write_text(f"{coherent}\n")
    with accelerator(root, monkeypatch):
        device = transport(root)
        device.allocate(5000)
        buffer = device.allocate(600)
        assert buffer.address == ADDRESS + 8192
        names = ("sync_offset", "sync_size", "sync_direction", "sync_for_device", "sync_for_cpu")
        written = []
        for act in (buffer.flush, buffer.invalidate):
            act()
            paths = [attributes / name for name in names]
            written.append([path.read_text() if path.exists() else None for path in paths])
            for path in paths:
                path.unlink(missing_ok=True)
        device.close()
    flushed = ["8192", "600", "0", "1", None] if wanted else [None] * 5
    dropped = ["8192", "600", "0", None, "1"] if wanted else [None] * 5
    assert written == [flushed, dropped]


def test_its_earlier_name_is_known(root, monkeypatch):
    attributes = root / "sys" / "class" / "u-dma-buf"
    attributes.rename(attributes.with_name("udmabuf"))
    with accelerator(root, monkeypatch):
        device = transport(root)
        assert device.allocate(1).address == ADDRESS
        device.close()


def refusal(root):
    with pytest.raises(DeviceError) as error:
        transport(root)
    return str(error.value)


def test_without_the_driver_of_the_registers(root):
    (root / "dev" / "uio0").unlink()
    assert refusal(root) == (
        f"uio:uio0: {root}/dev/uio0 is needed for its registers, but got 'No such file or "
        f"directory'; load uio_pdrv_genirq for it"
    )


def test_a_window_that_is_too_small_for_the_registers(root):
    (root / "dev" / "uio0").write_bytes(b"short")
    assert refusal(root) == (
        f"uio:uio0: {root}/dev/uio0 is needed for its registers, but got 'mmap length is greater "
        f"than file size'; load uio_pdrv_genirq for it"
    )


def test_without_contiguous_memory(root):
    path = root / "sys" / "class" / "u-dma-buf" / "udmabuf0" / "phys_addr"
    path.unlink()
    assert refusal(root) == (
        f"uio:uio0: {path} is needed to find its memory, but got 'No such file or directory'; load "
        f"u-dma-buf with that name"
    )


def test_an_address_that_is_no_number(root):
    path = root / "sys" / "class" / "u-dma-buf" / "udmabuf0" / "phys_addr"
    path.write_text("(null)\n")
    assert refusal(root) == (
        f"uio:uio0: {path} is needed to find its memory, but got 'not a number'; load u-dma-buf "
        f"with that name"
    )


def test_memory_that_is_too_small_for_an_image(root, monkeypatch):
    with accelerator(root, monkeypatch):
        device = transport(root)
        with pytest.raises(DeviceError) as error:
            device.allocate(MEMORY_BYTES + 1)
        device.close()
    assert str(error.value) == (
        "uio:uio0: the image needs a region of 262,145 bytes, but of 262,144 bytes of memory only "
        "262,144 are left; give u-dma-buf more"
    )


@pytest.mark.parametrize("taken", ["uio0", "udmabuf0"])
def test_a_device_that_another_process_uses(root, taken):
    program = (
        "import fcntl, sys\nfile = open(sys.argv[1], 'r+b')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('taken', flush=True)\nsys.stdin.read()\n"
    )
    path = root / "dev" / taken
    command = [sys.executable, "-c", program, str(path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout.readline() == "taken\n"
        assert refusal(root) == (
            f"uio:uio0: another driver has {path}, in this process or another one; close it, or "
            f"end its process"
        )
        other.kill()
    transport(root).close()  # what a killed process had is free


def test_a_driver_that_is_dropped_lets_go_of_the_device(root):
    first = transport(root)
    assert "another driver has" in refusal(root)
    del first
    transport(root).close()


def test_a_device_without_an_interrupt(root, monkeypatch):
    path = root / "dev" / "uio0"
    # Linux refuses to enable an interrupt that the device tree does not name.
    monkeypatch.setattr(uio, "open_interrupt", lambda path: os.open(path, os.O_RDONLY))
    with closing(transport(root)) as device, pytest.raises(DeviceError) as error:
        device.cores[0].wait(1)
    assert str(error.value) == (
        f"uio:uio0: {path} is needed for its interrupt, but got 'Bad file descriptor'; load "
        f"uio_pdrv_genirq for it, with an interrupt"
    )


def test_memory_that_cannot_be_handed_over(root):
    offset = root / "sys" / "class" / "u-dma-buf" / "udmabuf0" / "sync_offset"
    offset.mkdir()
    with closing(transport(root)) as device, pytest.raises(DeviceError) as error:
        device.allocate(10).flush()
    assert str(error.value) == (
        f"uio:uio0: {offset} is needed to hand memory over, but got 'Is a directory'; run this as "
        f"a user who may write it"
    )
