"""A new order of all channels goes into the columns of the weights that read it."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.gather import ChannelGather
from qnn.frontend.rewrite import Rewrite


def absorb_gathers(graph: FloatGraph) -> FloatGraph:
    """Move orders down over what works channel by channel, and into the convolutions behind."""
    while True:
        rewrite = Rewrite(graph)
        changed = [_sunk(gather, rewrite) for gather in rewrite.each(ChannelGather)]
        graph = rewrite.graph()
        if not any(changed):
            return graph


def _sunk(gather, rewrite):
    """Whether a reader of ``gather`` reads what that gathers, in its own order."""
    source = rewrite[gather.inputs[0]]
    # A part of the channels is less to read; zeros in weights that learn would not stay zeros.
    if sorted(gather.channels) != list(range(source.shape[0])):
        return False
    changed = [_passed_to(user, gather, rewrite) for user in rewrite.users(gather.name)]
    if not rewrite.uses(gather.name):
        rewrite.exchange(gather.name)
    return any(changed)


def _passed_to(user, gather, rewrite):
    found = user.unordered(gather.channels, gather.inputs)
    if found is None or user.order is not None:
        return False
    moved, order = found
    # An order behind an output would be copied, as it is before it.
    if order is not None and rewrite.is_output(user.name):
        return False
    if order is None:
        rewrite.exchange(user.name, moved)
        return True
    # It keeps its name, though its channels lie as those of the operand do.
    behind = ChannelGather(
        name=rewrite.fresh(f"{user.name}.gather"),
        inputs=(user.name,),
        shape=user.shape,
        channels=order,
    )
    rewrite.redirect(user.name, behind.name)
    rewrite.exchange(user.name, replace(moved, name=user.name), behind)
    return True
