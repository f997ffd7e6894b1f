"""Which tensor of a checkpoint is which of a model's where their names differ: by structure alone.

Names are paths in a tree, whose nodes are layers and what holds layers. Where both trees are the
same but for names, a part that holds what no other beside it does can be only one, in whatever
order they are. Parts that hold the same are told apart by names that both networks have, or by
numbers in names which count up (``layer1``, ``layer2``); where neither does, nothing is matched.
Where layers are nested otherwise, they have to follow one another alike, in the order in which they
are registered, and what is together in one network may not be apart in the other.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

DEPTH = 24  # parts of a name; networks have ten at most
Shape = tuple[int, ...]
Path = tuple[str, ...]


@dataclass(frozen=True)
class Matched:
    """What the structures of a model and of a checkpoint say of each other.

    Members
    -------
    sources : the checkpoint's name of each of the model's tensors; None if they do not tell
    unclear : names of parts that hold the same, and that nothing tells apart
    """

    sources: dict[str, str] | None
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Branch:
    """A node of names, with the tensors that it has itself and the nodes in it."""

    path: Path
    own: tuple[tuple[str, Shape], ...]
    parts: tuple["_Branch", ...]

    @cached_property
    def holds(self) -> tuple:
        """Its layers, whatever they are called and however they are nested."""
        inside = [layer for part in self.parts for layer in part.holds]
        return tuple(sorted([self.own] if self.own else []) + sorted(inside))

    def layers(self) -> "Iterator[_Branch]":
        """The nodes that have tensors, in order."""
        if self.own:
            yield self
        for part in self.parts:
            yield from part.layers()

    def spans(self, first: int = 0) -> Iterator[tuple[int, int]]:
        """Of each node, the places of its first layer and behind its last, in order."""
        yield first, first + len(self.holds)
        first += bool(self.own)
        for part in self.parts:
            yield from part.spans(first)
            first += len(part.holds)

    @cached_property
    def tree(self) -> tuple:
        """Its layers, whatever they are called, but nested as they are."""
        if not self.own and len(self.parts) == 1:  # which only wraps what it has
            return self.parts[0].tree
        return self.own, tuple(sorted(part.tree for part in self.parts))

    def arranged(self, by_name: bool) -> "_Branch":
        """The same with the parts of each node sorted by what they hold, and then by name."""
        parts = sorted(
            self.parts, key=lambda part: (part.tree, natural(part.path[-1]) if by_name else [])
        )
        return replace(self, parts=tuple(part.arranged(by_name) for part in parts))

    def counts_up(self) -> bool:
        """Whether names that differ by numbers alone come in the order of these."""
        stems: dict[str, list] = {}
        for part in self.parts:
            stems.setdefault(_stem(part.path[-1]), []).append(part.path[-1])
        return all(_is_series(names) for names in stems.values()) and all(
            part.counts_up() for part in self.parts
        )

    def untold(self, others: Mapping[Path, Path]) -> "list[_Branch]":
        """The first parts that hold the same, and that neither names nor numbers tell apart.

        Parameters
        ----------
        others : the path of each layer's counterpart
        """
        alike: dict[tuple, list[_Branch]] = {}
        for part in self.parts:
            alike.setdefault(part.holds, []).append(part)
        for group in alike.values():
            # One that is left over is told by elimination.
            nameless = _nameless(group, others)
            if len(nameless) > 1 and not _is_series([part.path[-1] for part in nameless]):
                return nameless
        inside = (part.untold(others) for part in self.parts)
        return next((found for found in inside if found), [])


def _nameless(group: Sequence[_Branch], others: Mapping[Path, Path]) -> list[_Branch]:
    """Those of ``group`` that do not have their names, and no other has, in the other network."""
    there = [{name for each in part.layers() for name in others[each.path]} for part in group]
    common = Counter(name for names in there for name in names)
    stems = Counter(_stem(part.path[-1]) for part in group)

    def is_named(part):
        name = part.path[-1]
        # Numbers are places, which are others as soon as something is put before them.
        if name.isdigit() or stems[_stem(name)] > 1 or common[name] != 1:
            return False
        return all(name in others[layer.path] for layer in part.layers())

    return [part for part in group if not is_named(part)]


def match(wanted: Mapping[str, Shape], held: Mapping[str, Shape]) -> Matched:
    """The tensors of a checkpoint that are a model's, by the structure of both.

    Parameters
    ----------
    wanted, held : shapes by name, of the model and of the checkpoint
    """
    if max((name.count(".") for name in (*wanted, *held)), default=0) > DEPTH:
        return Matched(None)
    ours, theirs = _tree(wanted), _tree(held)
    unclear: tuple[str, ...] = ()
    for pairs in _pairings(ours, theirs):
        found = ours.untold(pairs) or theirs.untold({b: a for a, b in pairs.items()})
        if not found:
            return Matched({name: _source(name, pairs) for name in wanted})
        unclear = unclear or tuple(".".join(part.path) for part in found)
    return Matched(None, unclear)


def _pairings(ours: _Branch, theirs: _Branch) -> Iterator[dict[Path, Path]]:
    """What may be which layer, the likelier first; paths by paths."""
    if ours.tree == theirs.tree:
        for by_name in (False, True):
            own, other = ours.arranged(by_name), theirs.arranged(by_name)
            yield {a.path: b.path for a, b in zip(own.layers(), other.layers(), strict=True)}
        return
    pairs = list(zip(ours.layers(), theirs.layers(), strict=False))
    alike = ours.holds == theirs.holds and all(a.own == b.own for a, b in pairs)
    in_order = alike and ours.counts_up() and theirs.counts_up()
    if in_order and not _cross([*ours.spans(), *theirs.spans()]):
        yield {a.path: b.path for a, b in pairs}


def natural(name: str) -> list[tuple[bool, int, str]]:
    """A key that sorts names by the numbers in them: ``conv2`` before ``conv10``."""
    # Every second piece is a number. Longer ones are no indices, and would take time to read.
    pieces = enumerate(re.split(r"([0-9]+)", name))
    return [(n % 2 == 0, int(piece[:18]) if n % 2 else 0, piece) for n, piece in pieces]


def _cross(spans: Sequence[tuple[int, int]]) -> bool:
    """Whether two of them overlap in part: then what is one part here is in two parts there."""
    open_ends: list[int] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        while open_ends and open_ends[-1] <= start:
            open_ends.pop()
        if open_ends and open_ends[-1] < end:
            return True
        open_ends.append(end)
    return False


def _is_series(names: Sequence[str]) -> bool:
    """Whether names differ by numbers alone, and these count up."""
    keys = [natural(name) for name in names]
    return len({_stem(name) for name in names}) == 1 and keys == sorted(keys)


def _stem(name):
    return re.sub(r"[0-9]+", "0", name)


def _source(name, pairs):
    *layer, last = name.split(".")
    return ".".join((*pairs[tuple(layer)], last))


def _tree(shapes: Mapping[str, Shape]) -> _Branch:
    return _part((), [(name.split("."), shape) for name, shape in shapes.items()])


def _part(path, entries):
    own: list[tuple[str, Shape]] = []
    inside: dict[str, list] = {}
    for (first, *rest), shape in entries:
        if rest:
            inside.setdefault(first, []).append((rest, shape))
        else:
            own.append((first, shape))
    parts = tuple(_part((*path, name), each) for name, each in inside.items())
    return _Branch(path, tuple(sorted(own)), parts)
