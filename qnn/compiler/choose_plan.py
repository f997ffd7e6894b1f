"""Pass: what runs strip by strip together, and where it lies on chip, in the fewest cycles found.

A network that fits on chip is the case of one strip per layer. Inputs are packed one after the
other, each where the plan with it packed takes no more cycles than the plan without.
"""

from dataclasses import replace

from qnn.compiler.choose_runs import check_rows, choose_runs
from qnn.compiler.compilation import Compilation
from qnn.compiler.network import network
from qnn.compiler.pack_input import pack_input
from qnn.compiler.part import NetworkPart
from qnn.compiler.place_buffers import place_buffers
from qnn.errors import CompileError

# The search counts words alone; real addresses leave gaps. A smaller share leaves room for them.
SHARES = (1.0, 0.9, 0.8, 0.7)  # of the chip that a plan may fill, until all finds an address


def choose_plan(state: Compilation) -> Compilation:
    """The state whose parts have a network, a plan for it, and the addresses of all on chip.

    Raises
    ------
    CompileError
        A single row of a layer does not fit; the text names the layer.
    """
    return replace(state, parts=tuple(_best(state, part) for part in state.parts))


def _best(state: Compilation, part: NetworkPart) -> NetworkPart:
    graph, best = part.graph, _tried(state, part, part.graph, None)
    for source in part.graph.inputs:
        # The host gathers words, and another part does not.
        if source.name == part.takes:
            continue
        packed, gather = pack_input(graph, source.name, state.config)
        if gather is None:
            continue
        gathers = {**(best or part).gathers, source.name: gather}
        like = None if best is None else best.network
        other = _tried(state, replace(part, gathers=gathers), packed, like)
        if other is not None and (best is None or other.plan.cycles <= best.plan.cycles):
            graph, best = packed, other
    if best is None:
        # Once more for its error, which then says what of the plain graph does not fit.
        return _planned(state, part, part.graph, None)
    return best


def _tried(state, part, graph, like):
    try:
        return _planned(state, part, graph, like)
    except CompileError:  # a row of plain words, or of packed ones, is wider than the other's
        return None


def _planned(state, part, graph, like):
    # What only some inputs differ in from the network before is not packed again.
    net = network(graph, state.config, state.bytes_per_cycle, part.turns, like)
    words = state.config.feature_words
    # The first that has addresses is taken: a smaller share has more to send to memory.
    for share in SHARES:
        plan = choose_runs(net, int(share * words))
        if plan is None:
            break
        placed = place_buffers(net, plan, part.turns)
        if placed is not None:
            return replace(part, network=net, plan=placed[0], chip=placed[1])
    # Where no tensor stays, a run has the chip for itself, and so always finds its addresses.
    plan = choose_runs(net, words, stays=False)
    if plan is None:
        check_rows(net)
    plan, chip = place_buffers(net, plan, part.turns)
    return replace(part, network=net, plan=plan, chip=chip)
