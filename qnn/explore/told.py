"""What a store says of the search that wrote it, so that its designs can be picked and built."""

import re
from dataclasses import asdict, dataclass, replace

from qnn.errors import ArgumentError, PathError
from qnn.explore.evaluation import Evaluated
from qnn.explore.front import PICKS, front, pick
from qnn.explore.goals import METRICS, Constraint, Goals
from qnn.explore.store import MADE, Store, altered
from qnn.fields import FieldsError, typed

SEARCH, NETWORK = "search", "network"  # names of facts
NAME_DIGITS = 8  # of a fingerprint, by which a design is called


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a search was asked for.

    Members
    -------
    title : of the network
    options : the model and the options of it and its data, as ``qnn quantize`` takes them
    board : that designs are for; None: none
    """

    title: str
    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    options: tuple[str, ...]
    board: str | None = None

    @property
    def goals(self) -> Goals:
        """What designs are chosen by."""
        return Goals(self.objectives, self.constraints)


def begin(store: Store, asked: Asked, digest: str) -> None:
    """Note what is searched for, in a store of this network or a new one.

    Raises
    ------
    PathError
        The store is another network's.
    """
    known = store.fact(NETWORK)
    if known is not None and known != digest:
        before = asked_of(store)
        other = f"'{before.title}'" if before and before.title != asked.title else "other weights"
        raise PathError(
            f"{store.path}: has designs of another network ({other} or other data), and not of "
            f"'{asked.title}' as it is now; name another file with --store"
        )
    # Kept before any evaluation is, so that none is without its network.
    store.keep_fact(NETWORK, digest)
    store.keep_fact(SEARCH, asdict(asked))


def asked_of(store: Store) -> Asked | None:
    """What the last search of a store was asked for; None where there was none."""
    kept = store.fact(SEARCH)
    try:
        asked = None if kept is None else typed(Asked, kept)
    except FieldsError:
        raise altered(store.path) from None
    if asked is None:
        return None
    # By their names figures are looked up; without an objective there is nothing to choose by.
    if not asked.objectives or not asked.goals.names <= set(METRICS):
        raise altered(store.path)
    return asked


def check_pick(which: str) -> None:
    """Raise unless a text can be a pick, whatever the store has.

    Raises
    ------
    ArgumentError
        It is no word of ``PICKS``, and no name.
    """
    if which not in PICKS and not re.fullmatch(f"[0-9a-f]{{{NAME_DIGITS},64}}", which):
        raise ArgumentError(
            f"a design to pick is {', '.join(PICKS)} or a name of the table, of {NAME_DIGITS} "
            f"digits, not '{which}'"
        )


def picked(store: Store, which: str) -> tuple[Asked, Evaluated]:
    """The design that a word of ``PICKS`` means, or a name, with what it was searched for.

    It has its rounded network.

    Raises
    ------
    PathError
        No design was made in full, or none has that name.
    """
    asked, evaluations = asked_of(store), store.evaluations()
    try:
        marks = typed(list[str], store.fact(MADE) or [])
    except FieldsError:
        raise altered(store.path) from None
    # What failed is there too, as it is not to be tried again.
    known = {m: evaluations[m] for m in marks if m in evaluations}
    made = {m: each for m, each in known.items() if each.failure is None}
    wanted = {"fps", "lut", *(asked.goals.names if asked else ())}
    if not all(each.has(wanted) for each in made.values()):
        raise altered(store.path)
    best = front(list(made.values()), asked.goals) if asked else []
    if asked is None or not best:
        raise PathError(
            f"{store.path}: no design within all constraints was made in full yet; give the search "
            f"more time, with the same --store"
        )
    word = pick(best, asked.goals, which) if which in PICKS else None
    for mark, design in made.items():
        # Shorter names could be of two designs.
        named = len(which) >= NAME_DIGITS and mark.startswith(which)
        if design is word or named:
            rounded = store.rounded_of(mark)
            if rounded is None:
                raise altered(store.path)
            return asked, replace(design, rounded=rounded)
    raise PathError(
        f"{store.path}: a design to pick is {', '.join(PICKS)} or one of "
        f"{', '.join(mark[:NAME_DIGITS] for mark in made)}, not '{which}'"
    )
