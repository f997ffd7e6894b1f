"""The search: what it computes once, where it ends, and that no end of a process loses anything."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

from qnn.errors import PathError
from qnn.explore.command import terms_text
from qnn.explore.evaluate import profile_fingerprint
from qnn.explore.evaluation import Evaluated, Fidelity, RoundedNetwork
from qnn.explore.goals import Goals
from qnn.explore.methods.registry import METHODS, NEEDS
from qnn.explore.profiles import profiles_of
from qnn.explore.search import DESIGNS, FrontSearch, SearchLimits
from qnn.explore.store import MADE, store_at
from qnn.explore.told import Asked, asked_of, begin, picked
from qnn.explore.work import one_by_one
from qnn.interrupt import Interrupted
from tests.explore.landscape import PROFILE, judged_point, state

NETWORK = SimpleNamespace(digest="d")
ASKED = Asked(title="net", objectives=("accuracy", "fps", "lut"), constraints=(), options=("net",))


def judge(where, item):
    """An evaluation by formulas; in full, nearly the same."""
    point, fidelity, _known = item
    made = replace(judged_point(where, point), fidelity=fidelity)
    accuracy = {name: made.figures[name] for name in ("lost", "accuracy")}
    return replace(made, rounded=RoundedNetwork(accuracy, point.key.encode()))


def search(store, method="random", asked=lambda: False, run=None, seed=0, **limits):
    """A search, with the lines that it reports in ``lines``."""
    found, lines = state(seed=seed), []
    made = FrontSearch(
        network=NETWORK,
        state=found,
        method=METHODS[method],
        store=store,
        run=run or partial(one_by_one, partial(judge, found.space)),
        limits=SearchLimits(**{"evaluations": 20, "batch": 3} | limits),
        report=lines.append,
        asked=asked,
    )
    made.lines = lines
    return made


def test_the_front_is_made_in_full_and_no_point_is_computed_twice(tmp_path):
    with store_at(tmp_path / "s.sqlite") as store:
        first = search(store)
        front = first.result()
        assert front
        assert len(front) <= DESIGNS
        assert {each.fidelity for each in front} == {Fidelity.FULL}
        assert len(first.state.known) == 20
        assert first.computed == len(store.evaluations())
        again = search(store)
        assert again.result() == front
        assert again.computed == 0
        more = search(store, evaluations=26)
        more.result()
        assert len(more.state.known) == 26
        assert more.lines[0] == f"20 designs are known from {store.path}"


def test_points_of_another_network_or_fidelity_are_not_taken(tmp_path, monkeypatch):
    with store_at(tmp_path / "s.sqlite") as store:
        search(store).result()
        other = search(store)
        other.network = SimpleNamespace(digest="another")
        other.result()
        assert other.computed > 20


def test_a_search_ends_with_its_time(tmp_path):
    def slow(where, item):
        time.sleep(0.02)
        return judge(where, item)

    with store_at(tmp_path / "s.sqlite") as store:
        found = search(store, seconds=0.5, evaluations=None)
        found.run = partial(one_by_one, partial(slow, found.state.space))
        begun = time.monotonic()
        assert found.result()
        assert time.monotonic() - begun < 60
        assert 0 < len(found.state.known) < 40
    with store_at(tmp_path / "t.sqlite") as store:
        # Without any time, what there is is told.
        assert search(store, seconds=1e-9, evaluations=None).result() == []


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def timed(store, *, quick, full, profile=0.0, seconds=100.0, **limits):
    """A search whose clock goes on by ``quick`` or ``full`` seconds with each design.

    Designs that do not end by ``until`` are ended then, as a farm does it.
    """
    clock = Clock()

    def run(where, items, until=None):
        for done in one_by_one(partial(judge, where), items):
            took = full if done.item[1] is Fidelity.FULL else quick
            clock.now = min(clock.now + took, until)
            if clock.now == until:
                return
            yield done

    found = search(store, **{"seconds": seconds, "evaluations": None} | limits)
    found.clock, found.begun = clock, 0.0
    clock.now = profile
    found.__post_init__()
    found.run = partial(run, found.state.space)
    return found, clock


@pytest.mark.parametrize("profile", [0.0, 40.0, 99.0, 250.0])
@pytest.mark.parametrize(("quick", "full"), [(4, 5), (7, 31), (6, 1000), (1000, 1)])
def test_no_run_takes_a_quarter_more_than_its_time(tmp_path, quick, full, profile):
    with store_at(tmp_path / "s.sqlite") as store:
        found, clock = timed(store, quick=quick, full=full, profile=profile)
        found.result()
        assert clock.now <= max(125, profile)
        assert found.out_of_time
        # All that ended is kept, and none that was ended.
        assert len(store.evaluations()) == found.computed
        if profile > 100:
            assert found.computed == 0


def test_designs_in_full_have_a_share_of_the_time_and_what_is_left_is_told(tmp_path):
    with store_at(tmp_path / "s.sqlite") as store:
        found, clock = timed(store, quick=1, full=10, profile=40)
        made = found.result()
        # 60 % of 60 s for what is compared; then one after the other until 100 s.
        assert len(found.state.known) == 36
        assert len(found.made) == 3
        assert clock.now == 106
        assert {each.fidelity for each in made} == {Fidelity.FULL}
        assert found.left_out == len(found.state.front()) - 3
        assert found.lines[-3:] == [f"designs made in full: {n}" for n in (1, 2, 3)]
        # The same again goes on, and computes none of them twice.
        again, _ = timed(store, quick=1, full=1, seconds=1000, evaluations=36, designs=99)
        again.result()
        assert not again.out_of_time
        assert again.left_out == 0
        assert again.computed == 33


def test_what_was_made_in_full_can_be_picked_when_the_next_run_is_interrupted(tmp_path):
    with store_at(tmp_path / "s.sqlite") as store:
        begin(store, ASKED, "d")
        search(store, designs=6).result()
        before = {which: picked(store, which)[1] for which in ("fastest", "smallest", "knee")}
        stopped = search(store, designs=30, batch=1, asked=lambda: True)
        with pytest.raises(Interrupted):
            stopped.result()
        marks = store.fact(MADE)
        assert len(set(marks)) == len(marks) >= len(before)
        for design in before.values():
            assert picked(store, stopped.mark(design))[1] == design


def test_a_signal_stops_it_and_nothing_is_lost(tmp_path):
    with store_at(tmp_path / "s.sqlite") as store:
        counts = iter(range(100))
        stopped = search(store, asked=lambda: next(counts) >= 7)
        with pytest.raises(Interrupted, match=r"stopped; .*s\.sqlite has 8 evaluations"):
            stopped.result()
        found = search(store)
        assert found.result()
        assert found.computed == len(store.evaluations()) - 8


def test_what_a_worker_fails_at_is_told_and_tried_again_by_the_next_run(tmp_path):
    fails = {"left": 2}

    def run(where, items, until=None):
        for done in one_by_one(partial(judge, where), items):
            if fails["left"]:
                fails["left"] -= 1
                yield replace(done, result=None, failure="its worker died 3 times")
            else:
                yield done

    with store_at(tmp_path / "s.sqlite") as store:
        found = search(store)
        found.run = partial(run, found.state.space)
        assert found.result()
        told = [line for line in found.lines if line.startswith("a design was not evaluated: its")]
        assert len(told) == 2
        assert all(each.failure is None for each in store.evaluations().values())
        again = search(store)
        again.result()
        assert again.computed >= 2


# As many as each method needs before what it knows, and not chance alone, decides.
@pytest.mark.parametrize(("name", "count"), [("bayes", 13), ("nsga2", 22), ("greedy", 9)])
def test_what_is_proposed_does_not_depend_on_which_worker_ends_first(tmp_path, name, count):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], exc_type=ImportError)

    def backwards(where, items, until=None):
        yield from reversed(list(one_by_one(partial(judge, where), items)))

    def found(path, run=None):
        with store_at(path) as store:
            made = search(store, method=name, evaluations=count, batch=5, designs=3)
            if run is not None:
                made.run = partial(run, made.state.space)
            return made.result(), set(made.state.known)

    assert found(tmp_path / "a.sqlite") == found(tmp_path / "b.sqlite", backwards)


KILLED = """
import sys, time
from functools import partial
from pathlib import Path
from qnn.explore.store import store_at
from qnn.explore.work import one_by_one
from tests.explore.test_search import judge, search

