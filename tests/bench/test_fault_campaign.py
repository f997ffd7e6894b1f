"""A campaign of faults that ends early goes on where it was, with the same numbers."""

import json
import os
import signal
from dataclasses import dataclass, field

import pytest

from qnn.bench.faults.carry_out import carry_out
from qnn.bench.faults.outcome import PlantedFault
from qnn.bench.faults.outcome_file import OutcomeFile, campaign_digest
from qnn.errors import ModelError
from qnn.interrupt import Interrupted


@dataclass
class Faults:
    """Ten faults, each second of them found; ``fatal`` is where judging sends a signal."""

    digest: str = "d"
    fatal: tuple[int, signal.Signals] | None = None
    judged: list[int] = field(default_factory=list)

    @property
    def faults(self):
        return [f"fault {number}" for number in range(10)]

    def judge(self, number):
        self.judged.append(number)
        if self.fatal is not None and self.fatal[0] == number:
            os.kill(os.getpid(), self.fatal[1])
        return PlantedFault(f"fault {number}", "m", "found" if number % 2 else None)


def all_of(faults, path=None):
    return carry_out(faults, OutcomeFile(path), lambda *_: None)


def test_a_campaign_that_was_killed_goes_on_with_the_same_numbers(tmp_path):
    path = tmp_path / "faults.jsonl"
    child = os.fork()
    if child == 0:
        all_of(Faults(fatal=(6, signal.SIGKILL)), path)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    # As if the kill had come within a line.
    whole = path.read_text()
    path.write_text(whole + whole[: len(whole) // 13])

    again = Faults()
    assert all_of(again, path) == all_of(Faults())
    assert again.judged == [6, 7, 8, 9]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["number"] for line in lines] == list(range(10))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
def test_an_interrupted_campaign_keeps_no_outcome_of_the_fault_that_was_cut_short(tmp_path, number):
    path = tmp_path / "faults.jsonl"
    with pytest.raises(Interrupted) as caught:
        all_of(Faults(fatal=(3, number)), path)
    assert str(caught.value) == f"stopped after 3 of 10 faults, whose outcomes {path} has"
    again = Faults()
    assert all_of(again, path) == all_of(Faults())
    assert again.judged == list(range(3, 10))


def test_a_campaign_that_keeps_nothing_says_how_far_it_came():
    with pytest.raises(Interrupted) as caught:
        all_of(Faults(fatal=(0, signal.SIGTERM)))
    assert str(caught.value) == "stopped after 0 of 10 faults"


def test_outcomes_of_other_faults_are_not_taken(tmp_path):
    path = tmp_path / "faults.jsonl"
    all_of(Faults("a"), path)
    other, again = Faults("b"), Faults("a")
    all_of(other, path)
    all_of(again, path)
    assert (other.judged, again.judged) == (list(range(10)), [])


def test_a_digest_tells_parts_from_their_sum():
    assert campaign_digest([b"ab", b"c"]) == campaign_digest([b"ab", b"c"])
    assert len({campaign_digest(parts) for parts in ([b"ab", b"c"], [b"a", b"bc"], [b"abc"])}) == 3


@pytest.mark.parametrize("line", ["hello", "[]", '{"campaign": "d", "number": "1"}'])
def test_a_line_that_is_no_outcome_is_refused(tmp_path, line):
    path = tmp_path / "faults.jsonl"
    OutcomeFile(path).add("d", 0, PlantedFault("f", "m", None))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ModelError) as caught:
        OutcomeFile(path).known("d")
    assert str(caught.value) == (
        f"outcomes {path} need one outcome a line, but line 2 is none; remove it, or choose "
        f"another file with --out"
    )
