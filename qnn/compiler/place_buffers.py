"""Addresses on chip for a plan: tensors that stay, strip buffers, and room to move data early."""

from collections.abc import Iterator
from dataclasses import replace

from qnn.compiler.allocate import BufferRequest, Placement, Requests, Span, best_gap
from qnn.compiler.choose_runs import Schedule
from qnn.compiler.network import MappedNetwork
from qnn.compiler.places import STAYS, Spot
from qnn.compiler.runs import loaded, strip_buffers, strip_rows


def place_buffers(
    network: MappedNetwork, plan: Schedule, batch: int
) -> tuple[Schedule, dict[Spot, int]] | None:
    """The plan with further copies, and first words by ``Spot``; None if there is no room for all.

    A run whose strips have two copies of their buffers gets one for each strip if there is room.
    A buffer that is loaded gets an address of its own also in the runs before, and one that is
    stored also in the run behind, as far as there is room: transfers then overlap computation. In
    a batch the last run of an image comes before the first of the next.
    """
    needs, words = requests(network, plan), network.config.feature_words
    chip = Requests(needs.values()).allocate(words)
    if chip is None:
        return None
    placed = _placement(needs, chip)
    plan = _with_copies(network, plan, needs, chip, placed)
    orders = Requests(needs.values())
    for spot, lives in _wishes(network, plan, batch, needs):
        given = needs[spot]
        placed.remove(given)
        # At once, so that later wishes see the room that is left.
        needs[spot], chip[spot] = _moved(given, chip[spot], lives, placed, words)
        if needs[spot] is not given:
            orders = orders.with_other(given, needs[spot])
        # Where too many words live at a time, no order can place them.
        longer = [_with(given, life) for life in _fewer(lives, needs[spot].lives)]
        longer = [each for each in longer if placed.leaves(each, words)]
        placed.put(needs[spot], chip[spot])
        for each in longer:
            # All others have to move for this life, if they find addresses.
            moved = orders.with_other(needs[spot], each)
            found = moved.allocate(words)
            if found is not None:
                orders, needs[spot] = moved, each
                chip.update(found)
                placed = _placement(needs, chip)
                break
    return plan, chip


