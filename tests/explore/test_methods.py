"""Methods of search on a landscape of formulas: what each proposes, and what it finds."""

import sys

import numpy as np
import pytest
import torch

from qnn.cli.explore_options import METHODS as NAMED
from qnn.errors import ArgumentError, ToolError
from qnn.explore.evaluation import Evaluated, Fidelity
from qnn.explore.front import hypervolume
from qnn.explore.methods import registry
from qnn.explore.methods.registry import METHODS, NEEDS, method_named
from tests.explore.landscape import judged, state


@pytest.fixture(autouse=True, scope="module")
def few_samples():
    """Of the acquisition: as many as tell good designs from bad."""
    acquisition = pytest.importorskip("qnn.explore.methods.acquisition", exc_type=ImportError)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acquisition, "SAMPLES", 8)
        yield


def searched(name, count, batch=4, **given):
    """A search of so many designs by a method."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], exc_type=ImportError)
    found = state(**given)
    while len(found.known) < count:
        vectors = METHODS[name](found, min(batch, count - len(found.known)))
        if not vectors:
            break
        assert len(set(vectors)) == len(vectors)
        assert not set(vectors) & set(found.known)
        for vector in vectors:
            found.known[vector] = judged(found.space, vector)
    return found


def volume(found):
    """Of the front, in utilities above those of one bad design."""
    goals = found.goals
    kept = [each for each in found.known.values() if goals.feasible(each)]
    values = np.array([goals.utilities(each) for each in kept]).reshape(-1, 3)
    return hypervolume(values, np.array([80.0, 10.0, -12.0]))


@pytest.mark.parametrize("name", METHODS)
def test_a_search_goes_on_from_what_is_known(name):
    whole = searched(name, 16)
    assert len(whole.known) == 16
    # What else a process has drawn from common generators, such as in evaluations, changes nothing.
    torch.manual_seed(5)
    drawn = torch.random.get_rng_state()
    half = searched(name, 12)
    assert list(half.known) == list(whole.known)[:12]
    assert METHODS[name](half, 4) == list(whole.known)[12:16]
    assert torch.equal(torch.random.get_rng_state(), drawn)


@pytest.mark.parametrize("name", METHODS)
def test_designs_keep_bounds_of_cells_and_may_miss_others(name):
    found = searched(name, 12, constraints="lut<40000,accuracy>90")
    assert all(each.value("lut") <= 40000 for each in found.known.values())
    assert found.front()


@pytest.mark.parametrize("name", METHODS)
def test_a_space_that_is_used_up_ends_the_search(name):
    few = {"terms": (1,), "columns": (2, 4), "epilogue_words": (1,), "lanes": (8,), "rows": (8,)}
    found = searched(name, 100, **few)
    assert len(found.known) <= found.space.size == 4
    assert METHODS[name](found, 4) == []


@pytest.mark.parametrize("name", METHODS)
def test_designs_that_failed_are_no_obstacle(name):
    found = searched(name, 12)
    for vector in list(found.known)[::3]:
        point = found.space.point(vector)
        found.known[vector] = Evaluated(point, Fidelity.QUICK, failure="it does not fit")
    assert len(METHODS[name](found, 3)) == 3


def test_another_seed_is_another_search():
    assert list(searched("random", 6).known) != list(searched("random", 6, seed=1).known)


def test_bayes_finds_more_than_random_search_does_mostly():
    random = sorted(volume(searched("random", 20, seed=seed)) for seed in range(9))
    assert volume(searched("bayes", 20)) > random[6]


def test_the_greedy_path_rises_from_one_term_to_the_most():
    found = searched("greedy", 40)
    terms = [sum(each.point.terms.values()) for each in found.known.values()]
    assert terms[0] == 5
    assert max(terms) == 15
    assert len({each.point.size for each in found.known.values()}) > 3


@pytest.mark.parametrize(("name", "package"), NEEDS.items())
def test_a_method_without_its_package_says_what_to_install(name, package, monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda _name: None)
    with pytest.raises(ToolError) as refused:
        method_named(name)
    assert str(refused.value) == (
        f"--method {name} needs {package}; install it with pip install 'qnn[explore]', or take "
        f"--method random or greedy"
    )
    assert method_named("random") is METHODS["random"]


def test_random_and_greedy_need_no_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "botorch", None)
    monkeypatch.setitem(sys.modules, "pymoo", None)
    for name in ("random", "greedy"):
        assert len(searched(name, 4).known) == 4


def test_the_command_line_names_the_methods_that_there_are():
    assert set(NAMED) == set(METHODS)
    with pytest.raises(ArgumentError, match="method must be one of bayes, random, nsga2, greedy"):
        method_named("luck")
