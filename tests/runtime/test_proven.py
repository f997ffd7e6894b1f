"""No access of a register that goes wrong, and no other driver, gives outputs that are wrong."""

from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.registers import MAGIC, Register
from qnn.compiler import compile_graph
from qnn.errors import DeviceError
from qnn.ir.reference import reference
from qnn.runtime import handshake
from qnn.runtime.driver import Driver
from qnn.runtime.proven import ProvenCore
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from tests.compiler import small_graphs
from tests.graphs import images
from tests.runtime import board as boards
from tests.runtime.board import CYCLES, FakeBoard, Garbage
from tests.runtime.faulty import BITS, TOLD_BITS, FaultyTransport, Plan, each_fault

CONFIG = named_config("test")
GRAPHS = (small_graphs.one_conv(), small_graphs.residual())
IMAGES = tuple(compile_graph(graph, CONFIG) for graph in GRAPHS)
RUNS = 2


@lru_cache
def asked(which, first):
    """Inputs of the runs of network ``which`` and their outputs, other ones for each ``first``."""
    x = images(GRAPHS[which], 2 * RUNS)[first:][:RUNS]
    expected = reference(GRAPHS[which], x)[GRAPHS[which].outputs[0].name]
    return pack_inputs(IMAGES[which], x), expected


@pytest.fixture(scope="module", autouse=True)
def _computed_once():
    """Let no board compute twice what is known."""
    original, known = boards.FunctionalDevice, {}

    def run(image, inputs):
        key = (IMAGES.index(image), inputs.tobytes())
        if key not in known:
            known[key] = original().run(image, inputs)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boards, "FunctionalDevice", lambda: SimpleNamespace(run=run))
        yield


def check_outputs(driver, which, first):
    """Run, and compare outputs and cycles."""
    data, expected = asked(which, first)
    run = driver.run(IMAGES[which], data)
    got = unpack_outputs(IMAGES[which], run.outputs, RUNS)[0]
    np.testing.assert_array_equal(got, expected)
    return run.cycles


def use(transport, cycles=None):
    """Two drivers in turn; ``cycles`` is what each run takes."""
    drivers = [Driver(transport), Driver(transport)]
    for which, first in ((0, 0), (1, 0), (0, RUNS)):
        got = check_outputs(drivers[which], which, first)
        assert cycles is None or got == (cycles,) * RUNS


def wrong_outputs(board, plans):
    """The plans under which a run gives outputs that are not its own; how many were refused."""
    wrong, refused = [], 0
    for plan in plans:
        try:
            use(FaultyTransport(board(), plan), CYCLES)
        except DeviceError:
            refused += 1
        except (AssertionError, Garbage):
            wrong.append((plan.place, plan.fault))
    return wrong, refused


@pytest.mark.parametrize(
    ("cores", "bits"),
    [(1, TOLD_BITS), *(pytest.param(n, range(BITS), marks=pytest.mark.slow) for n in (1, 2))],
)
def test_whichever_access_is_lost_repeated_or_misread_the_outputs_are_right_or_refused(cores, bits):
    clean = FaultyTransport(FakeBoard(*IMAGES, cores=cores), Plan())
    use(clean, CYCLES)
    plans = list(each_fault(clean.plan.seen, bits))
    wrong, refused = wrong_outputs(lambda: FakeBoard(*IMAGES, cores=cores), plans)
    assert wrong == []
    assert 100 < refused < len(plans) - 100


def nothing(*_):
    """What a proof does where there is none."""


def believe(after, image, number):
    """What ``failure`` says where any run's registers are believed."""
    return original_failure(after, image, after.number)


original_failure = handshake.failure
WITHOUT = {
    "the number of the run": [(ProvenCore, "check_ours", nothing), (handshake, "failure", believe)],
    "a second look": [(ProvenCore, "_agree", nothing)],
    "reading back": [(ProvenCore, "_check_settings", nothing)],
}


@pytest.mark.parametrize("proof", WITHOUT)
def test_without_one_of_the_proofs_some_outputs_are_wrong(proof, monkeypatch):
    clean = FaultyTransport(FakeBoard(*IMAGES), Plan())
    use(clean)
    for place in WITHOUT[proof]:
        monkeypatch.setattr(*place)
    plans = list(each_fault(clean.plan.seen, bits=[1]))
    assert wrong_outputs(lambda: FakeBoard(*IMAGES), plans)[0]


