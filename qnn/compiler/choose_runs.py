"""Which tensors stay on chip, and which layers run strip by strip together: the cheapest found."""

from dataclasses import dataclass
from functools import cache

from qnn.compiler.network import Network
from qnn.compiler.runs import Choice, Run, best_run, least_rows
from qnn.compiler.storage import passes
from qnn.errors import CompileError
from qnn.ir.ops import Concat, Input, Operator

MOST_LAYERS = 4  # of a run


@dataclass(frozen=True)
class Plan:
    """Runs in their order; tensors of ``spilled`` roots lie in memory, all others on chip."""

    runs: tuple[Run, ...]
    spilled: frozenset[str]
    cycles: float  # estimated, of one image

    def alive(self, network: Network) -> dict[str, tuple[int, int]]:
        """First and last run of every root that stays on chip."""
        return _alive(network, tuple(run.nodes for run in self.runs), self.spilled)


def choose_runs(network: Network, capacity: int, *, stays: bool = True) -> Plan | None:
    """A plan whose tensors and strips take at most ``capacity`` words at a time; None if none does.

    It starts with all tensors on chip (with none, if nothing ``stays``) and one layer a run. What
    does not fit sends tensors to memory, each time the one that costs least; then layers join and
    tensors come back as long as the estimate falls.
    """
    runs, fixed = _start(network)
    if not stays:
        fixed = frozenset(place.root for place in network.place.values())
    search = _Search(network, capacity, fixed)
    state = search.spill(_State(runs, fixed))
    return None if state is None else search.plan(search.improve(state))


def check_rows(network: Network) -> None:
    """Say which layer is too large for a strip of the fewest rows, with all that it reads.

    Raises
    ------
    CompileError
        There is one.
    """
    words = network.config.feature_words
    everything = frozenset(place.root for place in network.place.values())
    for nodes in _start(network)[0]:
        missing = best_run(network, nodes, everything, words).missing
        if missing:
            (node,) = nodes
            rows = least_rows(node)
            raise CompileError(
                f"{node.kind} '{node.name}' needs {words + missing} feature "
                f"words for {'one row' if rows == 1 else f'{rows} rows'} of its output, but the "
                f"configuration has {words} (SvpeConfig.feature_words); raise it, or use a "
                f"narrower image or fewer channels"
            )


@dataclass(frozen=True)
class _State:
    runs: tuple[tuple[Operator, ...], ...]
    spilled: frozenset[str]


def _start(network):
    """One run a layer. What can only be in memory is there from the beginning."""
    graph, place = network.graph, network.place
    outputs = {output.name for output in graph.outputs}
    source = graph.inputs[0]
    runs, spilled = [], set()
    if place[source.name].root == source.name:
        spilled.add(source.name)
    if place[source.name].root != source.name or source.name in outputs:
        runs.append((source,))
    for node in graph.nodes:
        if node.is_computed:
            runs.append((node,))
            if passes(node, network.config) > 1:
                spilled.add(node.name)
    return tuple(runs), frozenset(spilled)


def _alive(network, runs, spilled):
    inner = {node.name for nodes in runs for node in nodes[:-1]}
    spans = {}
    for number, nodes in enumerate(runs):
        for node in nodes:
            for name in (node.name, *node.inputs):
                root = network.place[name].root
                if root not in spilled and root not in inner:
                    spans[root] = (spans.get(root, (number,))[0], number)
    return spans


class _Search:
    def __init__(self, network, capacity, fixed):
        self.network, self.capacity, self.fixed = network, capacity, fixed
        self.best = cache(lambda nodes, spilled, space: best_run(network, nodes, spilled, space))

    def choices(self, state) -> list[Choice]:
        """The best of every run in the space that tensors leave."""
        spans = _alive(self.network, state.runs, state.spilled)
        result = []
        for number, nodes in enumerate(state.runs):
            alive = [root for root, (a, b) in spans.items() if a <= number <= b]
            space = self.capacity - sum(self.network.root_words(root) for root in alive)
            names = {name for node in nodes for name in (node.name, *node.inputs)}
            roots = frozenset(self.network.place[name].root for name in names)
            result.append(self.best(nodes, state.spilled & roots, space))
        return result

    def cost(self, state):
        """Words that are missing, then cycles."""
        choices = self.choices(state)
        impossible = sum(c.missing < 0 for c in choices)
        return impossible, sum(c.missing for c in choices), sum(c.cycles for c in choices)

    def plan(self, state):
        choices = self.choices(state)
        cycles = sum(choice.cycles for choice in choices)
        return Plan(tuple(choice.run for choice in choices), state.spilled, cycles)

    def spill(self, state):
        """Send tensors to memory until everything fits; None where that is not enough."""
        while True:
            choices = self.choices(state)
            number = next((i for i, c in enumerate(choices) if c.run is None), None)
            if number is None:
                return state
            spans = _alive(self.network, state.runs, state.spilled)
            here = [root for root, (a, b) in spans.items() if a <= number <= b]
            if not here:
                return None
            trials = [_State(state.runs, state.spilled | {root}) for root in here]
            sizes = [-self.network.root_words(root) for root in here]
            costs = [self.cost(trial) for trial in trials]
            state = trials[min(range(len(trials)), key=lambda i: (costs[i], sizes[i]))]

    def improve(self, state):
        """Take every single change that lowers the cost, until there is none."""
        cost = self.cost(state)
        while True:
            for trial in self._changes(state):
                lower = self.cost(trial)
                if lower < cost:
                    state, cost = trial, lower
                    break
            else:
                return state

    def _changes(self, state):
        for number in range(len(state.runs) - 1):
            if self._joins(state.runs[number], state.runs[number + 1]):
                yield self._joined(state, number)
        for root in sorted(state.spilled - self.fixed):
            yield _State(state.runs, state.spilled - {root})

    def _joins(self, nodes, following):
        """Whether only the following run needs the results of a run."""
        graph, name = self.network.graph, nodes[-1].name
        users = graph.users(name)
        return (
            not isinstance(nodes[-1], Input)
            and len(nodes) + len(following) <= MOST_LAYERS
            and bool(users)
            and all(user in following and not isinstance(user, Concat) for user in users)
            and all(output.name != name for output in graph.outputs)
            and self.network.place[name].root == name
            and passes(nodes[-1], self.network.config) == 1
        )

    def _joined(self, state, number):
        both = state.runs[number] + state.runs[number + 1]
        runs = (*state.runs[:number], both, *state.runs[number + 2 :])
        return _State(runs, state.spilled - {state.runs[number][-1].name})
