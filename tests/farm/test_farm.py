"""Items over workers that are processes: nothing is lost, and nobody is left behind."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.errors import ArgumentError, QnnWarning, ToolError
from qnn.farm import processes
from qnn.farm.farm import Farm
from qnn.farm.threads import VARIABLES, set_threads, threads_of_torch
from tests.farm import work

SECONDS = 30  # for what takes milliseconds, on a machine that does other things


@pytest.fixture(scope="module", params=[1, 3])
def farm(request):
    with Farm(request.param) as workers:
        yield workers


def results(farm, function, items, **options):
    """Result and failure of each item, in the order of the items."""
    found = sorted(farm.run(function, items, **options), key=lambda done: done.index)
    assert [done.item for done in found] == list(items)
    return [(done.result, done.failure) for done in found]


def expected(number):
    if number % 2:
        return None, f"{number} is odd and cannot be halved"
    return (None, f"ValueError: {number} is negative") if number < 0 else (number // 2, None)


def wait_for(paths):
    """The texts of files that workers write."""
    until = time.monotonic() + SECONDS
    while not all(path.exists() for path in paths):
        assert time.monotonic() < until, f"not written: {[p for p in paths if not p.exists()]}"
        time.sleep(0.01)
    return [path.read_text() for path in paths]


def gone(pid):
    """Whether a process has ended; one that only waits for its parent has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def all_end(pids):
    until = time.monotonic() + SECONDS
    while not all(map(gone, pids)):
        assert time.monotonic() < until, f"still there: {[pid for pid in pids if not gone(pid)]}"
        time.sleep(0.01)


@given(st.lists(st.integers(-20, 20), max_size=40))
@settings(max_examples=25)
def test_each_item_has_what_the_function_gives_or_says_in_one_line(farm, items):
    assert results(farm, work.halved, items) == [expected(number) for number in items]


def test_an_error_that_is_no_refusal_has_its_trace(farm):
    found = sorted(farm.run(work.halved, [2, 3, -2]), key=lambda done: done.index)
    assert [done.trace is None for done in found] == [True, True, False]
    assert found[2].trace.splitlines()[-2:] == ["ValueError: -2", "is negative"]
    assert "in halved" in found[2].trace


def test_data_of_the_function_go_with_it_and_another_function_replaces_it(farm):
    for factor in (b"ab", 3, 5):
        assert results(farm, partial(work.scaled, factor), range(6)) == [
            (factor * number, None) for number in range(6)
        ]


@pytest.mark.parametrize("workers", [1, 2])
def test_items_of_workers_that_are_killed_are_tried_again(tmp_path, workers):
    with Farm(workers) as farm:
        found = sorted(farm.run(partial(work.once, tmp_path), range(7)), key=lambda d: d.index)
    assert [(done.result, done.failure) for done in found] == [(n * n, None) for n in range(7)]
    assert [done.tries for done in found] == [2 if n % 3 == 0 else 1 for n in range(7)]


def test_an_item_that_ends_each_worker_is_a_failure_in_one_line_and_the_others_go_on():
    died = "its worker died 2 times: "
    with Farm(2, tries=2) as farm:
        assert results(
            farm, work.ended, ["killed", "well", "segfault", "left", "exit", "last"]
        ) == [
            (None, f"{died}killed by SIGKILL, as the system does where memory is short"),
            ("well", None),
            (None, f"{died}killed by SIGSEGV"),
            (None, f"{died}its process ended with 3"),
            (None, f"{died}its process ended with 4"),
            ("last", None),
        ]


def test_an_item_that_takes_too_long_has_failed_and_what_it_started_has_ended(tmp_path):
    with Farm(1) as farm:
        function = partial(work.with_child, tmp_path)
        assert results(farm, function, ["waits"], seconds=2) == [(None, "needs more than 2 s")]
        all_end(wait_for([tmp_path / "waits"])[0].split())
        assert results(farm, work.halved, [4], seconds=SECONDS) == [(2, None)]


def test_nothing_ends_or_begins_after_the_time_of_all_items(tmp_path):
    with Farm(1) as farm:
        # The worker is there before the time begins.
        assert results(farm, work.halved, [4]) == [(2, None)]
        until = time.monotonic() + 3
        function = partial(work.with_child, tmp_path)
        assert list(farm.run(function, ["waits", "also"], until=until)) == []
        assert until <= time.monotonic() < until + SECONDS
        all_end(wait_for([tmp_path / "waits"])[0].split())
        assert not (tmp_path / "also").exists()
        assert list(farm.run(work.halved, [4], until=until)) == []
        assert results(farm, work.halved, [4], until=time.monotonic() + SECONDS) == [(2, None)]


def test_what_a_killed_worker_has_started_ends_with_it(tmp_path):
    with Farm(1, tries=1) as farm:
        ((_, failure),) = results(farm, partial(work.with_child, tmp_path), ["killed"])
        assert failure.startswith("its worker died: killed by SIGKILL")
        all_end((tmp_path / "killed").read_text().split())


def test_all_workers_end_with_the_block_and_what_they_started_with_them(tmp_path):
    with Farm(2) as farm:
        pids = {result for result, _ in results(farm, work.process, range(20))}
        ((child, _),) = results(farm, partial(work.with_child, tmp_path), ["stays"])
    all_end([*pids, child])


PARENT = """
import sys
from functools import partial
from qnn.farm.farm import Farm
from tests.farm import work

with Farm(2) as farm:
    for done in farm.run(partial(getattr(work, sys.argv[1]), sys.argv[2]), sys.argv[3:]):
        print(done)
"""


