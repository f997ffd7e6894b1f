"""Which tensors stay on chip, and which layers run strip by strip together: the cheapest found."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

from qnn.compiler.cut_runs import cuts, words_during
from qnn.compiler.join_runs import few_enough, joined_alone, joins
from qnn.compiler.network import MappedNetwork
from qnn.compiler.plan_cost import NO_CHANGE, PlanCost
from qnn.compiler.runs import Choice, LayerRun, best_run, candidates, least_rows
from qnn.compiler.segments import passes
from qnn.compiler.storage import groups_of_layers
from qnn.errors import CompileError
from qnn.ir.ops import Operator

# Plans whose estimates differ by less are equal; then sending the least dear tensors to memory is
# the better one. Measured by the cycle model: of two plans for MNASNet 1.3, estimated 0.06 % apart,
# it takes 896,083 cycles and the other 919,470; RegNetX-800MF's are 4 % apart, and 7 % measured.
CLOSE = 0.01


@dataclass(frozen=True)
class Schedule:
    """Runs in their order; tensors of ``spilled`` roots lie in memory, all others on chip."""

    runs: tuple[LayerRun, ...]
    spilled: frozenset[str]
    cycles: float  # estimated, of one image

    def alive(self, network: MappedNetwork) -> dict[str, tuple[int, int]]:
        """First and last run of every root that stays on chip."""
        return _alive(network, tuple(run.nodes for run in self.runs), self.spilled)


def choose_runs(network: MappedNetwork, capacity: int, *, stays: bool = True) -> Schedule | None:
    """A plan whose tensors and strips take at most ``capacity`` words at a time; None if none does.

    It starts with all tensors on chip (with none, if nothing ``stays``) and one layer a run. What
    does not fit sends tensors to memory, each time the one that costs least, and in a second plan
    the largest; then layers join and tensors come back as long as the estimate falls.
    """
    runs, fixed = _start(network)
    if not stays:
        # The fallback: every run has the chip for itself, so that the worst case is a single row.
        fixed = frozenset(place.root for place in network.place.values())
    search = _Search(network, capacity, fixed)
    start = _State(search, runs, fixed)
    cheap = search.plan(start, search.cost)
    if start.fits:
        return cheap
    # Neither order is best for all networks: the plan of one is often much dearer than the other's.
    large = search.plan(start, search.size)
    if cheap is None or (large is not None and large.cycles < cheap.cycles * (1 - CLOSE)):
        return large
    return cheap


def check_rows(network: MappedNetwork) -> None:
    """Say which layer is too large for a strip of the fewest rows, with all that it reads.

    Raises
    ------
    CompileError
        There is one.
    """
    words = network.config.feature_words
    everything = frozenset(place.root for place in network.place.values())
    for nodes in _start(network)[0]:
        missing = best_run(candidates(network, nodes, everything), words).missing
        if missing:
            node = nodes[-1]
            rows = least_rows(node)
            raise CompileError(
                f"{node.kind} '{node.name}' needs {words + missing} feature "
                f"words for {'one row' if rows == 1 else f'{rows} rows'} of its output, but the "
                f"configuration has {words} (SvpeConfig.feature_words); raise it, or use a "
                f"narrower image or fewer channels"
            )


def _start(network):
    """One run per layer; what can only lie in memory lies there from the beginning."""
    graph, place = network.graph, network.place
    outputs = {output.name for output in graph.outputs}
    runs, spilled = [], set()
    for source in graph.inputs:
        alone = place[source.name].root == source.name
        if alone:
            spilled.add(source.name)
        if not alone or source.name in outputs:
            runs.append((source,))
    for nodes in groups_of_layers(graph):
        runs.append(nodes)
        # An unrounded result has a word for each pass, which no later layer reads: it only leaves.
        if passes(nodes[-1], network.config) > 1:
            spilled.add(nodes[-1].name)
    return tuple(runs), frozenset(spilled)


def _alive(network, runs, spilled):
    inner = {node.name for nodes in runs for node in nodes[:-1]}
    spans = {}
    for number, nodes in enumerate(runs):
        for root in network.roots(nodes):
            if root not in spilled and root not in inner:
                spans[root] = (spans.get(root, (number,))[0], number)
    return spans


@dataclass(frozen=True, eq=False)
class _State:
    """Runs and what lies in memory; each derived value is computed once."""

    search: "_Search"
    runs: tuple[tuple[Operator, ...], ...]
    spilled: frozenset[str]

    @cached_property
    def alive(self) -> dict[str, tuple[int, int]]:
        """First and last run of every root that stays on chip."""
        return _alive(self.search.network, self.runs, self.spilled)

    @cached_property
    def during(self) -> list[list[str]]:
        """The roots that stay on chip during each run."""
        found = [[] for _ in self.runs]
        for root, (first, last) in self.alive.items():
            for number in range(first, last + 1):
                found[number].append(root)
        return found

    @cached_property
    def taken(self) -> list[int]:
        """Words that they take."""
        return [sum(map(self.search.network.root_words, roots)) for roots in self.during]

    @cached_property
    def choices(self) -> list[Choice]:
        """The best of every run in the space that tensors leave."""
        return [
            self.search.choice(nodes, self.spilled, words)
            for nodes, words in zip(self.runs, self.taken, strict=True)
        ]

    @property
    def fits(self) -> bool:
        """Whether no tensor more has to go to memory."""
        return all(choice.run is not None for choice in self.choices)

    def plan(self) -> Schedule:
        cycles = sum(choice.cycles for choice in self.choices)
        return Schedule(tuple(choice.run for choice in self.choices), self.spilled, cycles)


class _Search:
    """Changes are tried one at a time; what one costs is found from the runs that it touches."""

    def __init__(self, network, capacity, fixed):
        self.network, self.capacity, self.fixed = network, capacity, fixed
        self.joined = joined_alone(network)
        groups = groups_of_layers(network.graph)
        self.groups = {node.name: nodes for nodes in groups for node in nodes}
        # A change touches two runs of many: all others' answers are remembered.
        # No space changes what a run costs, only which of them there is room for.
        self.candidates = cache(lambda nodes, spilled: candidates(network, nodes, spilled))

    def choice(self, nodes, spilled, taken) -> Choice:
        # Only spills that the run can see are part of the key, so that far away ones change
        # nothing.
        return best_run(
            self.candidates(nodes, spilled & self.network.roots(nodes)), self.capacity - taken
        )

    def plan(self, start: _State, order) -> Schedule | None:
        """What comes of a state with tensors sent to memory in an order; None if that cannot do."""
        state = self.spill(start, order)
        return None if state is None else self.improve(state).plan()

    def spill(self, state: _State, order: Callable[[_State, str], tuple]) -> _State | None:
        """Send tensors to memory, least first, until all fits; None where that is not enough."""
        while True:
            number = next((i for i, c in enumerate(state.choices) if c.run is None), None)
            if number is None:
                return state
            # Only what stays during the run that does not fit can make room for it.
            here = [root for root, (a, b) in state.alive.items() if a <= number <= b]
            if not here:
                return None
            least = min(here, key=lambda root: order(state, root))
            state = _State(self, state.runs, state.spilled | {least})

    def size(self, state: _State, root: str) -> tuple:
        """An order to ``spill`` by: the largest tensor first."""
        return (-self.network.root_words(root),)

    def cost(self, state: _State, root: str) -> tuple:
        """An order to ``spill`` by: what it costs to send a tensor to memory."""
        words = self.network.root_words(root)
        first, last = state.alive[root]
        moved = self._moved(state, (first, last), state.spilled | {root}, -words)
        # Ties go to the largest, which makes the most room.
        return moved.change(PlanCost.of(state.choices[first : last + 1])), -words

    def _moved(self, state, span, spilled, words) -> PlanCost:
        """The cost of some runs with other tensors in memory, which take ``words`` more on chip."""
        numbers = range(span[0], span[1] + 1)
        return PlanCost.of(
            self.choice(state.runs[n], spilled, state.taken[n] + words) for n in numbers
        )

    def improve(self, state: _State) -> _State:
        """Take every single change that lowers the cost, until a round finds none."""
        while True:
            before = state
            state = self._gather(state)
            state = self._join(state)
            state = self._cut(state)
            state = self._return(state)
            if state is before:
                return state

    def _gather(self, state):
        """Join the runs of a concatenation's operands where that is cheaper, with it as the last.

        What several of them read is loaded once, and each strip of it is stored as a whole.
        """
        for node in self.joined:
            ends = [n for n, nodes in enumerate(state.runs) if nodes[-1].name in node.inputs]
            # Each the last of a run, as those of an interleaving are not, with no run between.
            if len(ends) == len(node.inputs) == ends[-1] - ends[0] + 1:
                state = self._joined(state, range(ends[0], ends[-1] + 1), (node,)) or state
        return state

    def _join(self, state):
        """Join neighbouring runs where that is cheaper."""
        number = 0
        while number < len(state.runs) - 1:
            nodes, following = state.runs[number : number + 2]
            both = range(number, number + 2)
            may = joins(self.network, nodes, following)
            trial = self._joined(state, both) if may else None
            if trial is None:
                number += 1
            else:
                state = trial
        return state

    def _joined(self, state, numbers, last=()):
        """The state with neighbouring runs, and ``last``, as one; None where that is no cheaper."""
        start, stop = numbers.start, numbers.stop
        nodes = sum(state.runs[start:stop], ()) + last
        if not few_enough(nodes):
            return None
        inner = {node.name for node in nodes[:-1]}
        spilled = state.spilled - inner
        alive = {
            root
            for root, (first, last) in state.alive.items()
            if first < stop and start <= last and root not in inner
        }
        choice = self.choice(nodes, spilled, sum(map(self.network.root_words, alive)))
        change = PlanCost.of([choice]).change(PlanCost.of(state.choices[start:stop]))
        if change >= NO_CHANGE:
            return None
        return _State(self, (*state.runs[:start], nodes, *state.runs[stop:]), spilled)

    def _cut(self, state):
        """Move layers between neighbouring runs, of which the first may have grown too far."""
        for number in range(len(state.runs) - 1):
            both = slice(number, number + 2)
            if self.network.place[state.runs[number][-1].name].root not in state.spilled:
                continue
            alive = {root: state.alive[root] for runs in state.during[both] for root in runs}
            best, least = state, NO_CHANGE
            for cut in cuts(self.network, self.groups, state.runs[both], state.spilled):
                words = words_during(self.network, cut, number, alive)
                change = PlanCost.of(
                    self.choice(nodes, cut.spilled, taken)
                    for nodes, taken in zip(cut.runs, words, strict=True)
                ).change(PlanCost.of(state.choices[both]))
                if change < least:
                    runs = (*state.runs[:number], *cut.runs, *state.runs[number + 2 :])
                    best, least = _State(self, runs, cut.spilled), change
            state = best
        return state

    def _return(self, state):
        """One tensor comes back from memory, if that is cheaper; then more runs may join."""
        for root in sorted(state.spilled - self.fixed):
            trial = _State(self, state.runs, state.spilled - {root})
            span = trial.alive.get(root)
            if span is None:
                continue
            moved = self._moved(state, span, trial.spilled, self.network.root_words(root))
            if moved.change(PlanCost.of(state.choices[span[0] : span[1] + 1])) < NO_CHANGE:
                return trial
        return state
