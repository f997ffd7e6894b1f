"""Call: one operator call of an exported program, as the readers of operators see it.

Every argument of a call is used or rejected. A reader takes what it understands; whatever it left,
and is not the operator's default, is an error that names the argument and its value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from qnn.frontend.faults import Fault, FaultyModel, Site
from qnn.frontend.materialise import Materialise
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.views import Held, View, computed, is_view, whole
from qnn.ir.shape import Shape
from qnn.ir.window import Pair

# Arguments that change no value, whatever they are. The type of the result is checked for itself.
NEUTRAL = {"dtype", "device", "memory_format", "non_blocking", "copy", "pin_memory"}
# torch.export writes this for the end of an axis.
TO_THE_END = 2**63 - 1


@dataclass(frozen=True)
class Call:
    """One operator call of the exported program.

    Members
    -------
    name : of the result
    overload : of the operator that is called, ``add.Tensor``
    site : of the call in the model
    arguments : by the names of its schema; activations are nodes, weights are tensors
    usual : the defaults of the schema, by argument; those that are required have none
    ranks : number of axes of each activation operand, the batch's too, by argument
    nodes : what was read so far
    result_shape : gives the result's shape, or raises that it is none of ours
    make : gives blocks for views, and takes further operators into the graph
    taken : arguments that were used
    """

    name: str
    overload: str
    site: Site
    arguments: Mapping[str, Any]
    usual: Mapping[str, Any]
    ranks: Mapping[str, int]
    nodes: Mapping[str, FloatOperator]
    result_shape: Callable[[], Shape]
    make: Materialise
    taken: set[str] = field(default_factory=set)

    def __getitem__(self, key: str) -> Any:
        self.taken.add(key)
        return self.arguments[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The argument, or ``default`` where this overload of the operator has none."""
        return self[key] if key in self.arguments else default

    def neutral(self, *keys: str) -> None:
        """Take arguments that the result's shape tells, or that change no value here."""
        self.taken.update(keys)

    def check_all_taken(self) -> None:
        """Return if every argument was used, changes no value or has its default.

        Raises
        ------
        FaultyModel
            One was given that the reader does not know.
        """
        for key in self.arguments.keys() - self.taken - NEUTRAL:
            value = self.arguments[key]
            if key not in self.usual or not _same(value, self.usual[key]):
                needs = f"{key}={said(self.usual[key])}" if key in self.usual else f"no {key}"
                raise self.refuse(needs, f"{key}={said(value)}", f"leave {key} out")

    def refuse(self, needs: str, got: str, do: str) -> FaultyModel:
        """The error that this layer is not supported."""
        return FaultyModel([Fault(self.site, f"needs {needs}, not {got}", do)])

    @property
    def shape(self) -> Shape:
        """The result's shape; raises as ``result_shape`` does."""
        return self.result_shape()

    @property
    def operand(self) -> str:
        """The name of the first operand in the schema."""
        # Schemas call it input or self.
        return "input" if "input" in self.arguments else "self"

    def source(self, key: str | None = None) -> Any:
        """What an activation operand is, the first without ``key``: an operator, or a view."""
        value = self[key or self.operand]
        if not computed(value):
            raise self.refuse(
                "operands computed from the input", "a constant", "fold it into a Conv2d or Linear"
            )
        return value

    def rank(self, key: str | None = None) -> int:
        """The number of axes of an operand: 4 of images, 3 of sequences, 2 of vectors."""
        return self.ranks[key or self.operand]

    def view(self, key: str | None = None) -> View:
        """An operand, the first without ``key``, as a view of all the axes that it has."""
        value = self.source(key)
        if is_view(value):
            return value
        return whole(value, (self.make.batch, *value.shape[: self.rank(key) - 1]))

    def weight(self, key: str) -> Tensor | None:
        """A weight operand: float32, finite."""
        value = self[key]
        if value is None:
            return None
        if not isinstance(value, Tensor):
            raise self.refuse(f"a constant {key}", "one computed from the input", "use a parameter")
        if not bool(torch.isfinite(value).all()):
            raise self.refuse(f"a finite {key}", "NaN or infinity", "train or load it again")
        # Detached: the float graph outlives the model, and is never trained.
        return value.detach().to(torch.float32).contiguous()

    def number(self, key: str, do: str) -> float | None:
        """An argument that is one number or a constant of one element; None stays None."""
        value = self[key]
        if value is None or isinstance(value, int | float):
            return value
        if isinstance(value, Tensor) and value.numel() == 1:
            return float(value)
        raise self.refuse(f"one number as {key}", said(value), do)

    def constant(self, key: str) -> Tensor:
        """A constant of one number for all channels or one for each: (1 or channels,) float64.

        Raises
        ------
        FaultyModel
            It is not finite, or differs from place to place or from image to image.
        """
        value = torch.as_tensor(self[key], dtype=torch.float64)
        if not bool(torch.isfinite(value).all()):
            raise self.refuse(f"a finite {key}", "NaN or infinity", "correct the constant")
        rank = max(self.ranks.values())
        axes = self._broadcast(value)
        # Of the images' axis alone, each image is one value of one channel.
        axes = axes.movedim(1, -1) if axes.dim() > 1 else axes[:, None]
        found = axes.reshape(-1, axes.shape[-1])
        if value.dim() > rank or not bool((found == found[:1]).all()):
            raise self.refuse(
                f"one number as {key}, or one for each channel",
                f"a constant of shape {tuple(value.shape)} that differs from place to place",
                "give the map as a second input of the network, or add a bias for each channel",
            )
        # One number for all channels has no channels, whatever its shape was.
        return found[0, :1] if bool((found[0] == found[0, 0]).all()) else found[0]

    def map(self, key: str) -> Tensor | None:
        """A constant that differs from place to place, (channels, height, width) float64.

        Axes along which it is the same have size 1. None: it is no such constant, or differs from
        image to image.
        """
        value = self.arguments[key]
        found = self.aligned(value) if isinstance(value, Tensor) else None
        if found is None:
            return None
        for axis in range(3):
            first = found.narrow(axis, 0, 1)
            found = first if bool((found == first).all()) else found
        return None if found.shape[1:] == (1, 1) else found

    def aligned(self, value: Tensor) -> Tensor | None:
        """A constant as PyTorch broadcasts it, (channels, height, width) float64.

        None: it is no image's, not finite, or differs from image to image.
        """
        if not 2 <= max(self.ranks.values()) <= 4:
            return None
        images = self._broadcast(value.to(torch.float64))
        if not bool((images == images[:1]).all()) or not bool(images.isfinite().all()):
            return None
        # Sequences have one column, and vectors one pixel.
        return images[0].reshape(*images.shape[1:], *(1,) * (4 - images.dim()))

    def _broadcast(self, value):
        """A constant with all axes, the missing ones before its own, as PyTorch broadcasts."""
        missing = max(self.ranks.values()) - value.dim()
        return value.reshape((1,) * missing + tuple(value.shape))

    def pair(self, key: str, default: Pair = (1, 1)) -> Pair:
        """An argument that is one number for both directions, a list of one or two, or empty."""
        value = self[key]
        value = [value] if isinstance(value, int) else value
        if not value:
            return default
        # Sequences lie along the rows, and have one column, of which nothing is left out.
        if self.rank() == 3:
            return value[0], 0 if "padding" in key else 1
        # One number stands for both: it is the first and the last.
        return value[0], value[-1]


def said(value: Any) -> str:
    """An argument's value as an error says it."""
    if computed(value):
        return "a tensor that is computed from the input"
    if isinstance(value, Tensor):
        return f"a constant of shape {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(said, value))}]"
    # The largest number of 64 bits is no number that a user gave.
    return "the end" if value == TO_THE_END else str(value)


def _same(value: Any, usual: Any) -> bool:
    if isinstance(value, Tensor) or computed(value):
        return False
    if isinstance(value, list | tuple) and isinstance(usual, list | tuple):
        return list(value) == list(usual)
    # True is 1 in Python, and no number to a user.
    return isinstance(value, bool) == isinstance(usual, bool) and value == usual


# Reads a call: a node, or the node that the result is equal to; of several results each.
Reader = Callable[[Call], Held | list[Held]]
