"""The interface that every operator of the integer graph answers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Annotated, Any, ClassVar, NoReturn, Self

from qnn.errors import CompileError
from qnn.fields import Count, Whole
from qnn.ir.reader import TextReader
from qnn.ir.rows import Rows
from qnn.ir.shape import Shape
from qnn.ir.sums import Bounds
from qnn.ir.window import Window
from qnn.quant.qtype import QType

# A map of 46,000 by 46,000: sizes that pass are no mistake, and their products fit 64 bits.
MOST_VALUES = 1 << 31
# What a file has of every operator, and of every window; the kernel may stand elsewhere.
HEAD_FIELDS = {"name": str, "shape": tuple[Count, Count, Count], "type": QType}
_PAD = Annotated[int, Whole(-MOST_VALUES, MOST_VALUES)]
WINDOW_FIELDS = {
    "stride": tuple[Count, _PAD],  # columns have a sign
    "padding": tuple[_PAD, _PAD, _PAD, _PAD],
    "dilation": tuple[Count, Count],
}


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands before the ``=`` of a line of text: the result's name, type and shape."""

    name: str
    type: QType
    shape: Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Operator(ABC):
    """One tensor of a graph and how it is computed, in integers.

    The methods get ``sources``, the operators that compute ``inputs``, in the same order.

    Members
    -------
    kind : the operator's name in messages and in files
    words : the names that its lines of text begin with
    file_fields : kinds of the fields that ``to_fields`` gives, by name, see ``qnn.fields``
    optional_fields : those of them that may be left out
    name : of the tensor, and of the operator
    inputs : names of the tensors that it reads
    shape : (channels, height, width) of the result for one image
    type : of the result
    """

    kind: ClassVar[str]
    words: ClassVar[tuple[str, ...]]
    file_fields: ClassVar[Mapping[str, Any]]
    optional_fields: ClassVar[tuple[str, ...]] = ()

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    type: QType

    @property
    @abstractmethod
    def is_computed(self) -> bool:
        """Whether the accelerator computes it, rather than finds its values in their place."""

    @property
    def is_optional(self) -> bool:
        """Whether it is a copy that a back end may leave out, or give more bits."""
        return False

    @property
    @abstractmethod
    def rounded(self) -> bool:
        """Whether the result has an activation's type, so that other operators may read it."""

    @abstractmethod
    def channels_of(self, sources: "tuple[Operator, ...]") -> tuple[str, ...]:
        """The operands whose channels, one behind the other, are the result's; none: it mixes them.

        The result is best laid out as they are, so that both meet in the same lanes.
        """

    @abstractmethod
    def aligned(self, sources: "tuple[Operator, ...]") -> tuple[str, ...]:
        """The operands of which channel c counts in the result's channel c, and in no other."""

    @property
    def spread(self) -> tuple[str, ...]:
        """The operands that may have one channel, or one pixel, for all of the result's."""
        return ()

    @property
    def in_place(self) -> tuple[str, ...]:
        """The operands of which a result reads its own lane, as no weight is in between."""
        return self.spread

    @property
    def interleaves(self) -> bool:
        """Whether its operands' pixels lie between each other, where nothing else can read them."""
        return False

    @property
    def takes_maximum(self) -> bool:
        """Whether a result is the greatest value of a window, rather than a sum over it."""
        return False

    @property
    @abstractmethod
    def summary(self) -> str:
        """What it does, in a few words for a reader."""

    @property
    @abstractmethod
    def macs(self) -> int:
        """The products of an activation and a weight that one image takes in the user's network."""

    @abstractmethod
    def output_shape(self, sources: "tuple[Operator, ...]") -> Shape:
        """The shape that the result has, by the operator's rule; sizes of 0 or less: none."""

    @abstractmethod
    def check(self, sources: "tuple[Operator, ...]") -> None:
        """Return if the fields are legal over ``sources``.

        Raises
        ------
        CompileError
            A rule is broken; the text names the operator, what it needs, what it got, what to do.
        """

    @abstractmethod
    def prepare(self, sources: "tuple[Operator, ...]") -> Callable:
        """The meaning: a function of the operands' tensors that gives the result, exactly.

        Tensors are torch's, (images, channels, height, width) of integers. What does not depend on
        the images is computed here, once for all of them. The function of an input gets the images.
        """

    @abstractmethod
    def bounds(self, sources: "tuple[Operator, ...]") -> Bounds | None:
        """What its sums can reach, whatever the image; None where it sums nothing."""

    @abstractmethod
    def rows_read(self, rows: Rows, heights: tuple[int, ...]) -> tuple[Rows, ...]:
        """The rows of each operand, which has a height, that ``rows`` are computed from."""

    @abstractmethod
    def strip(self, rows: Rows, read: Rows) -> Self:
        """The operator that computes ``rows`` alone, from the rows ``read`` of its first input."""

    @abstractmethod
    def stacked(self, images: int, sources: "tuple[Operator, ...]") -> Self | None:
        """The operator on so many images that lie below each other in every tensor.

        None: a result would not be computed from the rows of its own image alone.
        """
        channels, height, width = self.shape
        # What all rows, or all pixels, of an image share would have to be another for each image.
        if any(
            source.shape[1] != height or source.shape[1:] == (1, 1) != (height, width)
            for source in sources
        ):
            return None
        return replace(self, shape=(channels, images * height, width))

    @abstractmethod
    def body(self, full: bool) -> str:
        """What stands behind the ``=`` of its line; in ``full``, with arrays whole."""

    @classmethod
    @abstractmethod
    def parse(cls, head: Head, word: str, reader: TextReader, shape_of: Callable) -> Self:
        """The operator of a line of full text, of which ``head`` and ``word`` have been read.

        ``shape_of`` gives the shape of an earlier tensor by its name.
        """

    @abstractmethod
    def to_fields(self) -> dict:
        """The fields as a file has them; arrays stand in the file in this order."""

    @classmethod
    @abstractmethod
    def from_fields(cls, fields: dict) -> Self:
        """The operator of what ``to_fields`` gave."""


