"""A module that does what PYNQ's documentation says of it plays ``pynq``."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.registers import Register, Status
from qnn.compiler import compile_graph
from qnn.errors import DeviceError
from qnn.ir.reference import reference
from qnn.runtime import pynq
from qnn.runtime.driver import Driver
from qnn.runtime.pynq import PynqTransport
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from tests.compiler import small_graphs
from tests.graphs import images
from tests.runtime.board import FakeBoard

CONFIG = named_config("test")
GRAPH = small_graphs.residual()
IMAGE = compile_graph(GRAPH, CONFIG, 2)
WINDOWS = {"qnn_accelerator_0": 0xA000_0000, "qnn_accelerator_1": 0xA000_1000}


class Buffer(np.ndarray):
    """What ``pynq.allocate`` gives: an array of its own class, with a cache before memory."""

    @property
    def device_address(self):
        return self.memory.address

    def flush(self):
        self.memory.host[:] = np.asarray(self)
        self.memory.flush()

    def invalidate(self):
        self.memory.invalidate()
        np.asarray(self)[:] = self.memory.host

    def freebuffer(self):
        self.freed.append(self.nbytes)


class Machine:
    """A board with an overlay of accelerators; its module is ``module``."""

    def __init__(self, cores=2, memory_bytes=1 << 20):
        self.board = FakeBoard(IMAGE, cores=cores, memory_bytes=memory_bytes)
        self.freed, self.downloads, self.asynchronous = [], [], True
        self.blocks = {
            name: {"phys_addr": base, "addr_range": 4096, "type": f"xilinx.com:module_ref:{name}"}
            for name, base in list(WINDOWS.items())[:cores]
        } | {"axi_intc_0": {"phys_addr": 1, "addr_range": 2, "type": "xilinx.com:ip:axi_intc:4.1"}}
        self.module, ps = ModuleType("pynq"), ModuleType("pynq.ps")
        self.module.Overlay, self.module.MMIO = self.overlay, self.mmio
        self.module.allocate, self.module.ps = self.allocate, ps
        ps.Clocks = SimpleNamespace(fclk0_mhz=200.0)

    def overlay(self, bitfile_name, dtbo=None, download=True, ignore_version=False, device=None):
        if not bitfile_name.endswith(".bit"):
            raise OSError(f"Bitstream file {bitfile_name} does not exist.")
        self.downloads.append(download)
        return SimpleNamespace(ip_dict=self.blocks)

    def mmio(self, base_addr, length=4):
        assert length == 4096
        core = self.board.cores[list(WINDOWS.values()).index(base_addr)]

        def read(offset=0):
            if offset == Register.STATUS and core.read(offset) & Status.BUSY and not core.hung:
                core.finish()
            return core.read(offset)

        def write(offset, data):
            if type(data) is not int:
                raise ValueError("Data type must be int or bytes.")
            core.write(offset, data)

        return SimpleNamespace(read=read, write=write)

    def allocate(self, shape, dtype, target=None):
        try:
            memory = self.board.allocate(int(np.prod(shape)))
        except DeviceError:
            raise RuntimeError("Failed to allocate Memory!") from None
        buffer = np.zeros(shape, dtype).view(Buffer)
        buffer.memory, buffer.freed = memory, self.freed
        return buffer


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A function that makes this machine a board."""
    monkeypatch.setattr(pynq, "lock_file", lambda: tmp_path / "lock")

    def install(**options):
        made = Machine(**options)
        monkeypatch.setitem(sys.modules, "pynq", made.module)
        monkeypatch.setitem(sys.modules, "pynq.ps", made.module.ps)
        return made

    return install


@pytest.mark.parametrize("cores", [1, 2])
def test_runs_are_those_of_the_reference(machine, cores):
    made, x = machine(cores=cores), images(GRAPH, 7)
    transport = PynqTransport("qnn.bit")
    assert transport.hertz == 200e6
    driver = Driver(transport)
    run = driver.run(IMAGE, pack_inputs(IMAGE, x))
    got = unpack_outputs(IMAGE, run.outputs, 7)[0]
    assert type(run.outputs) is np.ndarray
    np.testing.assert_array_equal(got, reference(GRAPH, x)[GRAPH.outputs[0].name])
    started = [core.log.count("start") for core in made.board.cores]
    assert started == [4] if cores == 1 else [2, 2]
    driver.close()
    assert len(made.freed) == 1 + cores + 4 * cores


