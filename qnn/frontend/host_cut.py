"""Where a network ends and its host begins: which calls of a program the host computes.

A suffix call is one that ``host_steps`` reads and that only suffix calls and the user read. Of
them the host gets

- a softmax or log-softmax that the user gets as it is, and an argmax and all behind it, as all that
  is computed of integers;
- all that is connected with a softmax whose result is computed on, or with a sum or product of a
  value and a grid, which is a constant that differs along two axes or more;
- what moves the images to another axis, and all behind it.

So a sigmoid that stands alone is a table of the network, and one of a decoded box is the host's.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, fx

from qnn.frontend.evaluate import valued_operands
from qnn.frontend.faults import Fault, FaultyModel, site_of, target_of
from qnn.frontend.host_steps import INTEGERS, OF_SEVERAL, REDUCTIONS, SOFTMAX, reader_of
from qnn.frontend.host_values import HostValue, HostValues, NotForHost
from qnn.frontend.image_axes import image_axes

SUMS = {f"aten.{name}" for name in ("add", "sub", "rsub", "mul", "div", "multiply", "divide")}
OF_ONE_IMAGE = "to run over an axis of one image, not over the batch"


@dataclass(frozen=True, eq=False)
class HostCut:
    """The calls of a program that the host computes.

    Members
    -------
    nodes : the calls
    computed : all nodes that depend on what the user gives
    axes : of their tensors, which axis the images lie along
    batch : how many images the program was exported with
    refused : calls that only the host could compute, but which run over the images
    """

    nodes: frozenset[fx.Node]
    computed: frozenset[fx.Node]
    axes: Mapping[fx.Node, int]
    batch: int
    refused: Mapping[fx.Node, FaultyModel]

    def steps(self) -> Callable[[fx.Node], HostValue]:
        """What gives the value of a node: of the network's tensors, or of steps behind them."""
        values = HostValues(self.batch, self.axes)
        return _Values(values, self.nodes, self.computed).value


class _Values:
    """Values of nodes, each made once."""

    def __init__(self, values, nodes, computed):
        self.values, self.nodes, self.computed = values, nodes, computed
        self.known: dict[fx.Node, HostValue] = {}

    def value(self, given: Any) -> HostValue:
        if not isinstance(given, fx.Node):
            if isinstance(given, bool) or not isinstance(given, int | float):
                raise NotForHost
            return self.values.constant(given)
        if given not in self.computed:
            return self.values.constant(given)
        if given not in self.known:
            read = reader_of(given) if given in self.nodes else None
            made = self.values.tensor(given) if read is None else self._read(read, given)
            self.known[given] = made
        return self.known[given]

    def _read(self, read, node):
        made = read(node, self.values, self.value)
        return made if made.call is not None or made.step is None else replace(made, call=node)


def host_cut(nodes: Iterable[fx.Node], given: Iterable[str], batch: int) -> HostCut:
    """The cut of a program.

    Parameters
    ----------
    nodes : of the program that a result is computed from, in order
    given : names of what the user gives
    batch : images that it was exported with
    """
    nodes, given = list(nodes), set(given)
    computed = _computed(nodes, given)
    axes = image_axes(nodes, computed, batch)
    may = _suffix(nodes, {n for n in nodes if n in computed and _is_known(n)})
    reader, readable = _Values(HostValues(batch, axes), may, computed), set()
    refused: dict[fx.Node, FaultyModel] = {}
    behind: set[fx.Node] = set()  # triggers and all that is computed of them
    for node in (n for n in nodes if n in may):
        follows = any(each in behind for each in node.all_input_nodes)
        if target_of(node) in REDUCTIONS and not follows:
            reader.known[node] = reader.values.tensor(node) if _is_tensor(node) else None
        elif _can_read(reader, node):
            readable.add(node)
        elif _runs_over_images(node, reader):
            what = f"needs {OF_ONE_IMAGE}"
            refused[node] = FaultyModel([Fault(site_of(node), what, "name another axis")])
        if follows or _is_trigger(node, reader):
            behind.add(node)
    # Again, as what cannot be read after all is the network's, and all that it reads.
    suffix = _suffix(nodes, readable)
    chosen = frozenset(_chosen(nodes, suffix, reader))
    return HostCut(chosen, frozenset(computed), axes, batch, refused)


def _computed(nodes, given):
    """The nodes whose values depend on what the user gives."""
    found: set[fx.Node] = set()
    for node in nodes:
        is_given = node.op == "placeholder" and node.name in given and _is_tensor(node)
        depends = any(operand in found for operand in valued_operands(node))
        if is_given or (node.op == "call_function" and depends):
            found.add(node)
    return found


