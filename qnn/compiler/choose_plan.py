"""Pass: what runs strip by strip together, and where it lies on chip, in the fewest cycles found.

A network that fits on chip is the case of one strip a layer. Inputs are packed where the plan for
packed inputs takes no more cycles than the plan for plain ones.
"""

from dataclasses import replace

from qnn.compiler.choose_runs import check_rows, choose_runs
from qnn.compiler.compilation import Compilation
from qnn.compiler.network import network
from qnn.compiler.pack_input import pack_input
from qnn.compiler.place_buffers import place_buffers
from qnn.errors import CompileError

SHARES = (1.0, 0.9, 0.8, 0.7)  # of the chip that a plan may fill, until all finds an address


def choose_plan(state: Compilation) -> Compilation:
    """The state with a network, a plan for it, and the addresses of all that is on chip.

    Raises
    ------
    CompileError
        A single row of a layer does not fit; the text names the layer.
    """
    graph, gather = pack_input(state.graph, state.config)
    if gather is None:
        return _planned(state, state.graph)
    gathers = {graph.inputs[0].name: gather}
    plain, packed = _tried(state, state.graph), _tried(replace(state, gathers=gathers), graph)
    if plain is None and packed is None:
        return _planned(state, state.graph)  # which says what does not fit
    if plain is None or (packed is not None and packed.plan.cycles <= plain.plan.cycles):
        return packed
    return plain


def _tried(state, graph):
    try:
        return _planned(state, graph)
    except CompileError:  # a row of plain words, or of packed ones, is wider than the other's
        return None


def _planned(state, graph):
    net = network(graph, state.config, state.bytes_per_cycle, state.batch)
    words = state.config.feature_words
    for share in SHARES:
        plan = choose_runs(net, int(share * words))
        if plan is None:
            break
        chip = place_buffers(net, plan, state.batch)
        if chip is not None:
            return replace(state, network=net, plan=plan, chip=chip)
    # Where no tensor stays, a run has the chip for itself, and so always finds its addresses.
    plan = choose_runs(net, words, stays=False)
    if plan is None:
        check_rows(net)
    chip = place_buffers(net, plan, state.batch)
    return replace(state, network=net, plan=plan, chip=chip)