def started(*arguments):
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, *map(str, arguments)],
        cwd=root,
        env=environment,
        stderr=subprocess.PIPE,
        # As a shell's jobs have it, whatever the process that runs the tests ignores.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    with started("with_child", tmp_path, "waits", "waits ") as parent:
        (pids,) = wait_for([tmp_path / "waits"])
        parent.kill()
    all_end(pids.split())


def test_ctrl_c_lets_work_save_and_ends_all_workers(tmp_path):
    with started("saved", tmp_path, "a", "b") as parent:
        pids = wait_for([tmp_path / "a.began", tmp_path / "b.began"])
        parent.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in parent.stderr.read().decode().splitlines()[-1]
    assert [path.read_text() for path in sorted(tmp_path.glob("*.saved"))] == ["whole", "whole"]
    assert list(tmp_path.glob("*.part")) == []
    all_end(pids)


def test_a_caller_that_leaves_early_ends_what_is_under_way_and_may_go_on():
    with Farm(2) as farm:
        for done in farm.run(work.slept, [0, 600, 600]):
            assert done.result == 0
            break
        assert results(farm, work.halved, [2, 4]) == [(1, None), (2, None)]


def test_items_are_taken_as_there_is_room_for_them():
    taken = []

    def items():
        for number in range(0, 40, 2):
            taken.append(number)
            yield number

    with Farm(2) as farm:
        for ended, _ in enumerate(farm.run(work.halved, items())):
            assert len(taken) <= ended + 1 + 2


def test_no_more_workers_start_than_there_are_items():
    with Farm(8) as farm:
        assert len({result for result, _ in results(farm, work.process, range(1))}) == 1
        assert len(farm._idle) + len(farm._starting) == 1


def test_each_worker_computes_with_the_threads_that_it_is_told():
    for threads in (1, 2):
        with Farm(1, threads=threads) as farm:
            ((found, _),) = results(farm, work.settings, [0])
        assert found == {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def test_threads_of_torch_are_as_before_afterwards():
    import torch

    before = torch.get_num_threads()
    with threads_of_torch(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_threads_of_a_process_that_has_loaded_torch_are_set_too(monkeypatch):
    import torch

    before = torch.get_num_threads()
    for name in VARIABLES:
        monkeypatch.setenv(name, "1")
    try:
        set_threads(before + 1)
        assert torch.get_num_threads() == before + 1
        assert {os.environ[name] for name in VARIABLES} == {str(before + 1)}
    finally:
        torch.set_num_threads(before)


def test_warnings_of_ours_come_to_the_caller(farm):
    with pytest.warns(QnnWarning) as said:
        assert results(farm, work.warned, ["few images"]) == [("few images", None)]
    assert [str(each.message) for each in said] == ["few images"]


def test_a_result_that_cannot_come_back_is_a_failure_of_its_item(farm):
    ((_, sent),) = results(farm, work.unsendable, [0])
    assert sent.startswith("its result cannot be sent back: ")
    assert "unsendable.<locals>.<lambda>" in sent
    assert results(farm, work.unreadable, [0]) == [
        (None, "its result cannot be read: ValueError: not to be read")
    ]


def test_a_function_that_workers_cannot_import_fails_each_item(farm, monkeypatch):
    import types

    module = types.ModuleType("only_here")
    exec("def function(item): return item", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    lacks = "a worker cannot import the function: ModuleNotFoundError: No module named 'only_here'"
    assert results(farm, module.function, [1, 2]) == [(None, lacks)] * 2


def of_script(item):
    return item


def test_what_cannot_be_sent_is_refused(farm, monkeypatch):
    plain = "must be a function of a module or plain data, but cannot be sent to a worker: "
    with pytest.raises(ArgumentError) as error:
        farm.run(lambda item: item, [1])
    assert str(error.value).startswith(f"farm: the function {plain}")
    with pytest.raises(ArgumentError) as error:
        list(farm.run(work.halved, [2, lambda: None]))
    assert str(error.value).startswith(f"farm: item 1 {plain}")
    monkeypatch.setattr(of_script, "__module__", "__main__")
    for function in (of_script, partial(of_script, 1)):
        with pytest.raises(ArgumentError) as error:
            farm.run(function, [1])
        assert str(error.value) == (
            "farm: the function must be of a module that workers can import, not of the script "
            "that runs; move it into a module"
        )
    assert results(farm, work.halved, [2]) == [(1, None)]


@pytest.mark.parametrize("name", ["workers", "threads", "tries"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ArgumentError) as error:
        Farm(**{name: 0})
    assert str(error.value) == f"farm: {name} must be at least 1, not 0"


def test_items_are_run_inside_of_the_block_and_one_run_at_a_time():
    farm = Farm(1)
    with pytest.raises(ArgumentError) as error:
        farm.run(work.halved, [2])
    assert str(error.value) == "farm: items are run inside of its 'with' block; open one"
    with farm:
        first = farm.run(work.slept, [0, 0.2])
        next(first)
        list(first)
        running = "farm: items are running already; take all of their results first"
        first, second = farm.run(work.halved, [2, 4, 6]), farm.run(work.halved, [2])
        next(first)
        with pytest.raises(ArgumentError) as error:
            farm.run(work.halved, [2])
        assert str(error.value) == running
        with pytest.raises(ArgumentError) as error:
            next(second)
        assert str(error.value) == running
        assert len(list(first)) == 2


def test_workers_that_never_begin_are_refused(monkeypatch):
    monkeypatch.setattr(processes.sys, "executable", "/bin/false")
    with Farm(1) as farm, pytest.raises(ToolError) as error:
        list(farm.run(work.halved, [2]))
    assert str(error.value) == (
        "farm: 3 workers died before they began an item: its process ended with 1"
    )
