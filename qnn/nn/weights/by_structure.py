"""Tensors of a checkpoint under other names than the model's, found by the structure of both."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from torch import Tensor
from torch.nn.parameter import is_lazy

from qnn.errors import ModelError
from qnn.nn.weights.choose import COUNTS, HOLDERS, Chosen
from qnn.nn.weights.structure import Matched, Shape, match

# Buffers that evaluation does not read, and that old files lack.
UNREAD = ("num_batches_tracked", "_extra_state")
MOST = 8  # differing shapes that are listed


def by_structure(chosen: Chosen, wanted: Mapping[str, object]) -> tuple[Chosen | None, str]:
    """What is taken where names differ and the structure is the same; or why none is, in words.

    Raises
    ------
    ModelError
        Several networks in the checkpoint have the model's structure.
    """
    ours = _shapes(wanted)
    if ours is None:
        return None, ""
    held = [(prefix, _shapes(part) or {}) for prefix, part in _networks(chosen.entries)]
    matched = [(prefix, match(ours, shapes)) for prefix, shapes in held]
    found = [(prefix, each.sources) for prefix, each in matched if each.sources is not None]
    if len(found) > 1:
        names = ", ".join(repr(prefix) for prefix, _ in found)
        raise ModelError(f"it holds several networks that fit, {names}; save one of them alone")
    if found:
        return _taken(chosen, found[0][1]), ""
    # Where all names are there, what is said of them is enough.
    if ours.keys() <= chosen.tensors.keys():
        return None, ""
    return None, _reason(ours, held, [each for _, each in matched])


def _networks(entries) -> Iterator[tuple[str, dict[str, object]]]:
    """The whole dictionary, and what frameworks hold in it as the network, by prefix."""
    yield "", dict(entries)
    for holder in HOLDERS:
        inside = {name: v for name, v in entries.items() if name.startswith(f"{holder}.")}
        if 0 < len(inside) < len(entries):
            yield f"{holder}.", inside


def _shapes(state) -> dict[str, Shape] | None:
    """Shapes of what decides a network's answers; None where there are none yet."""
    read = {
        name: tensor
        for name, tensor in state.items()
        if isinstance(tensor, Tensor) and name.rpartition(".")[2] not in (*UNREAD, *COUNTS)
    }
    if any(is_lazy(tensor) for tensor in read.values()):
        return None
    return {name: tuple(tensor.shape) for name, tensor in read.items()}


def _taken(chosen, sources):
    used = set(sources.values())
    left = [name for name in chosen.entries if name not in used]
    # Counters of layers that were matched are nobody's loss.
    ignored = [*chosen.beside, *(n for n in left if not n.endswith(UNREAD))]
    return replace(
        chosen,
        tensors={name: chosen.entries[source] for name, source in sources.items()},
        sources=sources,
        stripped={},
        ignored=tuple(ignored),
        by_structure=True,
    )


def _reason(ours, held, matched: list[Matched]) -> str:
    for each in matched:
        if each.unclear:
            names = ", ".join(f"'{name}'" for name in each.unclear[:MOST])
            return f"{names} hold the same, and neither names nor numbers tell them apart"
    for _, shapes in held:
        # The same layers of other sizes, as a head of other classes.
        sizeless = match(_ranks(ours), _ranks(shapes)).sources
        if sizeless:
            other = [
                f"'{source}' has shape {shapes[source]}, not {ours[name]} as '{name}' has"
                for name, source in sizeless.items()
                if shapes[source] != ours[name]
            ]
            more = f" and {len(other) - MOST} more" if len(other) > MOST else ""
            return f"its structure is the model's, but {', '.join(other[:MOST])}{more}"
    return ""


def _ranks(shapes):
    return {name: (len(shape),) for name, shape in shapes.items()}
