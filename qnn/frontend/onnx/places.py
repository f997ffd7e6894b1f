"""ONNX's operators that move, select or repeat values, in PyTorch's words."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader

PADS = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
END = 2**31 - 1  # an end of a slice from here on is the end of its axis


def reshape(call: OnnxCall) -> Tensor:
    """Reshape, where 0 is the size that the axis had."""
    x, sizes = call[0], call.ints(1, "shape")
    if not call.attribute("allowzero", 0):
        fits = all(size or n < x.dim() for n, size in enumerate(sizes))
        call.require(fits, "an axis for each 0 of its shape", f"{sizes}", "correct the shape")
        sizes = [size or x.shape[n] for n, size in enumerate(sizes)]
    return x.reshape(sizes)


def flatten(call: OnnxCall) -> Tensor:
    """Flatten into a matrix."""
    x, axis = call[0], call.attribute("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    if axis == 1 and x.dim() > 1:
        return x.flatten(1)
    # So that no axis of the batch is a number, where there is one.
    return x.reshape(1, -1) if axis == 0 else x.flatten(0, axis - 1).flatten(1)


def squeeze(call: OnnxCall) -> Tensor:
    """Squeeze."""
    x, axes = call[0], call.ints(1, "axes")
    if axes is None:
        axes = [n for n, size in enumerate(x.shape) if size == 1]
    return x.squeeze(sorted({axis % x.dim() for axis in axes})) if axes else x


def unsqueeze(call: OnnxCall) -> Tensor:
    """Unsqueeze."""
    x, axes = call[0], call.ints(1, "axes")
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def transpose(call: OnnxCall) -> Tensor:
    """Transpose, without an order of axes in reverse."""
    x = call[0]
    return x.permute(call.attribute("perm", list(range(x.dim()))[::-1]))


def concat(call: OnnxCall) -> Tensor:
    """Concat."""
    found = [call[n] for n in range(len(call))]
    return torch.cat(found, call.attribute("axis", 1))


def split(call: OnnxCall) -> tuple[Tensor, ...]:
    """Split into parts of given sizes, or of one size."""
    x, axis, sizes = call[0], call.attribute("axis", 0), call.ints(1, "split")
    if sizes is None:
        count = call.attribute("num_outputs", len(call.node.outputs))
        return x.split(-(-x.shape[axis] // count), axis)
    return x.split(sizes, axis)


def slices(call: OnnxCall) -> Tensor:
    """Slice, also backwards."""
    x, starts, ends = call[0], call.ints(1, "starts"), call.ints(2, "ends")
    axes = call.ints(3, "axes") or list(range(len(starts)))
    steps = call.ints(4) or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        x = _sliced(x, axis % x.dim(), start, end, step)
    return x


def _sliced(x, axis, start, end, step):
    places = range(*slice(start, _bounded(end, step), step).indices(x.shape[axis]))
    if step < 0:
        # As many values in the other order: PyTorch steps forwards alone.
        return (
            _sliced(x.flip(axis), axis, x.shape[axis] - 1 - places.start, None, -step)[
                (slice(None),) * axis + (slice(0, len(places)),)
            ]
            if len(places)
            else x.narrow(axis, 0, 0)
        )
    if len(places) == x.shape[axis]:
        return x
    chosen = slice(places.start, places.stop, step)
    return x[(slice(None),) * axis + (chosen,)]


def _bounded(end, step):
    # Files write the largest or the least number for "to the end".
    if end is None or end >= END:
        return None if step > 0 else end
    return None if step < 0 and end <= -END else end


def gather(call: OnnxCall) -> Tensor:
    """Gather at constant places."""
    x, axis = call[0], call.attribute("axis", 0) % max(call[0].dim(), 1)
    places, shape = call.ints(1), call[1].shape
    # From the end where they are less than 0.
    size = x.shape[axis]
    places = [each + size if each < 0 else each for each in places]
    call.require(bool(places), "a place at least", "none", "leave it out")
    call.require(
        all(0 <= each < size for each in places),
        f"places below {size}",
        f"{max(places, default=0)}",
        "correct them",
    )
    if not shape:
        return x.select(axis, places[0])
    if places == list(range(places[0], places[0] + len(places))) and len(shape) == 1:
        return x if len(places) == size else x.narrow(axis, places[0], len(places))
    # Any shape of places: chosen in a row, and then put in that shape.
    index = torch.tensor(places, device=x.device)
    found = x.index_select(axis, index)
    return found.reshape(*x.shape[:axis], *shape, *x.shape[axis + 1 :])


def gather_elements(call: OnnxCall) -> Tensor:
    """GatherElements."""
    return torch.gather(call[0], call.attribute("axis", 0), call[1].long())


def gather_nd(call: OnnxCall) -> Tensor:
    """GatherND without axes of the batch."""
    x, index = call[0], call[1]
    call.require(
        not call.attribute("batch_dims", 0), "no batch_dims", "some", "gather along an axis"
    )
    return x[tuple(index[..., n] for n in range(index.shape[-1]))]


def scatter_nd(call: OnnxCall) -> Tensor:
    """ScatterND at constant places."""
    call.require(
        call.attribute("reduction", "none") == "none", "to replace", "a reduction", "leave it out"
    )
    x, index = call[0], call[1]
    return x.index_put(tuple(index[..., n] for n in range(index.shape[-1])), call[2])


def scatter_elements(call: OnnxCall) -> Tensor:
    """ScatterElements, which replaces or adds."""
    x, axis, how = call[0], call.attribute("axis", 0), call.attribute("reduction", "none")
    call.require(how in ("none", "add"), "to replace or to add", str(how), "use one of them")
    index = call[1].long()
    index = torch.where(index < 0, index + x.shape[axis], index)
    return (torch.scatter if how == "none" else torch.scatter_add)(x, axis, index, call[2])


def expand(call: OnnxCall) -> Tensor:
    """Expand to a shape, or to more along some axes."""
    x, sizes = call[0], call.ints(1)
    return x.expand(torch.broadcast_shapes(tuple(x.shape), tuple(sizes)))


def tile(call: OnnxCall) -> Tensor:
    """Tile."""
    return call[0].repeat(call.ints(1))


def pad(call: OnnxCall) -> Tensor:
    """Pad."""
    x, pads, mode = call[0], call.ints(1, "pads"), call.attribute("mode", "constant")
    axes = [axis % x.dim() for axis in call.ints(3) or range(x.dim())]
    count = len(axes)
    pairs = dict(zip(axes, zip(pads[:count], pads[count:], strict=True), strict=True))
    pairs = [pairs.get(axis, (0, 0)) for axis in range(x.dim())]
    # From the last axis on, up to the first that is padded.
    first = next((n for n, pair in enumerate(pairs) if any(pair)), x.dim())
    flat = [each for pair in reversed(pairs[first:]) for each in pair]
    if not flat:
        return x
    call.require(mode in PADS, f"a mode of {', '.join(PADS)}", f"{mode}", "choose one")
    # Less than 0 cuts off, in PyTorch too.
    if mode == "constant":
        return F.pad(x, flat, value=call.number(2, "value", 0.0))
    # Copies are of sequences and images: a vector is a sequence of one channel, and so is an image
    # of one row.
    if len(flat) == 2 and x.shape[1:-1].numel() == 1:
        line = x.reshape(x.shape[0], 1, x.shape[-1])
        found = F.pad(line, flat, mode=PADS[mode])
        return found.reshape(*x.shape[:-1], found.shape[-1])
    # Two axes at least are before those that copies are made along.
    flat += [0, 0] * (x.dim() - 2 - len(flat) // 2)
    return F.pad(x, flat, mode=PADS[mode])


def to_depth(call: OnnxCall) -> Tensor:
    """SpaceToDepth, whose channels are those of a place side by side."""
    x, size = call[0], call.attribute("blocksize")
    found = F.pixel_unshuffle(x, size)
    # PyTorch has the places of a channel side by side.
    count = size * size
    return found.unflatten(1, (x.shape[1], count)).transpose(1, 2).flatten(1, 2)


def to_space(call: OnnxCall) -> Tensor:
    """DepthToSpace, of either order of channels."""
    x, size = call[0], call.attribute("blocksize")
    if call.attribute("mode", "DCR") == "DCR":
        count = size * size
        x = x.unflatten(1, (count, x.shape[1] // count)).transpose(1, 2).flatten(1, 2)
    return F.pixel_shuffle(x, size)


def triangle(call: OnnxCall) -> Tensor:
    """Trilu."""
    diagonal = int(call.number(1, default=0))
    upper = call.attribute("upper", 1)
    return torch.triu(call[0], diagonal) if upper else torch.tril(call[0], diagonal)


OPERATORS: Mapping[str, Reader] = {
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Concat": concat,
    "Split": split,
    "Slice": slices,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ScatterND": scatter_nd,
    "ScatterElements": scatter_elements,
    "Expand": expand,
    "Tile": tile,
    "Pad": pad,
    "SpaceToDepth": to_depth,
    "DepthToSpace": to_space,
    "Trilu": triangle,
}
