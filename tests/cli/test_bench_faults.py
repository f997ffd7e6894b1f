import json
import signal

import pytest

from qnn.bench.faults import campaign
from qnn.cli import bench_faults
from tests.bench.test_fault_campaign import Faults


@pytest.fixture
def ten(monkeypatch):
    """Let the software campaign be of ten faults, which a test may give."""

    def use(faults):
        monkeypatch.setattr(campaign, "SoftwareFaults", lambda *_: faults)
        return faults

    monkeypatch.setattr(campaign, "_networks", lambda _seed: iter(()))
    return use


COMMAND = ("bench", "faults", "--hardware", "0", "--json", "--out")


def test_the_command_goes_on_where_it_was(qnn, ten, tmp_path, monkeypatch):
    path = tmp_path / "faults.jsonl"
    monkeypatch.setattr("sys.argv", ["qnn", *COMMAND, str(path)])
    ten(Faults(fatal=(4, signal.SIGTERM)))
    code, out, _ = qnn(*COMMAND, path)
    assert (code, json.loads(out)["error"]["message"]) == (
        130,
        f"interrupted: stopped after 4 of 10 faults, whose outcomes {path} has; go on with: "
        f"qnn bench faults --hardware 0 --json --out {path}",
    )
    rest = ten(Faults())
    code, out, _ = qnn(*COMMAND, path)
    assert rest.judged == list(range(4, 10))
    ten(Faults())
    assert (code, out) == qnn(*COMMAND, tmp_path / "other.jsonl")[:2]
    found = json.loads(out)
    assert {key: found[key] for key in bench_faults.COUNTS} == {
        "planted": 10,
        "found": 5,
        "localised": 0,
        "equivalent": 0,
        "found_by_tests": 0,
    }