def _is_tensor(node):
    return isinstance(node.meta.get("val"), Tensor)


def _is_known(node):
    return reader_of(node) is not None or target_of(node) in OF_SEVERAL


def _suffix(nodes, known):
    """Those of ``known`` that only such and the user read."""
    found: set[fx.Node] = set()
    live = set(nodes)
    for node in reversed(nodes):
        users = [user for user in node.users if user in live or user.op == "output"]
        if node in known and all(user.op == "output" or user in found for user in users):
            found.add(node)
    return found


def _can_read(reader, node):
    if target_of(node) in OF_SEVERAL and not _is_tensor(node):
        return True  # read by those that take one of its results
    try:
        reader.value(node)
    except NotForHost:
        reader.known[node] = reader.values.tensor(node)
        return False
    return True


def _runs_over_images(node, reader):
    """Whether only the host could compute a call, which runs over the images, as all axes do."""
    # Inside of a network there are other words for what is not supported.
    last = all(user.op == "output" for user in node.users)
    if not last or target_of(node) not in {"aten.argmax", *SOFTMAX}:
        return False
    value, dim = reader.value(node.args[0]), node.args[1] if len(node.args) > 1 else None
    return dim is None or dim % len(value.shape) == value.axis


def _is_trigger(node, reader):
    return target_of(node) in SOFTMAX or _has_grid(node, reader) or _is_argmax(node)


def _has_grid(node, reader):
    if target_of(node) not in SUMS:
        return False
    constants = [n for n in node.all_input_nodes if n not in reader.computed and _is_tensor(n)]
    # Along one axis they are factors of channels, which layers take in.
    return any(sum(size > 1 for size in n.meta["val"].shape) > 1 for n in constants)


def _is_argmax(node):
    if node.target is operator.getitem:
        return target_of(node.args[0]) in ("aten.max", "aten.topk") and node.args[1] == 1
    return target_of(node) in ("aten.argmax", "aten.argmin")


def _is_last(node):
    """Whether the user gets a softmax or argmax as it is, or the place of its greatest value."""
    if not (target_of(node) in SOFTMAX or _is_argmax(node)):
        return False
    return all(user.op == "output" or _only_chooses(user) for user in node.users)


def _only_chooses(node):
    if target_of(node) in OF_SEVERAL:
        return all(_is_argmax(user) and _is_last(user) for user in node.users)
    return target_of(node) == "aten.argmax" and _is_last(node)


def _chosen(nodes, suffix, reader):
    """Those of the suffix calls that the host gets."""
    last = {n for n in suffix if _is_last(n)}
    # The calls between, such as a maximum of which the place alone is taken.
    last |= {user for n in last for user in n.users if user in suffix}
    # The greatest value of a topk comes with its place.
    last |= {user for n in suffix if target_of(n) == "aten.topk" for user in n.users}
    last |= {n for n in suffix if target_of(n) in OF_SEVERAL and n.users.keys() <= last}
    last |= _behind(nodes, suffix, {n for n in suffix if _is_integer(n)})
    decoded = {n for n in suffix - last if target_of(n) in SOFTMAX or _has_grid(n, reader)}
    open_ = [*decoded]
    while open_:
        node = open_.pop()
        near = {n for n in (*node.all_input_nodes, *node.users) if n in suffix} - decoded
        decoded |= near
        open_ += near
    moved = _behind(nodes, suffix, {n for n in suffix if _moves_images(n, reader)})
    # What is moved back before the end is the network's, which moves nothing at all.
    ends = [reader.known.get(n) for n in moved if any(u.op == "output" for u in n.users)]
    stays = any(value is not None and value.axis for value in ends)
    return last | decoded | (moved if stays else set())


def _behind(nodes, suffix, first):
    """Those of the suffix calls that are ``first`` or computed of such."""
    found = set(first)
    for node in nodes:
        if node in suffix and any(each in found for each in node.all_input_nodes):
            found.add(node)
    return found


def _is_integer(node):
    held = node.meta.get("val")
    return isinstance(held, Tensor) and held.dtype in INTEGERS


def _moves_images(node, reader):
    value = reader.known.get(node)
    before = [reader.known.get(n) for n in node.all_input_nodes]
    axes = {v.axis for v in before if v is not None and v.axis is not None}
    return value is not None and value.axis not in (0, None) and axes <= {0}
