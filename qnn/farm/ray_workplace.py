"""What a Ray actor runs: the same as the process of a worker does."""

from qnn.farm.group import guard_group
from qnn.farm.order import Workplace
from qnn.farm.same_code import code_of_machine
from qnn.farm.threads import set_threads


class RayWorkplace:
    """A worker on a machine of the cluster."""

    def __init__(self, threads: int):
        set_threads(threads)
        guard_group()
        self._workplace = Workplace()

    def ready(self) -> str:
        """What code this machine has."""
        return code_of_machine()

    def carry_out(self, key: int, function: bytes, item: bytes) -> bytes:
        """The encoded answer of a function to an item."""
        self._workplace.learn(key, function)
        return self._workplace.carry_out(item)
