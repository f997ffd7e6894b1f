"""Random networks through all executors: a few always, and as many as a release needs."""

import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from qnn.farm.done import Done
from tests.models import FAMILIES
from tests.random_networks import campaign
from tests.random_networks.campaign import FAILED, PASSED, REFUSED, Result, drawn, read_results
from tests.random_networks.reached import REACHED
from tests.random_networks.table import table

DRAWN = 900  # networks: drawing takes milliseconds each
FEW = 12  # networks in the tests of every day
# Of them some reach each of these; a campaign has to reach all of REACHED.
USUAL = ("conv", "table", "image", "several instructions a layer", "terms by channel", "skip")


def test_every_kind_of_block_is_drawn():
    found = Counter(kind for number in range(DRAWN) for kind in drawn(0, number).kinds)
    named = [f"{family}: {name}" for family, kinds in FAMILIES.items() for name in kinds]
    assert [kind for kind in named if not found[kind]] == []


def test_a_number_is_always_the_same_network():
    one, again, other = (str(drawn(0, number).model) for number in (5, 5, 6))
    assert one == again != other


def test_a_few_networks_are_the_same_on_all_executors():
    results = campaign.some("functional", 0, list(range(FEW)))
    assert [each.error for each in results if each.error] == []
    kinds = {kind for each in results for kind in each.kinds}
    assert set(USUAL) <= kinds


def test_a_campaign_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    made = []

    def some(device, seed, numbers):
        made.extend(numbers)
        # Every fourth fits no configuration, and is not counted.
        results = {n: REFUSED if n % 4 == 3 else PASSED for n in numbers}
        return [Result(number=n, result=each, seconds=0.5) for n, each in results.items()]

    monkeypatch.setattr(campaign, "some", some)
    monkeypatch.setattr(campaign, "Farm", _AtOnce)
    file = tmp_path / "results.jsonl"
    first = campaign.run_campaign("functional", 10, 0, 1, file)
    assert sum(each.result == PASSED for each in first) >= 10
    with file.open("a") as lines:
        lines.write('{"number": 99')  # as a process that was killed leaves it
    done, made[:] = {each.number for each in first}, []
    more = campaign.run_campaign("functional", 30, 0, 1, file)
    assert not done & {*made}
    assert {each.number for each in more} == done | {*made}
    assert [asdict(each) for each in read_results(file)] == [asdict(each) for each in more]


class _AtOnce:
    """Stands for workers and does all at once."""

    def __init__(self, jobs):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, function, items):
        return (Done(n, item, function(item), None, 1, 0.0) for n, item in enumerate(items))


def test_networks_over_which_workers_die_are_failures(tmp_path, monkeypatch):
    class Deadly(_AtOnce):
        def run(self, function, items):
            return (Done(n, item, None, "its worker died", 3, 1.0) for n, item in enumerate(items))

    monkeypatch.setattr(campaign, "Farm", Deadly)
    found = campaign.run_campaign("functional", 3, 0, 1, tmp_path / "results.jsonl")
    assert {(each.result, each.error) for each in found} == {(FAILED, "its worker died")}
    assert [each.number for each in found] == list(range(campaign.AT_ONCE["functional"]))


def test_a_difference_is_a_failure_with_its_network(monkeypatch):
    from tests.random_networks import chain

    def wrong(graph, x):
        tensors = whole(graph, x)
        name = next(reversed(tensors))
        return tensors | {name: tensors[name] + 1}

    whole = chain.expected_tensors
    monkeypatch.setattr(chain, "expected_tensors", wrong)
    (found,) = campaign.some("functional", 0, [1])
    assert found.result == FAILED
    assert "Arrays are not equal" in found.error


def test_the_table_tells_what_passed_and_what_was_reached():
    results = [
        Result(
            number=0,
            result=PASSED,
            seconds=1.0,
            values=7,
            kinds=("conv", "conv", "function: silu"),
            target="test",
        ),
        Result(number=1, result=FAILED, seconds=2.0, error="why"),
        Result(number=2, result=REFUSED, seconds=3.0),
    ]
    counts = ", ".join(f"{kind} {int(kind == 'conv')}" for kind in REACHED)
    assert (
        table(results)
        == f"""\
1 networks passed, 1 failed, 1 fit no configuration; 7 values equal; 6 s
compiled for: test 1
reached: {counts}
put together from: function: silu 1"""
    )


@pytest.mark.networks
@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    ("device", "networks"),
    [("functional", 10_000), pytest.param("rtl", 300, marks=pytest.mark.rtl)],
)
def test_as_many_networks_as_a_release_needs(device, networks, tmp_path):
    folder = Path(os.environ.get("QNN_NETWORKS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    jobs = len(os.sched_getaffinity(0))
    results = campaign.run_campaign(device, networks, 0, jobs, folder / f"{device}.jsonl")
    print(table(results))
    assert [(each.number, each.error) for each in results if each.result == FAILED] == []
    reached = {kind for each in results for kind in each.kinds}
    assert [kind for kind in REACHED if kind not in reached] == []
