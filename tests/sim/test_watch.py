"""What a run breaks beside its values is told, and its layers are compared all the same."""

from dataclasses import replace

import pytest

from hw.spec.registers import Status
from qnn.errors import DeviceError
from qnn.runtime.handshake import COUNTERS, Outcome
from sim import dram, rtl
from sim.simulate import simulate
from sim.verify import verify
from sim.watch import miscounts, violations
from tests.sim.test_faults import LIMIT, sound

NAMES = [counter.name.lower() for counter in COUNTERS]


class Counted:
    """As much of a trace as registers are held to."""

    counted = (1, 2, 3, 4, 5, 6, 70)
    issue_tag = (0, 1, 9)


RIGHT = Outcome(
    status=Status.DONE,
    error=0,
    error_address=0,
    cycles=70,
    tag=9,
    counters=dict(zip(NAMES, range(1, 7), strict=True)),
)


def test_registers_that_say_what_happened_pass():
    assert list(miscounts(RIGHT, Counted())) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_counter_that_is_one_off_is_told(name):
    right = RIGHT.counters[name]
    wrong = replace(RIGHT, counters=RIGHT.counters | {name: right + 1})
    assert list(miscounts(wrong, Counted())) == [
        f"register {name.upper()} reads {right + 1} after a run, but {right} is right"
    ]


def test_cycles_and_the_newest_tag_are_held_to_the_run():
    assert list(miscounts(replace(RIGHT, cycles=71, tag=1), Counted())) == [
        "register CYCLES reads 71 after a run, but 70 is right",
        "register TAG reads 1 after a run, but 9 is right",
    ]
    failed = replace(RIGHT, tag=1, status=Status.DONE | Status.FAILED)
    assert list(miscounts(failed, Counted())) == []


def test_the_first_violation_of_the_protocol_is_told():
    log = "x\nqnn_memory: cycle 12:  AR changed at 0040\nqnn_memory: cycle 13: W changed at 0\n"
    assert list(violations(2, log)) == [
        "2 violations of the AXI4 protocol, the first in cycle 12: AR changed at 0040"
    ]
    assert list(violations(0, log)) == []
    assert list(violations(1, "")) == ["1 violations of the AXI4 protocol"]


@pytest.mark.rtl
def test_a_memory_word_that_something_else_alters_is_told_beside_the_layers(monkeypatch):
    design, x = sound()
    read = rtl.read_words

    def altered(path, word_bytes):
        after = read(path, word_bytes)
        after[dram.PAGE_BYTES + 100] ^= 1
        return after

    monkeypatch.setattr(rtl, "read_words", altered)
    report = verify(design, x, limit=LIMIT)
    line = (
        f"1 bytes outside the writable regions changed, the first at address "
        f"{dram.BASE + dram.PAGE_BYTES + 100:#x}, 100 bytes from the start of 'image' "
        f"({len(design.artifact.payload)} bytes); the accelerator did not write there: something "
        f"else changed the memory"
    )
    assert str(report) == f"verify: FAIL 0/{report.values_compared} mismatches\n  {line}"
    assert report.values_compared == verify(design, x, "functional").values_compared
    with pytest.raises(DeviceError) as error:
        simulate(design, x, limit=LIMIT)
    assert str(error.value) == f"rtl: {line}"


@pytest.mark.rtl
@pytest.mark.parametrize("register", ["stall_cycles", "busy_cycles"])
def test_crossed_wires_of_counters_are_found(register):
    design, x = sound()
    verilog = dict(rtl.generated(design.config))
    right, wrong = f".{register}__0({register}__0)", f".{register}__0({register}__2)"
    assert right in verilog["qnn_accelerator.v"]
    verilog["qnn_accelerator.v"] = verilog["qnn_accelerator.v"].replace(right, wrong, 1)
    report = verify(design, x, verilog=verilog, limit=LIMIT)
    assert not report.passed
    assert report.mismatches == 0
    name = "LOAD_" + register.partition("_")[0].upper()
    assert report.failure.startswith(f"register {name} reads ")
