"""The campaign of hostile files finds nothing in our readers, and all that is planted in others."""

import shutil
from pathlib import Path
from random import Random

import pytest

from qnn.bench.fuzz.campaign import ESCAPED, HUNG, Escape, run_campaign
from qnn.bench.fuzz.mutate import mutated, mutated_json
from qnn.bench.fuzz.target import READERS
from qnn.bench.fuzz.targets import TARGETS
from tests.bench.planted_readers import PLANTED, planted

SHORT = 16 * len(TARGETS)  # files: some of each kind for each reader
HUNG_SECONDS = 3.0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    from qnn.bench.fuzz.corpus import make_corpus

    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


def test_every_reader_takes_or_refuses_hostile_files(corpus):
    campaign = run_campaign(3, SHORT, corpus=corpus)
    assert campaign.findings == []
    assert campaign.passed
    fields = campaign.to_fields()
    assert fields["inputs"] == SHORT == fields["refused"] + fields["accepted"]
    assert fields["escaped"] == fields["hung"] == 0
    assert fields["by_target"].keys() == {target.name for target in TARGETS}
    # Where all were refused, or none, the files would be too wild or too tame.
    assert 0.02 < fields["accepted"] / SHORT < 0.6


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_file_that_is_changed_is_one_that_its_reader_takes(target, corpus, tmp_path):
    # A reader that refused everything would pass any campaign.
    valid = corpus / target.valid
    copy = shutil.copytree if valid.is_dir() else shutil.copy
    target.read(Path(copy(valid, tmp_path / valid.name)), corpus)


def test_planted_faults_are_found_each_by_its_number(tmp_path):
    targets = [planted(read) for read in PLANTED]
    campaign = run_campaign(0, 9, targets=targets, corpus=tmp_path, hung_seconds=HUNG_SECONDS)
    fields = campaign.to_fields()
    counts = {name: fields[name] for name in ("inputs", "refused", "accepted", "escaped", "hung")}
    # The ninth input is for the first target again: the campaign goes on behind a process's end.
    assert counts == {"inputs": 9, "refused": 1, "accepted": 2, "escaped": 5, "hung": 1}
    assert not campaign.passed
    found = {finding.target: finding for finding in campaign.findings}
    assert found["escapes"].text.startswith("KeyError: 'kind' at ")
    assert found["hoards"].text.startswith("MemoryError:  at ")
    assert found["hides"] == Escape(5, "hides", ESCAPED, "MemoryError() was refused")
    assert found["dies"] == Escape(6, "dies", ESCAPED, "the process ended with 7")
    assert found["hangs"] == Escape(7, "hangs", HUNG, f"silent for {HUNG_SECONDS:g} s")
    assert found["leaves"].index == 3


def test_readers_are_named_as_they_are():
    assert tuple(each.name for each in TARGETS) == READERS


def test_no_inputs_are_no_campaign_that_passed(tmp_path):
    assert not run_campaign(0, 0, targets=[planted(PLANTED[0])], corpus=tmp_path).passed


def test_the_same_seed_and_number_give_the_same_value():
    value = {"a": [1, 2, {"b": "c"}], "d": None}
    for seed in range(300):
        one, two = (mutated(Random(seed), value) for _ in range(2))
        assert repr(one) == repr(two)
        assert mutated_json(Random(seed), value) == mutated_json(Random(seed), value)
    assert value == {"a": [1, 2, {"b": "c"}], "d": None}
