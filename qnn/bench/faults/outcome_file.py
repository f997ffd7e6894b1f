"""Outcomes of a campaign on disk, a JSON line each, so that a campaign that ended early goes on."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from qnn.bench.faults.outcome import PlantedFault
from qnn.bench.lines import append_line, whole_lines
from qnn.errors import ModelError
from qnn.fields import FieldsError, parsed, typed

WHAT = "outcomes"  # what the file holds, for errors


@dataclass(frozen=True)
class _Line:
    """One line of the file: an outcome, and which fault of which campaign it is of.

    Members
    -------
    campaign : digest of all that decides which faults there are, and of what has them
    number : of the fault in its campaign, from 0
    """

    campaign: str
    number: int
    outcome: PlantedFault


@dataclass(frozen=True)
class OutcomeFile:
    """The outcomes of any number of campaigns; without a path nothing is kept."""

    path: Path | None

    def known(self, campaign: str) -> dict[int, PlantedFault]:
        """The outcomes of a campaign, by the number of the fault; of two the later one.

        Raises
        ------
        ModelError
            It is no file, or a whole line is no outcome. A last line that is cut is none, too, and
            left out.
        """
        if self.path is None:
            return {}
        lines = [_line(self.path, *each) for each in whole_lines(self.path, WHAT)]
        return {line.number: line.outcome for line in lines if line.campaign == campaign}

    def add(self, campaign: str, number: int, outcome: PlantedFault) -> None:
        """Append an outcome, which is on disk when this returns.

        Raises
        ------
        ModelError
            The file cannot be written.
        """
        if self.path is not None:
            append_line(self.path, asdict(_Line(campaign, number, outcome)), WHAT)


def campaign_digest(parts: Iterable[bytes]) -> str:
    """A name for the campaign that all of ``parts`` decide."""
    digest = hashlib.sha256()
    for part in parts:
        # Its size first, so that no part runs into the next one.
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()[:16]


def _line(path, number, text) -> _Line:
    try:
        return typed(_Line, parsed(text))
    except FieldsError:
        raise ModelError(
            f"outcomes {path} need one outcome a line, but line {number} is none; remove it, or "
            f"choose another file with --out"
        ) from None
