"""Which tensors of a checkpoint are the model's, and by which names: nests and prefixes go."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from qnn.errors import ModelError

# Names of the parts that wrap a network in DataParallel, torch.compile, FSDP and checkpointing.
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
# Keys that checkpoints have their weights under, the likelier first.
NESTS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")
# Attributes under which training frameworks hold the network; what lies beside it is theirs.
HOLDERS = ("model", "_model", "net", "_net", "network", "student")
COUNTS = ("total_ops", "total_params", "n_averaged")  # of thop, and of torch's AveragedModel
AVERAGE = "ema"  # what names of averaged copies contain
DEPTH = 3  # of nests; states of optimizers lie deeper


@dataclass(frozen=True, eq=False)
class Chosen:
    """The tensors that are taken of a checkpoint.

    Members
    -------
    tensors : by the model's own names where it has such a one, else by the checkpoint's
    sources : the checkpoint's names of those that the model has
    entries : all that the dictionary has which they are of
    nest : keys that lead to them
    stripped : what went from the front or the middle of names, and from how many names
    beside : names of what the file has beside that dictionary
    ignored : these, and what in it is none of the model's
    by_structure : whether structure and not names told which is which
    composed : how many weights were made of two tensors each
    """

    tensors: Mapping[str, object]
    sources: Mapping[str, str]
    entries: Mapping[str, object]
    nest: tuple[str, ...]
    stripped: Mapping[str, int]
    beside: tuple[str, ...]
    ignored: tuple[str, ...]
    by_structure: bool = False
    composed: int = 0


@dataclass(frozen=True, eq=False)
class _Part:
    """A dictionary of a checkpoint that may be a network's state, and how its names may be read.

    Members
    -------
    joined : whether it is several dictionaries of the file in one
    fits : by prefix, how many names of the model the dictionary has behind it
    """

    nest: tuple[str, ...]
    entries: Mapping[str, object]
    joined: bool
    fits: Counter[str]

    @property
    def most(self) -> int:
        return max(self.fits.values(), default=0)


def choose(content: object, names: Collection[str]) -> Chosen:
    """The part of ``content`` that has most of the ``names`` of a model, or something of it.

    Raises
    ------
    ModelError
        There is no tensor in it, or there are two networks and nothing says which one is meant.
    """
    bare: Callable[[str], str] = without_wrappers
    wanted = {bare(name): name for name in names}
    if len(wanted) < len(names):  # the model itself has wrappers whose names tell tensors apart
        bare, wanted = str, {name: name for name in names}
    nested = [(nest, entries, False) for nest, entries in _nested(content, ())]
    # By module, as in {"encoder": {...}, "head": {...}}.
    joined = {".".join((*nest, name)): v for nest, each, _ in nested for name, v in each.items()}
    whole = [((), joined, True)] if len(nested) > 1 else []
    parts = [
        _Part(nest, entries, is_joined, _fits(entries, wanted, bare))
        for nest, entries, is_joined in (*nested, *whole)
    ]
    if not parts:
        raise ModelError("it holds no dictionary of tensors by name")
    # Of equally good ones the likelier: min keeps the order of the file where nothing tells.
    part = min(parts, key=lambda each: (-each.most, each.joined, _unlikely(each.nest)))
    return _taken(part, wanted, bare, _beside(content, part, parts))


def without_wrappers(name: str) -> str:
    """``name`` without the parts that only wrap a network."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _nested(content, nest) -> Iterator[tuple[tuple[str, ...], Mapping[str, object]]]:
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        return
    if any(isinstance(value, Tensor) for value in content.values()):
        yield nest, content
    if len(nest) < DEPTH:
        for key, value in content.items():
            yield from _nested(value, (*nest, key))


def _fits(part, wanted, bare):
    """How many of the wanted names stand in ``part`` behind each prefix."""
    found: Counter[str] = Counter()
    for name, value in part.items():
        pieces = bare(name).split(".") if isinstance(value, Tensor) else ()
        for cut in range(len(pieces)):
            if ".".join(pieces[cut:]) in wanted:
                found["".join(f"{piece}." for piece in pieces[:cut])] += 1
    return found


def _unlikely(nest):
    """By what equally good nests are sorted: averages are copies, and other names less usual."""
    return [(AVERAGE in key, NESTS.index(key) if key in NESTS else len(NESTS)) for key in nest]


def _beside(content, part, parts):
    """Names of what a file has beside the part that is taken, copies of the network marked."""
    if not part.nest:
        return []
    same = {each.nest[0] for each in parts if each.nest and each.most == part.most > 0}
    beside = [name for name in content if name != part.nest[0]]
    return [f"{name} (fits as well)" if name in same else name for name in beside]


def _taken(part, wanted, bare, beside):
    prefix, copies = _prefix(part.fits)
    tensors, sources, stripped, ignored = {}, {}, Counter(), list(beside)
    for name, value in part.entries.items():
        short = bare(name)
        known = wanted.get(short.removeprefix(prefix)) if short.startswith(prefix) else None
        if known is not None and known not in tensors:
            tensors[known], sources[known] = value, name
            stripped.update(_gone(name, known))
        elif _is_ignored(short, value, prefix, copies):
            ignored.append(name)
        else:
            tensors[name] = value
    return Chosen(
        *(tensors, sources, part.entries, part.nest, stripped), tuple(beside), tuple(ignored)
    )


def _prefix(fits):
    """The prefix with most names behind it, and those of copies of the network."""
    best = [prefix for prefix, count in fits.items() if count == max(fits.values())]
    if not best or "" in best:
        return "", [prefix for prefix in best if prefix]
    plain = [prefix for prefix in best if AVERAGE not in prefix] or best
    if len(plain) > 1:
        raise ModelError(
            f"it holds several networks that fit, {', '.join(repr(each) for each in plain)}; save "
            f"one of them alone"
        )
    return plain[0], [prefix for prefix in best if prefix != plain[0]]


def _is_ignored(name, value, prefix, copies):
    """Whether an entry that the model has no name for is none of its weights."""
    if not isinstance(value, Tensor) or name.rpartition(".")[2] in COUNTS:
        return True
    outside = not name.startswith(prefix) and prefix.partition(".")[0] in HOLDERS
    return outside or name.startswith(tuple(copies))


def _gone(name, known):
    """What ``name`` has more than the model's name for it."""
    if name.endswith(known):
        return [name.removesuffix(known)] if name != known else []
    return [f"{part}." for part in name.split(".") if part in WRAPPERS]
