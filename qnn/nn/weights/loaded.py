"""What was taken of a checkpoint: the table of names, and one line about the rest."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from qnn.nn.weights.choose import Chosen, without_wrappers

SHOWN = 6  # names in the line; a checkpoint may have hundreds that are not weights


@dataclass(frozen=True)
class Match:
    """A tensor of the model, and the checkpoint's name of it."""

    name: str
    source: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class LoadedWeights:
    """What ``qnn.load_weights`` took of a file; as text, a line for each tensor of the model.

    Members
    -------
    path : of the file
    matches : each tensor that the model got
    by_structure : whether names differed, and order and shapes told which is which
    notes : what was stripped, ignored, converted and told by structure, a part each
    """

    path: Path
    matches: tuple[Match, ...]
    by_structure: bool
    notes: tuple[str, ...]

    @property
    def note(self) -> str:
        """One line about all that was not taken as it is; empty if there is nothing to say."""
        return f"checkpoint {self.path}: {'; '.join(self.notes)}" if self.notes else ""

    def __str__(self) -> str:
        rows = [(m.name, m.source, "x".join(map(str, m.shape))) for m in self.matches]
        wide, wider = (max(len(row[n]) for row in rows) if rows else 0 for n in (0, 1))
        return "\n".join(
            f"{name:<{wide}} = {source:<{wider}}  {shape}".rstrip() for name, source, shape in rows
        )


def described(path: Path, chosen: Chosen, wanted: Mapping[str, Tensor]) -> LoadedWeights:
    """What was taken of the file ``path`` for a model that wants tensors of these names."""
    tensors = {name: each for name, each in chosen.tensors.items() if isinstance(each, Tensor)}
    matches = tuple(
        Match(name, chosen.sources[name], tuple(tensors[name].shape))
        for name in wanted
        if name in tensors
    )
    converted = Counter(
        (_kind(tensor), _kind(wanted[name]))
        for name, tensor in tensors.items()
        # Counters are converted too, but nothing reads them.
        if wanted[name].is_floating_point() and tensor.dtype != wanted[name].dtype
    )
    notes = (*_taken(chosen), *_renamed(chosen, matches), *_beside(chosen), *_types(converted))
    return LoadedWeights(path, matches, chosen.by_structure, notes)


def _kind(tensor):
    return str(tensor.dtype).removeprefix("torch.")


def _taken(chosen):
    texts = [f"took '{'.'.join(chosen.nest)}'"] if chosen.nest else []
    texts += [
        f"stripped '{what}' from {_counted(count, 'name')}"
        for what, count in chosen.stripped.items()
    ]
    if chosen.composed:
        texts.append(f"made {_counted(chosen.composed, 'weight')} of lengths and directions")
    return texts


def _renamed(chosen, matches):
    if not chosen.by_structure:
        return []
    layers = {_layer(match.name): _layer(match.source) for match in matches}
    other = [f"'{a}' is '{b}'" for a, b in layers.items() if a != without_wrappers(b)]
    return [
        f"names differ, so that order and shapes tell {len(other)} of "
        f"{_counted(len(layers), 'layer')}: {_some(other)}"
    ]


def _layer(name):
    return name.rpartition(".")[0] or name


def _beside(chosen):
    quoted = [f"'{name}'" for name in chosen.ignored]
    return [f"ignored {_some(quoted)}"] if quoted else []


def _types(converted):
    return [
        f"converted {_counted(count, 'tensor')} from {before} to {after}"
        for (before, after), count in converted.items()
    ]


def _some(texts):
    more = len(texts) - SHOWN
    return ", ".join(texts[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _counted(count, what):
    return f"{count} {what}{'s' * (count != 1)}"
