import json

import pytest

from qnn.bench.methods import settings
from qnn.bench.runs import QUICK, RUNS, select
from qnn.errors import ModelError


def test_the_list_of_runs_is_frozen(golden):
    lines = [f"{run.name} {json.dumps(run.definition())}" for run in RUNS + QUICK]
    golden("runs.txt", "\n".join(lines) + "\n")


def test_every_run_has_a_name_of_its_own():
    names = [run.name for run in RUNS + QUICK]
    assert len(set(names)) == len(names)


def test_a_definition_is_what_json_gives_back():
    for run in RUNS + QUICK:
        assert json.loads(json.dumps(run.definition())) == run.definition()


def test_runs_are_selected_by_name_or_pattern():
    assert [run.name for run in select(RUNS, ["discquant-w3a8-resnet20"])] == [
        "discquant-w3a8-resnet20"
    ]
    chosen = [run.name for run in select(RUNS, ["nearest-w?a8-resnet20", "gptq-w3a8-*20"])]
    assert chosen == [
        "nearest-w4a8-resnet20",
        "nearest-w3a8-resnet20",
        "gptq-w3a8-resnet20",
        "nearest-w2a8-resnet20",
    ]
    assert select(RUNS, []) == RUNS


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(ModelError) as caught:
        select(RUNS, ["nearest-*", "resnet"])
    assert str(caught.value) == (
        "bench accuracy needs the name of a run or a pattern, but none matches 'resnet'; --list "
        "shows them"
    )


def test_options_of_later_leave_the_definitions_of_before():
    plain, told = select(RUNS, ["latent-w3x1.5-stories260k*"])
    assert told.name == "latent-w3x1.5-stories260k-next"
    assert "next_share" not in settings(plain)
    assert settings(told) == settings(plain) | {"next_share": 0.6, "steps": 800}
