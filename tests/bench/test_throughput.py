"""Frames per second: cycles are kept without a clock, and rates follow whatever clock there is."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.bench import throughput
from qnn.bench.core_clock import mark, rate_clock
from qnn.bench.throughput import Throughput, ThroughputRow, known, run
from qnn.bench.throughput_cases import (
    BOARD_MEMORY,
    CASES,
    MEMORY_STEP,
    ThroughputCase,
    memory_bytes_per_cycle,
)
from qnn.errors import ModelError
from qnn.nn.zoo import ZOO

SMALL = {
    "lanes": 8,
    "rows": 8,
    "columns": 4,
    "feature_words": 4096,
    "weight_words": 1024,
    "parameter_words": 128,
}
CASE = ThroughputCase(model="digits_cnn", settings=SMALL, batch=2, goal_rate=10.0)
SHARED = replace(CASE, cores=2, paths=2, board_memory=True)


def row(case, cycles=1e6):
    return ThroughputRow(
        name=case.name,
        batch=case.batch,
        fingerprint=mark(case.config),
        simulator="functional",
        memory_bytes_per_cycle=8 if case.board_memory else None,
        values_compared=1,
        cycles_per_image=cycles,
        busy=0.5,
        moved_bytes=4e6,
        cold_latency_cycles=3,
        commit=None,
    )


def nothing(done, total):
    pass


def test_every_case_has_a_name_of_its_own_and_a_network_of_the_zoo():
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.model for case in CASES} <= set(ZOO)


@given(st.floats(50e6, 900e6))
def test_the_boards_memory_moves_no_more_in_a_cycle_than_it_does(hertz):
    moves = memory_bytes_per_cycle(SHARED, hertz)
    assert 0 <= BOARD_MEMORY / hertz - moves < MEMORY_STEP
    assert memory_bytes_per_cycle(CASE, hertz) is None


def test_cycles_of_the_nearest_slower_memory_are_taken_and_none_of_a_faster_one(tmp_path):
    path, moves = tmp_path / "throughput.jsonl", BOARD_MEMORY / rate_clock().hertz
    rates = [int(moves) - 1, int(moves) - 2, int(moves) + 1]
    rows = [replace(row(SHARED), memory_bytes_per_cycle=rate) for rate in rates]
    rows += [replace(row(SHARED), memory_bytes_per_cycle=None), row(CASE)]
    path.write_text("".join(json.dumps(asdict(each)) + "\n" for each in rows))
    assert known([CASE, SHARED], path) == {CASE.name: row(CASE), SHARED.name: rows[0]}


def test_what_was_simulated_is_kept_and_not_simulated_again(tmp_path, monkeypatch):
    path = tmp_path / "throughput.jsonl"
    alone, shared = run([CASE, SHARED], path, nothing)
    assert alone.cycles_per_image > shared.cycles_per_image > alone.cycles_per_image / 2
    assert alone.moved_bytes == shared.moved_bytes > 0
    assert alone.values_compared == shared.values_compared > 1000
    monkeypatch.setattr(throughput, "_measured", lambda *given: pytest.fail("it simulated"))
    assert run([SHARED, CASE], path, nothing) == [shared, alone]
    # Another core, or another batch, is another result.
    other = replace(CASE, settings={**SMALL, "weight_bits": 4})
    assert known([other, replace(CASE, batch=3)], path) == {}


def test_a_broken_file_is_refused(tmp_path):
    path = tmp_path / "throughput.jsonl"
    path.write_text(json.dumps({**asdict(row(CASE)), "busy": "much"}) + "\n")
    with pytest.raises(
        ModelError,
        match=r"need one case a line, but line 1 is none: busy needs a finite number, not 'much'; "
        r"remove it, or choose another file with --out$",
    ):
        known([CASE], path)


@given(st.floats(1e3, 1e9), st.integers(1, 10))
def test_rates_are_clock_over_cycles(cycles, less):
    slow, fast = (Throughput.of(CASE, row(CASE, cycles / each)) for each in (1, less))
    assert slow.frames_per_second * cycles == pytest.approx(rate_clock(CASE.config).hertz)
    assert fast.frames_per_second == pytest.approx(less * slow.frames_per_second)
    assert slow.memory_share * BOARD_MEMORY == pytest.approx(slow.frames_per_second * 4e6)
