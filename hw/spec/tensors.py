"""Where tensors lie, in buffers and in memory, and what the tags of a program compute of them."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from qnn.fields import Count, Exponent, Place, Whole


@dataclass(frozen=True, kw_only=True)
class Gather:
    """How the words of a packed tensor are gathered from it; pairs are (down, across).

    Channel ``(i * taps[1] + j) * channels + c`` of the word in row y, column x holds channel c of
    the pixel in row ``first[0] + y * step[0] + i * dilation[0]`` and column
    ``first[1] + x * step[1] + j * dilation[1]``, or 0 where that is outside.
    """

    shape: tuple[Count, Count, Count]  # of the tensor: channels, height, width
    taps: tuple[Count, Count]
    dilation: tuple[Count, Count]
    first: tuple[int, int]
    step: tuple[Count, Count]


@dataclass(frozen=True, kw_only=True)
class TensorLayout:
    """A tensor's place, in a buffer or in memory: channel-blocked, rows of pixels in words.

    Value ``q`` of channel ``c`` (within its segment), row ``y``, column ``x`` lies in word
    ``address + pass * pass_step + block * block_step + y * pitch + x * x_step``, lane ``c %
    lanes``, where each segment starts a new block. ``bits`` is the width of the integers,
    ``passes`` the words that one takes (1 unless unrounded). Stored is ``q - offset``. ``address``
    counts feature words on chip, and words of whole beats from the region's base in memory. With
    ``gather``, channels, height and width are those of the packed words.
    """

    name: str
    channels: tuple[Count, ...]  # of each segment of a concatenation; one, usually
    height: Count
    width: Count
    bits: Annotated[int, Whole(2, 48)]
    signed: bool
    exponent: Exponent  # value = q * 2**-exponent
    address: Place
    pitch: Place
    block_step: Place
    passes: Count = 1
    pass_step: Place = 0
    gather: Gather | None = None
    x_step: Count = 1  # more for an operand of an interleaving, between whose pixels others lie
    zero_point: int = 0  # what is stored for 0 of a signed tensor

    @property
    def offset(self) -> int:
        """What storage subtracts from an integer."""
        return -self.zero_point if self.signed else 1 << (self.bits - 1)

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest integer of the tensor's type."""
        low = self.offset - (1 << (self.bits - 1))
        return low, low + (1 << self.bits) - 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the tensor, before its words were packed."""
        if self.gather is not None:
            return self.gather.shape
        return sum(self.channels), self.height, self.width

    def words(self, lanes: int) -> int:
        """Words from the first to past the last."""
        blocks = sum(-(-count // lanes) for count in self.channels)
        last = (self.passes - 1) * self.pass_step + (blocks - 1) * self.block_step
        return last + (self.height - 1) * self.pitch + self.row_words

    @property
    def row_words(self) -> int:
        """Words of a row, from its first pixel to past its last."""
        return (self.width - 1) * self.x_step + 1


class RowsOfImage(NamedTuple):
    """Rows that a part of a layer has of one image, in the part's output and in the tensor."""

    image: int
    own: slice
    rows: slice


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What one tag of the program computes, for traces and reports: a layer, or a part of it.

    Parts of a layer may overlap: rows that two strips need are computed in both. Images may lie
    below each other in a layer, so that a part has rows of several.
    """

    tag: Place
    name: str  # the graph node; also the name of its tensor
    op: str
    image: Place  # index in the batch
    output: TensorLayout  # where the epilogue writes it on chip; its height and channels the part's
    macs: Annotated[int, Whole(0)]  # of the model (not of padding), for utilisation
    row: Place = 0  # of the tensor, where the part begins
    channel: Place = 0
    image_height: Count | None = None  # rows of an image; then ``row`` goes on behind the first's
    order: tuple[Place, ...] | None = None  # of its channels, where it is not the tensor's own

    @property
    def channels(self) -> tuple[int, ...]:
        """The tensor's channels that this part has, in its order."""
        if self.order is not None:
            return self.order
        return tuple(range(self.channel, self.channel + sum(self.output.channels)))

    @property
    def by_image(self) -> tuple[RowsOfImage, ...]:
        """What of the part each of its images has."""
        height = self.output.height
        if self.image_height is None:
            whole = slice(self.row, self.row + height)
            return (RowsOfImage(self.image, slice(0, height), whole),)
        found, each = [], self.image_height
        for first in range(self.row // each * each, self.row + height, each):
            start, stop = max(first, self.row), min(first + each, self.row + height)
            own = slice(start - self.row, stop - self.row)
            place = slice(start - first, stop - first)
            found.append(RowsOfImage(self.image + first // each, own, place))
        return tuple(found)
