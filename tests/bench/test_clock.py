import json

import pytest

from qnn.bench import clock
from qnn.bench.clock import Clock


@pytest.fixture
def now(monkeypatch):
    """The time, which a test moves."""
    held = [100.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: held[0])
    return held


def test_seconds_of_processes_add_up(tmp_path, now):
    path = tmp_path / "seconds.json"
    first = Clock.at(path)
    with first.running():
        now[0] += 3
    now[0] += 50
    second = Clock.at(path)
    with second.running():
        now[0] += 4
    assert (first.seconds, second.seconds) == (3, 7)


def test_seconds_are_noted_when_work_is_interrupted(tmp_path, now):
    path = tmp_path / "seconds.json"
    first = Clock.at(path)

    def work():
        with first.running():
            now[0] += 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert Clock.at(path).seconds == 3


def test_a_killed_process_loses_no_more_than_the_time_between_notes(tmp_path, now):
    path = tmp_path / "seconds.json"
    running = Clock.at(path)
    with running.running():
        for _ in range(9):
            now[0] += 1
            running.tick()
        assert json.loads(path.read_text()) == {"seconds": 5}


def test_a_note_that_cannot_be_read_counts_nothing(tmp_path):
    path = tmp_path / "seconds.json"
    for text in ("", "[]", '{"seconds": null}'):
        path.write_text(text)
        assert Clock.at(path).seconds == 0
