import json

from typer.testing import CliRunner

from qnn.bench.fuzz import campaign
from qnn.cli.app import app


def run(monkeypatch, outcomes, *arguments):
    """``qnn bench fuzz`` of a campaign with these outcomes, and what it was asked for."""
    asked = {}

    def run_campaign(seed, count, *, first, jobs, targets, progress):
        names = targets and [each.name for each in targets]
        asked.update(seed=seed, count=count, first=first, jobs=jobs, only=names)
        found = campaign.Campaign(seed)
        for index, outcome in enumerate(outcomes):
            found.add(index, "graph", outcome, "why")
        return found

    monkeypatch.setattr(campaign, "run_campaign", run_campaign)
    return CliRunner().invoke(app, ["bench", "fuzz", *arguments]), asked


def test_hostile_files_that_are_taken_or_refused_are_a_success(monkeypatch):
    result, asked = run(
        monkeypatch, ["refused", "accepted"], "--seed", "5", "--count", "2", "--json"
    )
    assert result.exit_code == 0
    assert asked == {"seed": 5, "count": 2, "first": 0, "jobs": 1, "only": None}
    found = json.loads(result.stdout)
    names = ("inputs", "refused", "accepted", "escaped", "hung")
    assert [found[name] for name in names] == [2, 1, 1, 0, 0]


def test_an_escape_is_named_with_its_number_and_is_a_mismatch(monkeypatch):
    result, _ = run(monkeypatch, ["refused", "escaped", "hung"])
    assert result.exit_code == 1
    assert "escaped graph --first 1: why" in result.stdout
    assert "hung graph --first 2: why" in result.stdout


def test_readers_are_chosen_by_their_names(monkeypatch):
    result, asked = run(monkeypatch, ["escaped"], "--only", "pt2", "--only", "named data")
    assert asked["only"] == ["named data", "pt2"]
    assert "escaped graph --first 0 --only 'pt2' --only 'named data': why" in result.stdout