@pytest.mark.parametrize("download", [True, False])
def test_the_bitstream_is_loaded_unless_it_shall_stay(machine, download):
    made = machine()
    PynqTransport("qnn.bit", download=download)
    assert made.downloads == [download]


def test_a_hung_accelerator_is_a_time_out(machine, monkeypatch):
    monkeypatch.setattr(pynq, "SLACK_SECONDS", 0.01)
    made = machine(cores=1)
    made.board.cores[0].hung = True
    driver = Driver(PynqTransport("qnn.bit"), limit=1000)
    with pytest.raises(DeviceError, match=r"^pynq:qnn.bit: run 0: time-out: not done after 1,000 "):
        driver.run(IMAGE, pack_inputs(IMAGE, images(GRAPH, 2)))


def test_a_time_out_is_cycles_of_the_clock_in_seconds(machine, monkeypatch):
    made, clock = machine(cores=1), [0.0]
    made.board.cores[0].hung = True
    passing = SimpleNamespace(
        monotonic=lambda: clock[0], sleep=lambda seconds: clock.__setitem__(0, clock[0] + 0.25)
    )
    monkeypatch.setattr(pynq, "time", passing)
    assert not PynqTransport("qnn.bit").cores[0].wait(400_000_000)  # 2 s at 200 MHz, and slack
    assert clock == [3.25]


def refusal(run):
    with pytest.raises(DeviceError) as error:
        run()
    return str(error.value)


def test_without_pynq(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynq", None)
    assert refusal(lambda: PynqTransport("qnn.bit")) == (
        "pynq:qnn.bit: needs the Python package 'pynq', but got 'import of pynq halted; None in "
        "sys.modules'; run this on a board with PYNQ's image, in its environment"
    )


def test_without_a_bitstream(machine):
    machine()
    assert refusal(lambda: PynqTransport("qnn.txt")) == (
        "pynq:qnn.txt: needs a bitstream with its .hwh beside it, but got 'Bitstream file qnn.txt "
        "does not exist.'; copy both"
    )


def test_registers_that_need_root(machine, monkeypatch):
    made = machine()

    def mmio(base_addr, length=4):
        raise OSError("Root permissions required.")

    monkeypatch.setattr(made.module, "MMIO", mmio)
    assert refusal(lambda: PynqTransport("qnn.bit")) == (
        "pynq:qnn.bit: needs to read clocks and registers of the board, but got 'Root permissions "
        "required.'; run this as root"
    )


def test_an_overlay_without_an_accelerator(machine):
    machine(cores=0)
    assert refusal(lambda: PynqTransport("qnn.bit")) == (
        "pynq:qnn.bit: needs a block 'qnn_accelerator' in the overlay, but it has axi_intc_0; "
        "build the bitstream of this design"
    )


def test_an_image_that_is_too_large_for_the_memory(machine):
    machine(memory_bytes=2048)
    driver = Driver(PynqTransport("qnn.bit"))
    assert refusal(lambda: driver.load(IMAGE)) == (
        f"pynq:qnn.bit: the image needs a region of {len(IMAGE.payload):,} bytes of contiguous "
        f"memory, but got 'Failed to allocate Memory!'; free some, or give Linux a larger cma"
    )


def test_a_second_driver_is_refused_before_it_loads_the_bitstream(machine, tmp_path):
    made = machine()
    first = PynqTransport("qnn.bit")
    assert refusal(lambda: PynqTransport("other.bit")) == (
        f"pynq:other.bit: another driver has {tmp_path}/lock, in this process or another one; "
        f"close it, or end its process"
    )
    assert made.downloads == [True]
    first.close()
    PynqTransport("other.bit").close()


def test_a_refusal_keeps_no_lock(machine):
    made = machine(cores=0)
    error = refusal(lambda: PynqTransport("qnn.bit"))
    assert refusal(lambda: PynqTransport("qnn.bit")) == error
    assert made.downloads == [True, True]


def test_a_lock_that_nobody_may_take(machine, tmp_path):
    machine()
    (tmp_path / "lock").mkdir()
    assert refusal(lambda: PynqTransport("qnn.bit")) == (
        f"pynq:qnn.bit: {tmp_path}/lock is needed to keep other drivers away, but got 'Is a "
        f"directory'; make it writable for this user"
    )
