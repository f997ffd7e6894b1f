"""Runs a function over items in workers: processes of this machine, or those of a Ray cluster."""

import itertools
import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from qnn.errors import ArgumentError, QnnWarning, ToolError
from qnn.farm.crew import Crew, Worker, WorkerLost
from qnn.farm.done import Done
from qnn.farm.order import ItemAnswer, decoded, encoded
from qnn.farm.processes import ProcessCrew

TRIES = 3  # of an item whose workers die: a machine's want of memory may pass, a fault does not
BARREN = 3  # workers that die without an answer, one after the other, before nobody is hired anew
# Of the first worker, to begin: a cluster may have to start processes, on a disk that is slow.
START_SECONDS = 120.0


@dataclass(eq=False)
class _Task:
    """One item on its way; ``until`` is when the worker that has it is given up."""

    index: int
    item: Any
    data: bytes
    tries: int = 0
    until: float | None = None


class Farm:
    """Workers, for as long as a ``with`` block lasts.

    Results do not depend on how many workers there are, as each computes with the same number of
    threads; only the order in which items end does.

    Parameters
    ----------
    workers : at the same time, at most; by default one for each core of this machine or, with Ray,
        of the cluster, over ``threads``
    ray : "auto" or HOST:PORT of a Ray cluster, whose workers they are; None: of this machine
    threads : that each worker computes with
    tries : workers that may die over one item
    """

    def __init__(
        self,
        workers: int | None = None,
        ray: str | None = None,
        *,
        threads: int = 1,
        tries: int = TRIES,
    ):
        for name, number in {"workers": workers, "threads": threads, "tries": tries}.items():
            if number is not None and number < 1:
                raise ArgumentError(f"farm: {name} must be at least 1, not {number}")
        self._asked, self._address, self._threads, self._tries = workers, ray, threads, tries
        self.workers = workers
        self._crew: Crew | None = None
        self._starting: dict[Worker, float] = {}  # and when each was hired
        self._idle: list[Worker] = []
        self._busy: dict[Worker, _Task] = {}
        self._barren, self._keys = 0, itertools.count()
        self._running = False

    def __enter__(self) -> "Farm":
        if self._address is None:
            self._crew, cores = ProcessCrew(self._threads), len(os.sched_getaffinity(0))
        else:
            # Only then: Ray is an extra.
            from qnn.farm.ray_crew import RayCrew

            self._crew = RayCrew(self._address, self._threads)
            cores = self._crew.cores
        self.workers = self._asked or max(1, cores // self._threads)
        return self

    def __exit__(self, *_) -> None:
        workers = [*self._starting, *self._idle, *self._busy]
        for held in (self._starting, self._idle, self._busy):
            held.clear()
        try:
            self._crew.dismiss(workers)
        finally:
            self._crew.close()
            self._crew = None

    def run(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        seconds: float | None = None,
        until: float | None = None,
    ) -> Iterator[Done]:
        """Each item with what ``function`` gives for it, as it ends: in no order.

        What the function raises is the item's failure, and others go on. A worker that dies is
        replaced, and its item tried again.

        Parameters
        ----------
        function : of a module that workers can import, or a ``functools.partial`` of one, whose
            data go to each worker once
        items : plain data; they are taken as workers have time for them
        seconds : after which the worker of an item is ended, and the item has failed
        until : by ``time.monotonic``, when all workers are ended; items that have not ended by then
            are not given

        Raises
        ------
        ArgumentError
            The function or an item cannot be sent to a worker.
        ToolError
            No worker starts.
        """
        if self._crew is None:
            raise ArgumentError("farm: items are run inside of its 'with' block; open one")
        self._check_free()
        return self._results(encoded("the function", function), items, seconds, until)

    def _results(self, function, items, seconds, until):
        # Again: of two runs that were asked for before either began, the second has to wait too.
        self._check_free()
        self._running = True
        key, tasks = next(self._keys), _Tasks(items)
        try:
            while until is None or time.monotonic() < until:
                self._hand_out(key, function, tasks, seconds)
                if not self._busy and not tasks.waiting:
                    return
                ready = self._crew.wait([*self._busy, *self._starting], self._patience(until))
                for worker in ready:
                    yield from self._taken(worker, tasks)
                yield from self._overdue(seconds)
                self._check_start()
        finally:
            # Of a caller that has left before the end, or was interrupted: nobody waits for these.
            left = [*self._busy]
            self._busy.clear()
            self._running = False
            if left:
                self._crew.dismiss(left)

    def _check_free(self):
        if self._running:
            raise ArgumentError("farm: items are running already; take all of their results first")

    def _hand_out(self, key, function, tasks, seconds):
        """Give waiting tasks to idle workers, and hire for the rest."""
        tasks.fill(self.workers - len(self._busy))
        while tasks.waiting and self._idle:
            worker, task = self._idle.pop(), tasks.waiting.popleft()
            try:
                worker.give(key, function, task.data)
            except WorkerLost as lost:
                # It has not begun, so that it was no try.
                tasks.waiting.appendleft(task)
                self._lose(worker, lost)
                continue
            task.tries += 1
            task.until = None if seconds is None else time.monotonic() + seconds
            self._busy[worker] = task
        free = self.workers - len(self._busy) - len(self._idle)
        for _ in range(min(len(tasks.waiting), free) - len(self._starting)):
            self._starting[self._crew.hire()] = time.monotonic()

    def _patience(self, until) -> float | None:
        """Seconds until something is overdue; None where nothing can be."""
        ends = [task.until for task in self._busy.values()] + [until]
        if not self._busy:
            ends += [hired + START_SECONDS for hired in self._starting.values()]
        known = [end for end in ends if end is not None]
        return max(0.0, min(known) - time.monotonic()) if known else None

    def _taken(self, worker, tasks) -> Iterator[Done]:
        """What a worker has to say: of a task that has ended, its end."""
        try:
            data = worker.take()
            answer = None if data is None else _readable(data)
        except WorkerLost as lost:
            task = self._busy.get(worker)
            self._lose(worker, lost)
            if task is not None and task.tries < self._tries:
                tasks.waiting.appendleft(task)
            elif task is not None:
                died = "its worker died" + (f" {task.tries} times" if task.tries > 1 else "")
                yield _end(task, ItemAnswer(failure=f"{died}: {lost}"))
            return
        if answer is None:
            del self._starting[worker]
            self._idle.append(worker)
            return
        task = self._busy.pop(worker)
        self._idle.append(worker)
        self._barren = 0
        for text in answer.warned:
            warnings.warn(text, QnnWarning, stacklevel=2)
        yield _end(task, answer)

    def _overdue(self, seconds) -> Iterator[Done]:
        now = time.monotonic()
        late = [w for w, task in self._busy.items() if task.until is not None and now >= task.until]
        for worker in late:
            task = self._busy.pop(worker)
            worker.kill()
            yield _end(task, ItemAnswer(failure=f"needs more than {seconds:g} s", seconds=seconds))

    def _lose(self, worker, lost):
        """Take a worker off the books that has died.

        Raises
        ------
        ToolError
            Nobody gets as far as an answer.
        """
        began = self._busy.pop(worker, None)
        self._starting.pop(worker, None)
        # One that dies over an item may do so for the item's sake.
        self._barren += began is None
        if self._barren >= BARREN:
            raise ToolError(f"farm: {BARREN} workers died before they began an item: {lost}")

    def _check_start(self):
        """Raise where workers are waited for in vain."""
        if self._busy or self._idle or not self._starting:
            return
        if time.monotonic() - min(self._starting.values()) >= START_SECONDS:
            raise ToolError(
                f"farm: no worker has started in {START_SECONDS:g} s; free a core of the machine "
                f"or of the cluster, or ask for fewer --workers"
            )


class _Tasks:
    """Items that wait: those to try again first, then further ones as there is room for them."""

    def __init__(self, items):
        self._items = iter(enumerate(items))
        self.waiting: deque[_Task] = deque()

    def fill(self, count):
        """Take further items until ``count`` wait, or there are no more."""
        for index, item in itertools.islice(self._items, max(0, count - len(self.waiting))):
            self.waiting.append(_Task(index, item, encoded(f"item {index}", item)))


def _readable(data) -> ItemAnswer:
    try:
        return decoded(data)
    except Exception as error:  # any: results have pickling of their own
        return ItemAnswer(failure=f"its result cannot be read: {type(error).__name__}: {error}")


def _end(task, answer) -> Done:
    told = answer.result, answer.failure, task.tries, answer.seconds, answer.trace
    return Done(task.index, task.item, *told)
