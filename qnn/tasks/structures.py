"""What a network gives, a tensor or any nesting of them: its tensors in order, and their names."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor
from torch.utils import _pytree


def tensors_of(result: Any) -> tuple[Tensor, ...]:
    """The tensors of nested tuples, lists and dictionaries, in their order, without any None."""
    return tuple(leaf for leaf in _pytree.tree_leaves(result) if leaf is not None)


def names_of(result: Any) -> tuple[str, ...]:
    """A name for each of ``tensors_of``: its keys with dots, and ``output_0`` of a bare number."""
    paths = _pytree.tree_flatten_with_path(result)[0]
    return tuple(_name(path) for path, leaf in paths if leaf is not None)


def _name(path):
    # A key of a dictionary, a number in a tuple or list, or a field of a named tuple.
    keys = [str(getattr(k, "key", getattr(k, "idx", getattr(k, "name", k)))) for k in path]
    text = ".".join(keys)
    return f"output_{text}".rstrip("_") if not text or text.isdecimal() else text


def grown_axis(fewer: Sequence[int], more: Sequence[int]) -> int:
    """The axis in which shapes differ, one of a result for fewer samples; 0 where none tells."""
    pairs = enumerate(zip(fewer, more, strict=False))
    return next((n for n, (few, many) in pairs if few != many), 0)


def nested_like(result: Any, tensors: Iterable[Any]) -> Any:
    """``tensors``, one for each of ``tensors_of(result)``, nested as ``result`` is."""
    leaves, spec = _pytree.tree_flatten(result)
    left = iter(tensors)
    return _pytree.tree_unflatten([None if x is None else next(left) for x in leaves], spec)


def on_tensors(function: Callable[[Tensor], Any], result: Any) -> Any:
    """``result`` with the value of ``function`` in the place of each tensor."""
    return _pytree.tree_map(lambda leaf: None if leaf is None else function(leaf), result)
