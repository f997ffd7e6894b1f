"""Graphs for any number of images: sizes as functions of it, also in files of one number."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.faults import FaultyModel
from qnn.frontend.onnx.graph import OnnxGraph, OnnxInput, OnnxNode
from qnn.frontend.onnx.walk import ShapeWalk

MOST_GIVEN = 1 << 26  # values of an input: five times those of an 8K frame
PROBES = (2, 3, 5)  # numbers of images: two give a line, and the third says that it is one


@dataclass(frozen=True)
class BatchSizes:
    """Whole numbers that grow with the number of images: ``offset + slope * images``."""

    offset: Tensor
    slope: Tensor

    def at(self, images: int) -> list:
        """The numbers for so many images, as nested lists."""
        return _line(self.offset.tolist(), self.slope.tolist(), images)

    def tensor(self, images: int) -> Tensor:
        """The same as a tensor."""
        return torch.tensor(self.at(images))


@dataclass(frozen=True)
class BatchCopies:
    """A constant whose values lie along an axis once for each image, as states at the start.

    Members
    -------
    one : with one value along the axis
    size : how many there are
    """

    one: Tensor
    axis: int
    size: BatchSizes

    def at(self, images: int) -> None:
        """Nothing: what is as large as there are images is no list of sizes or places."""
        return

    def tensor(self, images: int) -> Tensor:
        """The constant for so many images."""
        return self.one.repeat_interleave(self.size.at(images), self.axis)


@dataclass(frozen=True)
class Planned:
    """A graph whose shapes are known.

    Members
    -------
    walk : over it, for ``images`` images
    images : how many images it takes, None for any
    sizes : constants that grow with their number, by name
    moved : results whose images lie along another axis than the first, by name, with that axis
    """

    walk: ShapeWalk
    images: int | None
    sizes: dict[str, BatchSizes | BatchCopies]
    moved: dict[str, int] = field(default_factory=dict)


def planned(graph: OnnxGraph, shapes: Sequence[tuple[int, ...]]) -> Planned:
    """The graph for any number of images if it computes each of them alike, else for its own.

    Parameters
    ----------
    shapes : of one image of each input, without the batch

    Raises
    ------
    FaultyModel
        It cannot be taken for any number.
    """
    fixed = images_of(graph)
    try:
        return _probed(graph if fixed is None else _freed(graph, fixed), shapes)
    except (FaultyModel, _Fixed):
        # As many as everything else is captured with, where the file says none.
        images = fixed or PROBES[0]
        walk = ShapeWalk.of(graph, _with_batch(shapes, images))
        found = {name: _axis_of([walk], name, [images]) or 0 for name in graph.outputs}
        return Planned(walk, images, {}, {name: axis for name, axis in found.items() if axis})


def _axis_of(walks: Sequence[ShapeWalk], name: str, counts: Sequence[int]) -> int | None:
    """The first axis of a result that is as long as there are images; None: there is none."""
    shapes = [walk.values[name].tensor.shape for walk in walks]
    for axis in range(min(map(len, shapes))):
        if all(shape[axis] == count for shape, count in zip(shapes, counts, strict=True)):
            return axis
    return None


def images_of(graph: OnnxGraph) -> int | None:
    """How many images a file takes, whose inputs have them first; None: any number."""
    return next((each.shape[0] for each in graph.inputs if each.shape[0]), None)


class _Fixed(Exception):
    """A result that does not have an axis of images, or sizes that grow otherwise."""


def _probed(graph, shapes) -> Planned:
    walks: list[ShapeWalk] = []
    for images in PROBES:
        before = walks[0] if walks else None
        walks.append(ShapeWalk.of(graph, _with_batch(shapes, images), before))
    names = [name for name, value in walks[0].values.items() if value.varies]
    sizes = {}
    # Of most constants that depend on shapes, none of the sizes is the batch.
    for name in names:
        found = [walk.values[name].tensor for walk in walks]
        if not all(each.shape == found[0].shape for each in found):
            sizes[name] = _copies(found)
        elif not all(torch.equal(each, found[0]) for each in found):
            sizes[name] = _sizes(found)
    moved = {}
    for name in graph.outputs:
        axis = _axis_of(walks, name, PROBES)
        if axis is None:
            raise _Fixed
        rest = {
            (*shape[:axis], *shape[axis + 1 :])
            for shape in (walk.values[name].tensor.shape for walk in walks)
        }
        if len(rest) > 1:
            raise _Fixed
        if axis:
            moved[name] = axis
    return Planned(walks[0], None, sizes, moved)


def _copies(found) -> BatchCopies:
    shapes = torch.tensor([each.shape for each in found if each.dim() == found[0].dim()])
    axes = (shapes != shapes[:1]).any(0).nonzero().flatten().tolist()
    if len(shapes) != len(found) or len(axes) != 1:
        raise _Fixed
    (axis,) = axes
    one = found[0].narrow(axis, 0, 1)
    if not all(torch.equal(each, one.expand_as(each)) for each in found):
        raise _Fixed
    return BatchCopies(one, axis, _sizes([shape[axis] for shape in shapes]))


def _sizes(found) -> BatchSizes:
    if found[0].is_floating_point():
        raise _Fixed
    first, second, third = (each.long() for each in found)
    # Rounded: what is no line is found out by the third number.
    slope = (second - first) // (PROBES[1] - PROBES[0])
    line = BatchSizes(first - slope * PROBES[0], slope)
    if not torch.equal(line.offset + slope * PROBES[2], third):
        raise _Fixed
    return line


def _line(offset, slope, images):
    if isinstance(offset, list):
        return [_line(o, s, images) for o, s in zip(offset, slope, strict=True)]
    return offset + slope * images


def _with_batch(shapes, images):
    return [(images, *shape) for shape in shapes]


def _freed(graph: OnnxGraph, fixed: int) -> OnnxGraph:
    """The graph with no number of images in the shapes that it reshapes to."""
    constants = dict(graph.constants)
    nodes = tuple(_freed_node(node, constants, fixed) for node in graph.nodes)
    return replace(graph, nodes=nodes, constants=constants)


def _freed_node(node: OnnxNode, constants: dict[str, Tensor], fixed: int) -> OnnxNode:
    if node.kind != "Reshape" or node.attributes.get("allowzero"):
        return node
    sizes = constants.get(node.inputs[1])
    if sizes is None or sizes.dim() != 1 or not len(sizes) or sizes[0] != fixed:
        return node
    # Whatever is left over, or else as many as the operand has.
    name, first = f"{node.inputs[1]} for any batch", 0 if bool((sizes == -1).any()) else -1
    constants[name] = torch.cat([torch.tensor([first]), sizes[1:]])
    return replace(node, inputs=(node.inputs[0], name))


def shapes_of(
    inputs: Sequence[OnnxInput], given: Sequence[tuple[int, ...]] | None
) -> list[tuple[int, ...]]:
    """Of one image of each input, those of the file, or those given where it leaves them free.

    Raises
    ------
    ModelError
        They are free and not given, or differ from the file's.
    """
    if given is not None and len(given) != len(inputs):
        names = ", ".join(f"'{each.name}'" for each in inputs)
        raise ModelError(
            f"model needs one shape for each of its inputs {names}, not {len(given)}; give "
            f"--input-shape once for each"
        )
    counts = {each.shape[0]: each.name for each in inputs if each.shape and each.shape[0]}
    if len(counts) > 1:
        told = " and ".join(f"'{name}' {count}" for count, name in counts.items())
        raise ModelError(
            f"inputs need as many images along their first axes, but have {told}; export states "
            f"with their images first, or give them as constants"
        )
    return [
        _shape_of(each, None if given is None else tuple(given[n])) for n, each in enumerate(inputs)
    ]


def _shape_of(source: OnnxInput, shape):
    name, own = source.title or source.name, source.shape[1:]
    text = ",".join(str(size or "free") for size in own)
    if not source.shape:
        raise ModelError(
            f"input '{name}' needs an axis of images, but is one number; export the model with "
            f"that number as a constant"
        )
    if shape is None:
        if None in own:
            raise ModelError(
                f"input '{name}' needs known sizes, but they are ({text}) without the batch; give "
                f"--input-shape, as 3,224,224"
            )
        return _checked(source, tuple(own))
    # Given again, a size that the file has is no contradiction.
    alike = len(shape) == len(own) and all(
        size in (None, asked) for size, asked in zip(own, shape, strict=True)
    )
    if not alike:
        asked = ",".join(map(str, shape))
        raise ModelError(
            f"input '{name}' has the sizes ({text}) without the batch, not ({asked}); give a "
            f"--input-shape that fits them"
        )
    return _checked(source, shape)


def _checked(source, shape):
    # Before PyTorch counts their bytes. A file of several images is run with as many.
    whole = (source.shape[0] or 1, *shape)
    if prod(whole) > MOST_GIVEN:
        asked = ",".join(map(str, whole if whole[0] > 1 else shape))
        raise ModelError(
            f"input '{source.title or source.name}' needs at most {MOST_GIVEN:,} values, not "
            f"({asked}); give it a smaller shape"
        )
    return shape