def slow(where, item):
    found = judge(where, item)
    print(item[0].key, flush=True)
    time.sleep(0.05)
    return found

with store_at(Path(sys.argv[1])) as store:
    made = search(store)
    made.run = partial(one_by_one, partial(slow, made.state.space))
    made.result()
"""


def test_a_killed_search_goes_on_where_it_was(tmp_path):
    path = tmp_path / "s.sqlite"
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        begun = [process.stdout.readline() for _ in range(9)]
        os.kill(process.pid, signal.SIGKILL)
    assert all(begun)
    with store_at(path) as store:
        kept = store.evaluations()
        # All but the one that was under way, or two where the last line came late.
        assert 8 <= len(kept) <= 10
        found = search(store)
        assert found.result()
        assert found.computed == len(store.evaluations()) - len(kept)
        assert set(kept) <= set(store.evaluations())


def test_a_store_of_another_network_is_refused(tmp_path):
    path = tmp_path / "s.sqlite"
    with store_at(path) as store:
        begin(store, ASKED, "d")
        begin(store, replace(ASKED, objectives=("fps", "lut")), "d")
        assert asked_of(store).goals == Goals(("fps", "lut"))
        with pytest.raises(PathError) as refused:
            begin(store, replace(ASKED, title="other"), "e")
        assert str(refused.value) == (
            f"{path}: has designs of another network ('net' or other data), and not of 'other' as "
            f"it is now; name another file with --store"
        )
        with pytest.raises(PathError, match="another network \\(other weights or other data\\)"):
            begin(store, ASKED, "e")


def test_a_design_that_failed_in_full_is_none_to_pick(tmp_path):
    with store_at(tmp_path / "s.sqlite") as store:
        begin(store, ASKED, "d")
        found = search(store)
        front = found.result()
        before = {which: picked(store, which) for which in ("fastest", "smallest", "knee")}
        mark = "0123456789abcdef"
        failed = Evaluated(front[0].point, front[0].fidelity, failure="it does not fit")
        store.keep(mark, failed)
        store.keep_fact(MADE, [*store.fact(MADE), mark])
        assert {which: picked(store, which) for which in before} == before
        with pytest.raises(PathError) as told:
            picked(store, mark)
        assert mark[:8] not in str(told.value).partition("not '")[0]


def test_designs_are_picked_by_words_and_by_names(tmp_path):
    path = tmp_path / "s.sqlite"
    with store_at(path) as store:
        begin(store, ASKED, "d")
        with pytest.raises(PathError, match="no design within all constraints was made in full"):
            picked(store, "knee")
        found = search(store)
        front = found.result()
        assert picked(store, "fastest")[1].value("fps") == max(e.value("fps") for e in front)
        assert picked(store, "smallest")[1].value("lut") == min(e.value("lut") for e in front)
        name = found.mark(front[0])[:8]
        whole = replace(front[0], rounded=store.rounded_of(found.mark(front[0])))
        assert whole.graph == front[0].point.key.encode()
        assert picked(store, name) == (ASKED, whole)
        with pytest.raises(
            PathError, match=f"knee, fastest, smallest or one of .*{name}.*, not 'x'"
        ):
            picked(store, "x")


def counting(begun):
    """A run that notes which rounded networks were made, and fails where one is made twice."""

    def run(where, items, until=None):
        def made(item):
            point, fidelity, known = item
            found = judge(where, item)
            shared = str(fidelity), terms_text(point)
            if known is None:
                assert shared not in begun
                begun[shared] = found.rounded
            else:
                assert known == begun[shared]
            return replace(found, rounded=begun[shared])

        # All at once, as of many workers: none has seen what another one makes.
        yield from list(one_by_one(made, list(items)))

    return run


@pytest.mark.parametrize("batch", [1, 7, 20])
def test_designs_that_differ_in_hardware_alone_are_rounded_once(tmp_path, batch):
    begun = {}
    with store_at(tmp_path / "s.sqlite") as store:
        for count in (20, 40):
            found = search(store, batch=batch, evaluations=count)
            # Of one group of layers, three designs of terms are all that there are.
            found.state = replace(found.state, space=space_of_one_group())
            found.run = partial(counting(begun), found.state.space)
            assert found.result()
            assert len(found.state.known) == count
        assert len(store.evaluations()) > 40
        assert 3 <= len(begun) <= 6


def space_of_one_group():
    """The landscape's designs of which all layers have the same terms."""
    whole = state().space
    layers = tuple(layer for group in whole.groups for layer in group)
    return replace(whole, groups=(layers,))


