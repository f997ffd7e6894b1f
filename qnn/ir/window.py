"""The window that a convolution or a pooling moves over an image, and the rows that it reads."""

from dataclasses import dataclass, replace

from qnn.ir.reader import TextReader
from qnn.ir.rows import Rows

Pair = tuple[int, int]  # (vertical, horizontal)
# ONNX has top, left, bottom, right; torch's F.pad has left, right, top, bottom.
Padding = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass(frozen=True, kw_only=True)
class Window:
    """Kernel, stride, padding, dilation and groups: which inputs each result is computed from.

    Members
    -------
    kernel : taps of the window, vertical and horizontal
    stride : rows and columns from one window to the next; with columns less than 0 a convolution's
        results come from the right to the left, the last window's first
    padding : rows and columns around the image, at its top, bottom, left and right; fewer than
        none are cut off
    dilation : rows and columns from one tap to the next
    groups : parts that a convolution splits its channels into, each computed from its like alone;
        pooling takes each channel alone whatever this says, and leaves it at 1
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def backwards(self) -> bool:
        """Whether the results of a row come from the right to the left."""
        return self.stride[1] < 0

    def forwards(self) -> "Window":
        """The window that gives the results of each row from the left to the right."""
        return replace(self, stride=(self.stride[0], abs(self.stride[1])))

    @property
    def reach(self) -> Pair:
        """Rows and columns from the first tap to the last one, both included."""
        (height, width), (down, right) = self.kernel, self.dilation
        return (height - 1) * down + 1, (width - 1) * right + 1

    def output_size(self, size: Pair) -> Pair:
        """Height and width of the result over an image of ``size``; 0 or less if there is none."""
        top, bottom, left, right = self.padding
        padded = (size[0] + top + bottom, size[1] + left + right)
        # The last window starts where it still fits; what is left below is not read.
        return tuple(
            (whole - reach) // abs(stride) + 1
            for whole, reach, stride in zip(padded, self.reach, self.stride, strict=True)
        )

    def rows_read(self, rows: Rows, height: int) -> Rows:
        """Rows of an image of ``height`` that ``rows`` of the result read, the halo included.

        What lies outside of the image is padding. Windows that see nothing but padding still read
        one row, because an operand has at least one.
        """
        seen = self._rows_seen(rows)
        # The row at the nearer border stands for windows that lie in the padding.
        first = min(max(seen.first, 0), height - 1)
        return Rows(first, max(min(seen.stop, height), first + 1))

    def strip(self, rows: Rows, read: Rows) -> "Window":
        """The window that computes ``rows`` of the result from the rows ``read`` alone.

        Its padding is what the strip's first window has above ``read`` and its last one below: the
        image's at the image's borders, and none inside of it. It is negative where the windows see
        nothing but padding, which lies past the one row that they read.
        """
        seen = self._rows_seen(rows)
        above, below = read.first - seen.first, seen.stop - read.stop
        return replace(self, padding=(above, below, *self.padding[2:]))

    @property
    def row_step(self) -> int:
        """Rows of the image from one that is read to the next, where those between never are."""
        # With several taps, or with padding, neighbours of read rows are read too.
        return self.stride[0] if self.kernel[0] == 1 and self.padding[:2] == (0, 0) else 1

    def without_gaps(self) -> "Window":
        """The window over an image of which only every ``row_step``-th row is there."""
        return replace(self, stride=(self.stride[0] // self.row_step, self.stride[1]))

    def stacked(self, height: int, results: int) -> "Window | None":
        """The window over images of ``height`` below each other, which give as many results down.

        None: the windows of an image do not follow each other as those of two images do, or see
        padding, where another image would be.
        """
        if results == 1 and max(self.padding[:2]) <= 0:
            # From the only one of an image to that of the next.
            return replace(self, stride=(height, self.stride[1]))
        follow = self.stride[0] * results == height and self.reach[0] <= self.stride[0]
        return self if follow and self.padding[:2] == (0, 0) else None

    @property
    def summary(self) -> str:
        """Kernel and stride, for a reader: ``3x3 / 2``."""
        down, right = self.stride
        stride = "" if self.stride == (1, 1) else f" / {down}"
        turned = f"x{right}" if self.backwards else ""
        return f"{'x'.join(map(str, self.kernel))}{stride}{turned}"

    def parts(self) -> list[str]:
        """What of stride, padding and dilation differs from the usual, as words of text."""
        parts = []
        if self.stride != (1, 1):
            parts.append(f"stride={'x'.join(map(str, self.stride))}")
        if any(self.padding):
            parts.append(f"pad={','.join(map(str, self.padding))}")
        if self.dilation != (1, 1):
            parts.append(f"dilation={'x'.join(map(str, self.dilation))}")
        return parts

    @staticmethod
    def parse(reader: TextReader, kernel: Pair, groups: int = 1) -> "Window":
        """The window whose ``parts`` come next."""
        return Window(
            kernel=kernel,
            stride=_stride(reader) if reader.has("stride=") else (1, 1),
            padding=reader.integers(4) if reader.has("pad=") else (0, 0, 0, 0),
            dilation=reader.sizes(2) if reader.has("dilation=") else (1, 1),
            groups=groups,
        )

    def _rows_seen(self, rows: Rows) -> Rows:
        """Rows of the image under the windows; negative ones and those past it are padding."""
        first = rows.first * self.stride[0] - self.padding[0]
        return Rows(first, first + (rows.count - 1) * self.stride[0] + self.reach[0])


def _stride(reader):
    """Rows, and columns with their sign: ``1x-1``."""
    down = reader.integer()
    reader.expect("x")
    return down, reader.integer()