def refuse(node: Operator, needs: object, got: object, do: str) -> NoReturn:
    """Raise a CompileError that says what ``node`` needs, what it got and what to do."""
    raise CompileError(f"{node.kind} '{node.name}' needs {needs}, but got {got}; {do}")


def check_shape(node: Operator) -> None:
    """Refuse a shape that is no block of at least one pixel."""
    whole = all(isinstance(size, int) and size > 0 for size in node.shape)
    if not isinstance(node.shape, tuple) or len(node.shape) != 3 or not whole:
        needs = "a shape of three sizes of at least 1"
        refuse(node, needs, node.shape, "give it (channels, height, width)")
    if prod(node.shape) > MOST_VALUES:
        refuse(node, f"a shape of at most {MOST_VALUES:,} values", node.shape, "split the image")


def check_window(node: Operator, window: Window, source: Operator, *, turns: bool = False) -> None:
    """Refuse a window that is none, or that makes another height and width than the result's.

    ``turns``: its results may come from the right to the left.
    """
    for name in ("stride", "dilation"):
        sizes = getattr(window, name)
        counts = (*sizes[:1], *map(abs, sizes[1:])) if turns and name == "stride" else sizes
        if len(sizes) != 2 or min(counts) < 1:
            refuse(node, f"{name} of 2 sizes of at least 1", sizes, "correct it")
    if len(window.padding) != 4:
        refuse(node, "padding of 4 sizes", window.padding, "correct it")
    _check_crop(node, window, source)
    # After the other sizes, which say more of what went wrong.
    if min(window.kernel) < 1:
        refuse(node, "a kernel of at least 1 x 1", window.kernel, "correct it")
    # Only now that all its sizes are legal can the window be asked for a result.
    wanted = window.output_size(source.shape[1:])
    if node.shape[1:] != wanted:
        needs = f"height and width {wanted}, from {source.shape} of '{source.name}'"
        refuse(node, needs, node.shape[1:], "correct its shape, kernel or padding")


def _check_crop(node, window, source):
    """Refuse negative padding, which cuts off rows and columns, that leaves none."""
    top, bottom, left, right = (max(-each, 0) for each in window.padding)
    if top + bottom >= source.shape[1] or left + right >= source.shape[2]:
        needs = f"padding that leaves a pixel of {source.shape} of '{source.name}'"
        refuse(node, needs, window.padding, "cut off less")


def check_activation_type(node: Operator) -> None:
    """Refuse a type that no operator reads."""
    # Feature words hold 16 bits at most (SvpeConfig.activation_bits).
    if node.type.bits > 16:
        refuse(node, "a type of 2 to 16 bits", node.type, "round it to fewer bits")


def check_same_type(node: Operator, source: Operator) -> None:
    """Refuse an operand of another type than the result's."""
    if source.type != node.type:
        got = f"{source.type} of '{source.name}'"
        refuse(node, f"operands of its type {node.type}", got, "requantize the operand first")


def check_within(node: Operator, what: str, low: int, high: int) -> None:
    """Refuse bounds that leave the result's type, or that lie the wrong way round."""
    if not node.type.low <= low <= high <= node.type.high:
        needs = f"{what} within {node.type.low} to {node.type.high}"
        refuse(node, needs, f"{low} to {high}", "clamp it to its type")


def check_broadcast(node: Operator, what: str, source: Operator) -> None:
    """Refuse a second operand that has neither the result's shape nor is spread to it.

    The array can read one word for all pixels, and one for all blocks of channels.
    """
    channels, *pixels = node.shape
    fits = source.shape[0] in (channels, 1) and source.shape[1:] in (node.shape[1:], (1, 1))
    if not fits:
        needs = f"{what} of {channels} channels or 1, and of {_by(pixels)} pixels or 1x1"
        got = f"{source.shape} of '{source.name}'"
        refuse(node, needs, got, "make the shapes equal")


def _by(sizes):
    return "x".join(map(str, sizes))


def shared_operands(node: Operator, sources: tuple[Operator, ...]) -> tuple[str, ...]:
    """The operands of one channel that counts in every channel of the result."""
    channels = {source.name: source.shape[0] for source in sources}
    return tuple(name for name in node.spread if channels[name] == 1 < node.shape[0])


def broadcast_rows(rows: Rows, height: int) -> Rows:
    """The rows of a second operand of that height that a result's ``rows`` are computed from."""
    # One row of one pixel serves all; a result of one row reads that one anyway.
    return Rows(0, 1) if height == 1 else rows
