"""NSGA-II, by pymoo: the best designs so far are crossed and changed."""

import numpy as np

from qnn.explore.space import Vector
from qnn.explore.state import SearchState

POPULATION = 16  # designs that may be parents: of a search of about a hundred
TRIES = 10  # broods of which nothing is new, before random designs take over


def propose(state: SearchState, count: int) -> list[Vector]:
    """Up to ``count`` children of what is known; random designs first, and where none is new.

    Parents are the survivors of all designs that are known, as those of each generation are: so an
    interrupted search goes on from the store alone.
    """
    random = state.random()
    if len(state.known) < POPULATION:
        return state.drawn(random, count)
    found: list[Vector] = []
    algorithm = _algorithm(state, random.randrange(1 << 31))
    for _ in range(TRIES):
        children = (state.space.repaired(child.X) for child in algorithm.infill())
        found = state.new([*found, *children], count)
        if len(found) == count:
            return found
    return state.new([*found, *state.drawn(random, count)], count)


def _algorithm(state: SearchState, seed: int):
    """NSGA-II in the middle of its run, whose population is what survives of all that is known."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair

    lengths = np.array(state.space.lengths)
    usable = state.usable
    problem = Problem(
        n_var=len(lengths),
        n_obj=len(state.goals.objectives),
        n_ieq_constr=1,
        xl=np.zeros(len(lengths)),
        xu=lengths - 1,
        vtype=int,
    )
    algorithm = NSGA2(
        pop_size=POPULATION,
        crossover=UX(),
        # Steps of one value and more: with its usual 20, hardly any position would move.
        mutation=PM(eta=3, vtype=float, repair=RoundingRepair()),
        n_offsprings=POPULATION,
    )
    algorithm.setup(problem, seed=seed, termination=("n_gen", 1 << 30))
    population = Population.new("X", np.array(list(usable), dtype=int).reshape(-1, len(lengths)))
    # It takes the least of everything.
    population.set("F", -np.array([state.goals.utilities(each) for each in usable.values()]))
    population.set("G", np.array([[state.goals.violation(each)] for each in usable.values()]))
    for each in population:
        each.evaluated.update(("F", "G"))
    algorithm.pop = algorithm.survival.do(
        problem,
        population,
        n_survive=POPULATION,
        algorithm=algorithm,
        random_state=algorithm.random_state,
    )
    algorithm.is_initialized, algorithm.n_iter = True, 2
    return algorithm
