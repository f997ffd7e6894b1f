"""Measures every network of a list, each in a process of its own, and goes on where it was."""

import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from qnn.bench.lines import append_line, whole_lines
from qnn.bench.machine import commit
from qnn.bench.zoo.listed import ListedNetwork
from qnn.bench.zoo.row import NAMES, ZooRow
from qnn.bench.zoo.worker import PRELOADED, work
from qnn.errors import ModelError
from qnn.fields import FieldsError, parsed, typed

CONTEXT = multiprocessing.get_context("forkserver")
WHAT = "results"  # what the file holds, for errors
Progress = Callable[[int, int], None]  # done, in all


@dataclass(frozen=True)
class ZooLimits:
    """What one network may take: seconds of the clock, and mebibytes of address space."""

    seconds: float
    memory_mebibytes: int


@dataclass(frozen=True)
class ZooCampaign:
    """A list of networks and what they are measured with.

    Members
    -------
    folder : of the list, in which its own modules may lie
    config, terms : of the accelerator that they are compiled for, and of every weight
    """

    networks: Sequence[ListedNetwork]
    folder: Path
    config: str
    terms: int
    limits: ZooLimits

    def definition(self, network: ListedNetwork) -> dict:
        """All that a row depends on but the code, as JSON gives it back."""
        settings = {"config": self.config, "terms": self.terms, **asdict(self.limits)}
        return json.loads(json.dumps({"shapes": network.shapes, **settings}))

    def known(self, path: Path) -> dict[str, ZooRow]:
        """The newest row of each network that the file has, measured as it would be now."""
        wanted = {network.name: self.definition(network) for network in self.networks}
        rows = [row for row in read_rows(path) if wanted.get(row.name) == row.definition]
        return {row.name: row for row in rows}

    def run(self, path: Path, jobs: int, progress: Progress) -> list[ZooRow]:
        """A row of each network, in the order of the list; new ones are added to the file.

        Parameters
        ----------
        jobs : networks at the same time
        """
        CONTEXT.set_forkserver_preload(list(PRELOADED))
        code = commit()
        found = self.known(path)
        left = [network for network in self.networks if network.name not in found]
        progress(len(found), len(self.networks))
        with ThreadPoolExecutor(jobs) as pool:
            started = [pool.submit(self._measured, network, code) for network in left]
            try:
                for each in as_completed(started):
                    row = each.result()
                    # One after the other, here: the file has whole lines.
                    append_line(path, row.to_fields(), WHAT)
                    found[row.name] = row
                    progress(len(found), len(self.networks))
            finally:
                for each in started:
                    each.cancel()
        return [found[network.name] for network in self.networks]

    def _measured(self, network: ListedNetwork, code: str | None) -> ZooRow:
        row = ZooRow.of(network, code, self.definition(network))
        given = {
            "network": asdict(network),
            "settings": {"folder": str(self.folder), "config": self.config, "terms": self.terms},
            "memory_mebibytes": self.limits.memory_mebibytes,
        }
        took, gave = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=work, args=(given, gave), daemon=True)
        process.start()
        # Held by the process alone, so that its end is the end of what it tells.
        gave.close()
        ended = False
        try:
            ended = _listen(took, row, time.monotonic() + self.limits.seconds)
        finally:
            if not ended:
                process.kill()
            process.join()
        if not ended:
            row.lacks = [*row.lacks, f"needs more than {self.limits.seconds:g} s"]
        elif process.exitcode or not row.part_seconds:
            # One that was not even built has told nothing: it must not look like a measured one.
            row.lacks = [*row.lacks, f"its process ended with {process.exitcode}"]
        return row


def read_rows(path: Path) -> list[ZooRow]:
    """All rows of a file of results, the newest last; none if there is no file.

    Raises
    ------
    ModelError
        A line is no row.
    """
    return [_row(path, number, line) for number, line in whole_lines(path, WHAT)]


def _listen(told, row: ZooRow, until: float) -> bool:
    """Take what the process tells, until it ends; whether it ended in time."""
    while (left := until - time.monotonic()) > 0:
        if not told.poll(left):
            return False
        try:
            row.learn(told.recv())
        # The second: of a process that ended in the middle of a message.
        except (EOFError, OSError):
            return True
    return False


def _row(path, number, line) -> ZooRow:
    try:
        held = typed(dict, parsed(line))
        return typed(ZooRow, {name: value for name, value in held.items() if name in NAMES})
    except FieldsError:
        raise ModelError(
            f"results {path} need one network a line, but line {number} is none; remove it, or "
            f"choose another file with --out"
        ) from None
