"""A view as a block of channels, rows and columns, by the operators that give it one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from math import prod

import torch
from torch import Tensor

from qnn.frontend.faults import FaultyModel
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.flatten import Flatten
from qnn.frontend.ops.gather import ChannelGather
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.slice import Slice
from qnn.frontend.pieces import cuts, resampled
from qnn.frontend.side_by_side import side_by_side
from qnn.frontend.views import Held, View, block_of, is_view
from qnn.ir.window import Window


@dataclass
class Materialise:
    """Gives views to readers that compute.

    Members
    -------
    batch : how many images the exported program has
    add : takes an operator into the graph, by the name that it gets there
    cuts : whether a view may be cut into pieces, which are copied each for itself
    done : what was given already, by the view
    """

    batch: int
    add: Callable[[FloatOperator], FloatOperator]
    cuts: bool = True
    done: dict[int, tuple[View, FloatOperator]] = field(default_factory=dict)

    def __call__(self, view: View) -> FloatOperator:
        """The operator whose block has the view's values, in the order of the view's axes.

        Raises
        ------
        FaultyModel
            No convolution, selection of channels or slice gives it.
        """
        # The view is kept with the result, so that no other can have its identity.
        if id(view) not in self.done:
            self.done[id(view)] = view, self._given(view)
        return self.done[id(view)][1]

    def has(self, value: Held) -> bool:
        """Whether a value is an operator, or a view that was given one already."""
        return not is_view(value) or id(value) in self.done

    @contextmanager
    def uncut(self) -> Iterator[None]:
        """Cut no view meanwhile: what would have to be is refused."""
        before, self.cuts = self.cuts, False
        try:
            yield
        finally:
            self.cuts = before

    def joined(self, view: View) -> FloatOperator | None:
        """One operator with the values of all sources in their order; None if there is none."""
        if len(view.sources) == 1:
            return view.sources[0]
        sizes = {source.shape[1:] for source in view.sources}
        if len(sizes) > 1:
            return None
        channels = sum(source.shape[0] for source in view.sources)
        # What of it is read, and in which order, a gather behind it says.
        names = tuple(source.name for source in view.sources)
        shape = (channels, *sizes.pop())
        return self.add(FloatConcat(name=f"{view.name}.concat", inputs=names, shape=shape))

    def gathered(self, name: str, source: FloatOperator, channels: Tensor) -> FloatOperator:
        """Those channels of ``source``, which is itself where they are all in their order."""
        if torch.equal(channels, torch.arange(source.shape[0])):
            return source
        numbers = tuple(channels.tolist())
        shape = (len(numbers), *source.shape[1:])
        return self.add(
            ChannelGather(name=name, inputs=(source.name,), shape=shape, channels=numbers)
        )

    def _given(self, view):
        view = view.of_used()
        places = view.of_one_image(self.batch)
        block = block_of(tuple(places.shape))
        if block is None:
            raise view.refuse(
                "(channels, height, width) or fewer axes beside the batch where it is computed on",
                f"{tuple(places.shape)}",
                "join axes before it",
            )
        places = places.reshape(block)
        ways = (self._plain, self._selected, self._instead, self._mixed, self._beside, self._pieced)
        for way in ways:
            found = way(view, places)
            if found is not None:
                return found
        got = " and ".join(str(each.shape) for each in view.sources)
        raise view.refuse(
            f"each of the channels of {block} to be rows and columns of one channel before it",
            f"a mixture of channels and places of {got}",
            "move values so at the end of the network alone, or of smaller images",
        )

    def _selected(self, view, places):
        """One selection of channels, rows and columns; None: there is none."""
        source = self.joined(view)
        if source is None:
            return None
        found = self._image(view, source, places)
        if found is not None:
            return found
        channels = places.flatten(1) // prod(source.shape[1:])
        # Of whole channels, rows and columns may lie in any order.
        if not bool((channels == channels[:, :1]).all()):
            return None
        image = resampled(view.name, source, places)
        if image is None:
            return None
        image = replace(image, shape=(source.shape[0], *image.shape[1:]))
        return self.gathered(view.name, self.add(image), channels[:, 0])

    def _instead(self, view, _):
        """What the view's own call would be on blocks."""
        if view.instead is None:
            return None
        with suppress(FaultyModel):
            return view.instead()
        return None

    def _beside(self, view, places):
        """Parts of fewer tensors each, side by side."""
        with suppress(FaultyModel):
            found = side_by_side(view, places, self)
            return None if found is None else self.add(found)
        return None

    def _mixed(self, view, places):
        """Every n-th row or column of each tensor, which no parts side by side have."""
        return self._pieced(view, places, True) if len(view.sources) > 1 else None

    def _pieced(self, view, places, mixed=False):
        """Pieces of rows or columns side by side, each of which is one selection.

        Parameters
        ----------
        mixed : whether pieces have to lie between each other
        """
        if not self.cuts:
            return None
        for step, cut in cuts(view, places, self.batch):
            if mixed and step == (1, 1):
                continue
            made, firsts = [], []
            for piece in cut():
                found = self._piece(piece.view)
                if found is None:
                    break
                made.append(found)
                firsts.append(piece.first)
            else:
                names = tuple(each.name for each in made)
                return self.add(
                    FloatInterleave(
                        name=view.name,
                        inputs=names,
                        shape=tuple(places.shape),
                        step=step,
                        offsets=tuple(firsts),
                    )
                )
        return None

    def _piece(self, view):
        places = view.of_one_image(self.batch)
        found = self._plain(view, places)
        return self._selected(view, places) if found is None else found

    def _plain(self, view, places):
        """A tensor that has the values in their order already, or a vector; None: it is neither."""
        (first, *more) = view.sources
        in_order = torch.equal(places.flatten(), torch.arange(view.total))
        if in_order and not more and first.shape == tuple(places.shape):
            return first
        return self._vector(view, places.flatten()) if places.shape[1:] == (1, 1) else None

    def _vector(self, view, places):
        """Any values of all images, as a vector."""
        source = self.joined(view)
        # Of several images of different sizes, values are joined as vectors alone.
        if source is not None:
            # Of one pixel alone, a slice reads less than a flatten.
            pixels = places % prod(source.shape[1:])
            if bool((pixels == pixels[0]).all()):
                return self._image(view, source, places.reshape(-1, 1, 1))
        flat = [self._flattened(view, each) for each in view.sources]
        source = flat[0]
        if len(flat) > 1:
            names = tuple(each.name for each in flat)
            shape = (view.total, 1, 1)
            source = self.add(FloatConcat(name=f"{view.name}.concat", inputs=names, shape=shape))
        return self.gathered(view.name, source, places)

    def _flattened(self, view, source):
        if source.shape[1:] == (1, 1):
            return source
        shape = (prod(source.shape), 1, 1)
        return self.add(Flatten(name=view.name, inputs=(source.name,), shape=shape))

    def _image(self, view, source, places):
        """Channels of ``source`` of which each gives rows and columns; None if there are none."""
        _, height, width = source.shape
        channels, rest = places // (height * width), places % (height * width)
        rows, columns = rest // width, rest % width
        if not bool((channels == channels[:, :1, :1]).all()):
            return None
        if not bool((rows == rows[:, :, :1]).all() and (columns == columns[:, :1, :]).all()):
            return None
        channels, rows, columns = channels[:, 0, 0], rows[:, :, 0], columns[:, 0, :]
        down, right = _step(rows), _step(columns)
        if down is None or right is None:
            return None
        top, left, stride = rows[:, 0], columns[:, 0], (down, right)
        if bool((top == top[0]).all() and (left == left[0]).all()):
            size = (rows.shape[1], columns.shape[1])
            sliced = self._sliced(view, source, (int(top[0]), int(left[0])), stride, size)
            return self.gathered(view.name, sliced, channels)
        return self._picked(view, source, channels, (top, left), stride, places.shape)

    def _sliced(self, view, source, start, stride, size):
        if size == source.shape[1:]:
            return source
        # A single row is any distance from the next; this one leaves none behind it.
        stride = tuple(
            source.shape[1 + axis] - start[axis] if size[axis] == 1 else stride[axis]
            for axis in (0, 1)
        )
        shape = (source.shape[0], *size)
        node = Slice(name=view.name, inputs=(source.name,), shape=shape, stride=stride, start=start)
        # Where all that there are is taken, their number says nothing.
        every = node.output_shape((source.shape,)) == shape
        return self.add(node if every else replace(node, size=size))

    def _picked(self, view, source, channels, starts, stride, shape):
        """Channels that start at different pixels, as those of a space to depth do."""
        starts = torch.stack(starts, 1)
        first = starts.amin(0)
        kernel = starts.amax(0) - first + 1
        size = tuple(
            int((n - 1) * step + k) for n, step, k in zip(shape[1:], stride, kernel, strict=True)
        )
        image = self._sliced(view, source, tuple(first.tolist()), (1, 1), size)
        # As many results of each channel: groups of them, of which each picks its own pixel.
        order = channels.argsort(stable=True)
        counts = torch.bincount(channels, minlength=source.shape[0])
        if not bool((counts == counts[0]).all()):
            image, order = self.gathered(f"{view.name}.gather", image, channels), order.sort()[0]
        picked = starts[order] - first
        weight = torch.zeros(len(order), 1, *kernel.tolist())
        weight[torch.arange(len(order)), 0, picked[:, 0], picked[:, 1]] = 1
        conv = FloatConv(
            name=f"{view.name}.pixels",
            inputs=(image.name,),
            shape=(len(order), *shape[1:]),
            window=Window(kernel=tuple(kernel.tolist()), stride=stride, groups=image.shape[0]),
            weight=weight,
            fixed=True,
        )
        return self.gathered(view.name, self.add(conv), order.argsort())


def _step(places: Tensor) -> int | None:
    """The distance of (channels, n) places, the same in all; None if they differ or go back."""
    # Of one row there is no distance, and any will do.
    if places.shape[1] == 1:
        return 1
    steps = places[:, 1:] - places[:, :-1]
    step = int(steps[0, 0])
    return step if step > 0 and bool((steps == step).all()) else None
