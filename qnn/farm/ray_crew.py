"""Workers that are actors of a Ray cluster."""

import re
from collections.abc import Sequence

from qnn.errors import ToolError, first_line
from qnn.farm.crew import WorkerLost
from qnn.farm.ray_address import connected
from qnn.farm.ray_workplace import RayWorkplace
from qnn.farm.same_code import code_of_machine


class RayCrew:
    """Asks a cluster for workers, on as many of its machines as there are.

    Parameters
    ----------
    address : "auto" or HOST:PORT
    threads : that each computes with, and cores that it takes of the cluster

    Raises
    ------
    ToolError
        Ray is not installed, or no cluster answers.
    """

    def __init__(self, address: str, threads: int):
        self._ray = connected(address)
        self._threads = threads
        # A worker that dies is ours to replace: Ray would try its item again without a count.
        self._kind = self._ray.remote(RayWorkplace).options(
            num_cpus=threads, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        self._key, self._function = None, None

    @property
    def cores(self) -> int:
        """Cores of all machines of the cluster."""
        return int(self._ray.cluster_resources().get("CPU", 1))

    def hire(self) -> "RayWorker":
        """Ask for a worker; it comes when the cluster has room for it."""
        return RayWorker(self, self._kind.remote(self._threads))

    def wait(self, workers: Sequence["RayWorker"], seconds: float | None) -> list["RayWorker"]:
        """Those that have something to take."""
        by_answer = {worker.answer: worker for worker in workers}
        ready, _ = self._ray.wait([*by_answer], num_returns=1, timeout=seconds)
        return [by_answer[answer] for answer in ready]

    def dismiss(self, workers: Sequence["RayWorker"]) -> None:
        """End workers at once: what they save at a step is on their disk."""
        for worker in workers:
            worker.kill()

    def close(self) -> None:
        """Leave the cluster."""
        self._ray.shutdown()

    def kept(self, key: int, function: bytes):
        """A reference to a function, which each machine fetches once."""
        if key != self._key:
            self._key, self._function = key, self._ray.put(function)
        return self._function

    def value(self, answer):
        """The value of a reference that is there.

        Raises
        ------
        WorkerLost
            The worker that was to give it has died.
        """
        try:
            return self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            raise WorkerLost(_told(error)) from None

    def end(self, actor) -> None:
        """End a worker at once."""
        self._ray.kill(actor)


class RayWorker:
    """An actor; ``answer`` refers to what it will have said next."""

    def __init__(self, crew: RayCrew, actor):
        self._crew, self._actor = crew, actor
        self.answer = actor.ready.remote()
        self._checked = False

    def give(self, key: int, function: bytes, item: bytes) -> None:
        """Let it begin an item."""
        self.answer = self._actor.carry_out.remote(key, self._crew.kept(key, function), item)

    def take(self) -> bytes | None:
        """The answer that is there; None of one that is ready to begin.

        Raises
        ------
        ToolError
            Its machine has other code than this one, so that results may differ.
        """
        value = self._crew.value(self.answer)
        if self._checked:
            return value
        ours = code_of_machine()
        if value != ours:
            raise ToolError(
                f"--ray needs the same code on all machines, but one has {value}, and this one "
                f"{ours}; install the same"
            )
        self._checked = True
        return None

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        self._crew.end(self._actor)


def _told(error) -> str:
    """What Ray says of a worker's end, in one line; its further lines are addresses and advice."""
    detail = re.search(r"Worker exit detail: ([^.]+)", str(error))
    return detail[1] if detail else first_line(error)
