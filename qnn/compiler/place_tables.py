"""Pass: which tables are on chip, where, and the loads of them before they are needed."""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import replace

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from hw.spec.isa.transfer import Transfer
from qnn.compiler.compilation import Compilation
from qnn.compiler.task import Task

NEVER = 1 << 62  # beyond the number of any task


def place_tables(state: Compilation) -> Compilation:
    """The state whose tasks say where their tables are, with loads of those that are not there."""
    return replace(state, tasks=tuple(_placed(state.tasks, state.data, state.config)))


def _placed(tasks, data, config) -> Iterator[Task]:
    needs = [data.tables.get(task.weights) for task in tasks]
    slots = _Slots(needs, config.tables)
    for number, (task, table) in enumerate(zip(tasks, needs, strict=True)):
        if table is None:
            yield task
            continue
        slot, found = slots.take(table, number)
        if not found:
            offset, tag = data.table_offsets[table], task.instruction.tag
            yield Task(_load(slot, offset, tag, config), hold=task.hold)
        yield replace(task, instruction=task.instruction.having(table_address=slot))


class _Slots:
    """The tables that are on chip, each in its slot, as one task after the other needs them."""

    def __init__(self, needs: list[bytes | None], count: int):
        self.held: list[bytes | None] = [None] * count
        self.used = [-1] * count  # the newest task that needed each
        self.coming: dict[bytes, deque[int]] = defaultdict(deque)
        for number, table in enumerate(needs):
            if table is not None:
                self.coming[table].append(number)

    def take(self, table: bytes, number: int) -> tuple[int, bool]:
        """The slot of the table that task ``number`` needs, and whether the table is there."""
        found = table in self.held
        slot = self.held.index(table) if found else self._next_slot()
        self.held[slot], self.used[slot] = table, number
        self.coming[table].popleft()
        return slot, found

    def _next_slot(self):
        # What is needed again last, so that the fewest loads are made; of several that are not
        # needed again, the one that has been free for longest, so that the load can begin early.
        return max(range(len(self.held)), key=lambda slot: (self._again(slot), -self.used[slot]))

    def _again(self, slot):
        coming = self.coming[self.held[slot]] if self.held[slot] is not None else ()
        return coming[0] if coming else NEVER


def _load(slot, offset, tag, config: SvpeConfig) -> Transfer:
    entries = 1 << config.table_bits
    return Transfer(
        op=Op.LOAD,
        region=Region.IMAGE,
        buffer=Buffer.TABLES,
        address=slot * entries,
        words=entries,
        offset=offset,
        tag=tag,
    )