def _fewer(lives: list[tuple[Span, ...]], found: tuple[Span, ...]) -> Iterator[tuple[Span, ...]]:
    """Lives that are longer than the one found, for which all others may have to move.

    Of those that begin in the image before, each half as far down the list: what is loaded for the
    next image has nothing else to hide behind. Of others the shortest, and only if none was found.
    """
    better = lives.index(found) if found in lives else len(lives)
    if not all(len(life) > 1 for life in lives):
        yield from lives[-1:] if better == len(lives) else ()
        return
    number = 0
    while number < better:
        yield lives[number]
        number += max(1, (better - number) // 2)


def _with_copies(network, plan, needs, chip, placed):
    """The plan with a copy for each strip of a run, where all of them find a gap.

    No strip then waits until another one's buffer is free.
    """
    runs = list(plan.runs)
    for number, run in enumerate(plan.runs):
        more, strips = _further_copies(network, plan, number)
        # All or none: some copies more would only take the room that other runs' transfers need.
        # Measured by the cycle model: GoogLeNet takes 1,066,215 cycles with three copies,
        # 1,059,507 with as many as fit, and 1,054,906 so.
        found = _put_all(more, placed, network.config.feature_words) if more else None
        if found is not None:
            needs.update({need.name: need for need in more})
            chip.update(found)
            runs[number] = replace(run, copies=strips)
    return replace(plan, runs=tuple(runs))


def _further_copies(network, plan, number):
    """What a run's strip buffers need for a copy a strip, besides its copies; and its strips."""
    run = plan.runs[number]
    needed = strip_rows(network, run.nodes, run.rows, plan.spilled)
    strips = len(needed) * run.slices
    more = [
        BufferRequest(Spot(number, buffer.name, copy), buffer.words, ((number, number),))
        for buffer in strip_buffers(network, run, needed, plan.spilled)
        if buffer.copies > 1
        for copy in range(buffer.copies, strips)
    ]
    return more, strips


def _put_all(needs, placed, words):
    """The addresses of all in the gaps that are left; None, with nothing put, if one finds none."""
    found = {}
    for number, need in enumerate(needs):
        address = best_gap(need, placed, words)
        if address is None:
            for other in needs[:number]:
                placed.remove(other)
            return None
        placed.put(need, address)
        found[need.name] = address
    return found


def _placement(needs, chip):
    placed = Placement()
    for spot, need in needs.items():
        placed.put(need, chip[spot])
    return placed


def _with(need, life):
    return BufferRequest(need.name, need.words, life)


def _moved(need, address, lives, placed, words):
    """A buffer with the first of some lives for which there is a gap, and its address there."""
    for life in lives:
        longer = _with(need, life)
        found = best_gap(longer, placed, words)
        if found is not None:
            return longer, found
    return need, address


def requests(network: MappedNetwork, plan: Schedule) -> dict[Spot, BufferRequest]:
    """What must be placed: the roots that stay, and the copies of the strip buffers of each run."""
    needs = {}
    for root, span in plan.alive(network).items():
        spot = Spot(STAYS, root, 0)
        needs[spot] = BufferRequest(spot, network.root_words(root), (span,))
    for number, run in enumerate(plan.runs):
        needed = strip_rows(network, run.nodes, run.rows, plan.spilled)
        for buffer in strip_buffers(network, run, needed, plan.spilled):
            for copy in range(buffer.copies):
                spot = Spot(number, buffer.name, copy)
                needs[spot] = BufferRequest(spot, buffer.words, ((number, number),))
    return needs


def _wishes(network, plan, batch, needs) -> Iterator[tuple[Spot, list[tuple[Span, ...]]]]:
    """Longer lives that are worth a try, the best first."""
    work = [_compute_cycles(network, run) for run in plan.runs]
    outputs = {network.place[output.name].root for output in network.graph.outputs}
    reads = [loaded(network, run.nodes, plan.spilled) for run in plan.runs]
    for spot, need in needs.items():
        if spot.run == STAYS:
            if spot.name in outputs:
                yield spot, [_behind(need.lives[0], len(work), batch)]
        elif spot.name in reads[spot.run]:
            # The second copy is loaded after the first, through the same port.
            cycles = network.transfer_cycles(need.words) * (1 + spot.copy)
            yield spot, list(_before(spot.run, work, cycles, batch))
        elif spot.name == plan.runs[spot.run].last.name:
            yield spot, [_behind(need.lives[0], len(work), batch)]


def _compute_cycles(network, run):
    works = (node for node in run.nodes if node.is_computed)
    return sum(network.compute_cycles(node, node.shape[1]) for node in works)


def _before(number: int, work: list[int], cycles: float, batch: int) -> Iterator[tuple[Span, ...]]:
    """Lives from runs before on whose computation hides a transfer, the longest first.

    The first of all begins as early as can be: what is loaded long before leaves the memory to the
    fetch of instructions, when those are short.
    """
    count = len(work)
    most = number if batch == 1 else count - 1
    reach, hidden = 0, 0
    while reach < most and hidden < cycles:
        reach += 1
        hidden += work[(number - reach) % count]
    for back in (most, *range(reach, 0, -1)):
        if not back:
            continue
        # Before the first run of a batch lies the last one of the image before.
        first = number - back
        yield ((first, number),) if first >= 0 else ((0, number), (first + count, count - 1))


def _behind(span: Span, count: int, batch: int) -> tuple[Span, ...]:
    """The life, longer by the run after it."""
    first, last = span
    if last + 1 < count:
        return ((first, last + 1),)
    return (span, (0, 0)) if batch > 1 and first > 0 else (span,)