def losing(kind, count, *, fault="lost"):
    """One board, whose ``count``-th access of ``kind`` goes wrong."""
    transport = FaultyTransport(FakeBoard(*IMAGES), Plan())
    check_outputs(Driver(transport), 0, 0)
    places = [place for place, seen in enumerate(transport.plan.seen) if seen == kind]
    return FaultyTransport(FakeBoard(*IMAGES), Plan(places[count], fault))


def refusal(transport, which=0):
    with pytest.raises(DeviceError) as error:
        check_outputs(Driver(transport), which, 0)
    return str(error.value)


# Writes of a driver's first two runs: RESET, nine settings, two commands; two settings that changed
# (INPUT and OUTPUT), two commands.
RESET, FIRST_INPUT, PROGRAM, SECOND_START = 0, 3, 9, 15


def test_a_start_that_is_lost_is_told_and_is_not_the_run_before():
    assert refusal(losing("write", SECOND_START)) == (
        "board: run 1: its STATUS register tells of run number 2, not of 3: the START was lost, or "
        "another driver has taken the accelerator; run again, with one driver at a time"
    )


def test_a_base_address_that_is_lost_is_told():
    assert refusal(losing("write", FIRST_INPUT)) == (
        "board: run 0: the register at 0x30 reads 0x00000000 after 0x00002000 was written to it; "
        "check the bus between host and accelerator"
    )


def test_a_program_s_length_that_is_lost_is_told():
    length = IMAGES[0].program_bytes
    assert refusal(losing("write", PROGRAM)) == (
        f"board: run 0: the register at 0x1c reads 0x00000000 after {length:#010x} was written to "
        f"it; check the bus between host and accelerator"
    )


def test_a_reset_that_is_lost_is_told():
    assert refusal(losing("write", RESET)) == (
        "board: a RESET with number 1 was written, but STATUS tells of number 0; check the bus "
        "between host and accelerator, and use one driver at a time"
    )


def test_an_end_that_was_misread_is_told():
    transport = losing("wait", 0)
    # The interrupt is one of an earlier run, and the look at STATUS that follows sees DONE.
    transport.plan.place, transport.plan.fault = transport.plan.place + 1, "bit 1"
    transport.cores[0].stale = 1
    assert refusal(transport) == (
        "board: STATUS reads 0x203 and then 0x201, though nothing changes it in between; check the "
        "bus between host and accelerator"
    )


def test_two_accelerators_on_one_board_answer_for_their_own_networks():
    board = FakeBoard(*IMAGES)
    drivers = [Driver(board), Driver(board)]
    for which in (0, 1, 0, 0, 1, 1, 0):
        check_outputs(drivers[which], which, 0)


def test_an_accelerator_that_another_one_took_in_the_middle_is_told():
    board = FakeBoard(*IMAGES)
    first, second = Driver(board), Driver(board)
    runs = first.stream(IMAGES[0], asked(0, 0)[0])
    next(runs)
    check_outputs(second, 1, 0)
    log = list(board.cores[0].log)
    with pytest.raises(DeviceError) as error:
        next(runs)
    assert str(error.value) == (
        "board: run 1: its STATUS register tells of run number 6, not of 3: the START was lost, or "
        "another driver has taken the accelerator; run again, with one driver at a time"
    )
    assert board.cores[0].log == log  # what is another's is not reset
    check_outputs(second, 1, 0)
    check_outputs(first, 0, 0)


def test_a_device_that_lost_its_power_gets_its_image_again():
    board = FakeBoard(*IMAGES)
    driver = Driver(board)
    check_outputs(driver, 0, 0)
    board.cores[0].registers.clear()
    board.device_memory[:] = boards.GARBAGE
    check_outputs(driver, 0, 0)


def test_a_number_starts_again_behind_the_largest():
    board = FakeBoard(*IMAGES)
    board.cores[0].registers[Register.STATUS] = 0xFFFF_FD00
    check_outputs(Driver(board), 0, 0)
    assert board.cores[0].read(Register.STATUS) >> 8 == 0
    check_outputs(Driver(board), 0, 0)


def test_registers_of_the_first_version_are_refused():
    board = FakeBoard(*IMAGES)
    board.identity[Register.MAGIC] = 0x514E_4E01
    assert refusal(board) == (
        f"board: its first register reads 0x514e4e01, but an accelerator of this version reads "
        f"{MAGIC:#010x}; check its address and bitstream"
    )
