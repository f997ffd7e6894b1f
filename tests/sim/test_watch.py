"""What a run breaks beside its values is told, and its layers are compared all the same."""

import re
from dataclasses import replace

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.isa.header import Engine
from hw.spec.registers import Error, Status
from qnn.errors import DeviceError
from qnn.runtime.handshake import COUNTERS, Outcome
from qnn.runtime.tensors import pack_inputs
from sim import dram, rtl
from sim.cycles.array import Array as ArrayModel
from sim.memory_timing import MemoryTiming
from sim.simulate import simulate
from sim.verify import verify
from sim.watch import miscounts, misgiven, misreports, mistimed, violations
from tests.sim.copy_image import copy_image
from tests.sim.test_faults import LIMIT, sound

CONFIG = named_config("test")
IMAGE = copy_image(CONFIG)
X = np.random.default_rng(3).integers(0, 256, (1, 11, 3, 5))
NAMES = [counter.name.lower() for counter in COUNTERS]


class Counted:
    """As much of a trace as registers are held to."""

    counted = (1, 2, 3, 4, 5, 6, 70)
    issue_tag = (0, 1, 9)


class NoError:
    """A trace in which no burst failed."""

    error = None


RIGHT = Outcome(
    status=Status.DONE,
    number=1,
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


def given(program, **changed):
    """Trace of a run in which each instruction gave its tokens, but for those by index."""
    trace = NoError()
    trace.given = [
        (0, int(each.engine), sum(1 << other for other in each.signals))
        for each in program
        if each.engine is not None
    ]
    for name, signals in changed.items():
        index = int(name.removeprefix("at"))
        trace.given[index] = *trace.given[index][:2], signals
    return trace


def test_tokens_are_held_to_the_program_and_named_by_layer():
    image = sound()[0].artifact
    assert list(misgiven(given(image.program), image)) == []
    assert list(misgiven(given(IMAGE.program, at0=0b110), IMAGE)) == [
        "instruction 0 gave tokens to compute and store, not to store"
    ]
    index = next(
        n for n, each in enumerate(image.program) if each.engine is Engine.COMPUTE and each.signals
    )
    name = image.layers[image.program[index].tag].name
    right = image.program[index].signals
    # Of its own engine a bit means nothing.
    assert list(misgiven(given(image.program, **{f"at{index}": 0b010}), image)) == [
        f"instruction {index} of layer '{name}' gave tokens to none, not to "
        + " and ".join(each.word for each in sorted(right))
    ]
    ended = given(IMAGE.program)
    del ended.given[-1]
    assert list(misgiven(ended, IMAGE)) == ["the store engine ended 0 instructions, but has 1"]


class Computed:
    """A trace in which each computation of ``sound`` takes as long as its steps and writes do."""

    def __init__(self):
        cycles = ArrayModel(CONFIG)
        tiles = [each for each in sound()[0].artifact.program if each.engine is Engine.COMPUTE]
        found = [cycles.issue(each, 50) for each in tiles]
        self.issue_cycle = np.array([first for first, _, _ in found])
        self.given = [(end, int(Engine.COMPUTE), 0) for _, _, end in found]


def test_a_computation_that_ends_late_or_early_is_named():
    image, trace = sound()[0].artifact, Computed()
    assert len(trace.given) > 2
    assert list(mistimed(trace, image)) == []
    index = next(n for n, each in enumerate(image.program) if each.engine is Engine.COMPUTE)
    name = image.layers[image.program[index].tag].name
    for apart, how in ((1_000, "1,000 cycles late"), (-2, "2 cycles early")):
        right, *rest = Computed().given
        trace.given = [(right[0] + apart, *right[1:]), *rest]
        assert list(mistimed(trace, image)) == [
            f"instruction {index} of layer '{name}' ended {how}"
        ]


@pytest.mark.rtl
@pytest.mark.parametrize(
    "signals", ["signals__0 | 3'd4", "signals__0 & 3'd1"], ids=["more", "less"]
)
def test_a_token_too_many_or_too_few_is_told_though_no_value_is_wrong(signals):
    design, x = sound()
    verilog = dict(rtl.generated(design.config))
    text, wire = verilog["qnn_accelerator.v"], ".signals__0(signals__0)"
    assert text.count(wire) == 1
    verilog["qnn_accelerator.v"] = text.replace(wire, f".signals__0({signals})")
    report = verify(design, x, verilog=verilog, limit=LIMIT)
    assert not report.passed
    if "|" in signals:
        assert report.mismatches == 0
        assert re.match(
            r"instruction \d+ of layer '\w+' gave tokens to .*store, not to ", report.failure
        )


def ended(**changes):
    return list(misreports(replace(RIGHT, **changes), NoError(), IMAGE, 0x1000))


def test_a_status_or_an_error_of_a_run_that_ended_well_is_told():
    assert ended() == []
    assert ended(status=Status.DONE | Status.INTERRUPT) == []
    assert ended(status=Status.DONE | Status.BUSY, error=1, error_address=0x40) == [
        "register STATUS reads 0x3 after a run, but 0x2 is right",
        "register ERROR reads 0x1 after a run, but 0x0 is right",
        "register ERROR_ADDRESS reads 0x40 after a run, but 0x0 is right",
    ]


@pytest.mark.parametrize("error", [Error.READ, Error.WRITE])
def test_the_code_and_the_address_of_a_failed_burst_are_held_to_the_bus(error):
    trace = NoError()
    trace.error = (int(error), 0x1240)
    right = replace(RIGHT, status=Status.DONE | Status.FAILED, error=error, error_address=0x1240)
    assert list(misreports(right, trace, IMAGE, 0)) == []
    assert list(misreports(replace(right, error_address=0x1000), trace, IMAGE, 0)) == [
        "register ERROR_ADDRESS reads 0x1000 after a run, but 0x1240 is right"
    ]


def test_the_address_of_a_bad_instruction_is_held_to_the_image():
    image = copy_image(CONFIG, code={"store": 9})
    number = next(
        place
        for place in range(image.program_bytes // 128)
        if image.payload[128 * place] & 0xF == 9
    )
    failed = replace(RIGHT, status=Status.DONE | Status.FAILED, error=Error.INSTRUCTION)
    right = replace(failed, error_address=0x1000 + 128 * number)
    assert list(misreports(right, NoError(), image, 0x1000)) == []
    assert list(misreports(failed, NoError(), image, 0x1000)) == [
        f"register ERROR_ADDRESS reads 0x0 after a run, but {right.error_address:#x} is right"
    ]
    endless = replace(IMAGE, program_bytes=128)
    at_end = replace(failed, error_address=0x1000 + 128)
    assert list(misreports(at_end, NoError(), endless, 0x1000)) == []


@pytest.mark.rtl
@pytest.mark.parametrize("code", ["store", "load"])
def test_a_bad_instruction_is_told_where_it_is(code):
    result = rtl.execute(copy_image(CONFIG, code={code: 9}), X, limit=20_000)
    assert result.runs[0].outcome.error == Error.INSTRUCTION
    assert result.broken is None


@pytest.mark.rtl
@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("kind", ["error_read", "error_write"])
def test_any_failed_burst_is_told_by_its_address(kind, seed):
    design, x = sound()
    image = design.artifact
    memory = dram.place(image, pack_inputs(image, x))
    rng = np.random.default_rng(seed)
    regions = [0, 2] if kind == "error_read" else [3]
    for region in (memory.regions[n] for n in regions):
        for _ in range(3):
            address = region.address + int(rng.integers(region.size))
            timing = replace(
                MemoryTiming.stalled(seed) if seed else MemoryTiming(), **{kind: address}
            )
            result = rtl.execute(image, x, timing=timing)
            assert result.broken is None
            # Bytes that lie between transfers are never asked for.
            if result.runs[0].failure:
                found = result.runs[0].outcome
                assert found.error == (Error.READ if kind == "error_read" else Error.WRITE)
                assert found.error_address <= address < found.error_address + 4096