def test_a_rounding_whose_worker_died_is_tried_by_the_next_design_of_it(tmp_path):
    begun, fails = {}, {"left": 1}

    def run(where, items, until=None):
        for done in counting(begun)(where, items):
            if fails["left"]:
                fails["left"] = 0
                del begun[str(done.item[1]), terms_text(done.item[0])]
                yield replace(done, result=None, failure="its worker died 3 times")
            else:
                yield done

    with store_at(tmp_path / "s.sqlite") as store:
        found = search(store, batch=10, evaluations=10)
        found.state = replace(found.state, space=space_of_one_group())
        found.run = partial(run, found.state.space)
        assert found.result()
        assert len(store.evaluations()) == found.computed


@pytest.mark.parametrize("fidelity", [Fidelity.QUICK, Fidelity.FULL])
def test_an_evaluation_of_the_store_without_what_it_is_compared_by_is_refused(tmp_path, fidelity):
    path = tmp_path / "s.sqlite"
    with store_at(path) as store:
        search(store).result()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE evaluations SET figures = '{}' WHERE fidelity = ?", (fidelity,))
    connection.close()
    with store_at(path) as store, pytest.raises(PathError, match="cut short or altered"):
        search(store).result()


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields["losses"].pop("a"),
        lambda fields: fields["losses"]["a"].pop("2"),
        lambda fields: fields["shares"].pop("b"),
        lambda fields: fields["products"].pop("c"),
        lambda fields: fields.update(anchors=[]),
    ],
)
def test_a_profile_of_the_store_that_is_not_whole_is_refused(tmp_path, change):
    fields = json.loads(json.dumps(PROFILE.to_fields()))
    with store_at(tmp_path / "s.sqlite") as store:
        name = profile_fingerprint(NETWORK, (3, 8))
        store.keep_fact(name, fields)
        assert profiles_of(NETWORK, [(3, 8)], store, print)[3, 8].complete((1, 4))
        change(fields)
        store.keep_fact(name, fields)
        with pytest.raises(PathError, match="cut short or altered"):
            profiles_of(NETWORK, [(3, 8)], store, print)
