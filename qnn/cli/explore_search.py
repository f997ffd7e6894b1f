"""The search of ``qnn explore``, from what the command line asks for to the front."""

import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qnn.cli.explore_crew import crew
from qnn.cli.formats import pixel_numbers
from qnn.cli.going_on import command_line
from qnn.cli.output import note

if TYPE_CHECKING:
    from boards.board import Board
    from qnn.explore.evaluation import Evaluated
    from qnn.explore.goals import Goals
    from qnn.explore.network import FloatNetwork
    from qnn.explore.point import ClockInterval
    from qnn.explore.search import FrontSearch
    from qnn.explore.store import Store
    from qnn.explore.told import Asked
    from qnn.explore.work import NetworkSource


@dataclass(frozen=True, kw_only=True)
class ExploreRequest:
    """What a command line asks for.

    Members
    -------
    arguments : of ``load_network``, between the model and the statistics of pixels
    statistics : mean and std, as texts
    options : the model and the options of it and its data, for the commands of designs
    seconds : of this run; None: no limit
    batch, workers : None: as many as there are cores
    """

    model: str
    arguments: tuple[Hashable, ...]
    statistics: tuple[str | None, str | None]
    options: tuple[str, ...]
    goals: "Goals"
    choices: Mapping[str, tuple[int, ...]]
    clock: "ClockInterval | None"
    board: "Board | None"
    method: str
    seconds: float | None
    evaluations: int | None
    groups: int
    batch: int | None
    designs: int
    seed: int
    workers: int | None
    ray: str | None
    store: Path


def searched(request: ExploreRequest) -> "tuple[FrontSearch, Asked, list[Evaluated]]":
    """The search when it has ended, what it was asked for, and its front.

    Raises
    ------
    QnnError
        There is nothing to search; the text says why.
    KeyboardInterrupt
        It was interrupted; the text says what goes on from there.
    """
    from qnn.cli.explore_network import load_network
    from qnn.explore.methods.registry import method_named
    from qnn.explore.space import make_space
    from qnn.explore.store import store_at
    from qnn.explore.work import NetworkSource, network_of
    from qnn.interrupt import Interrupted, stoppable

    goals = with_device(request.goals, request.board)
    # Before any network is loaded: what is not installed, and what no hardware keeps.
    method_named(request.method)
    make_space((), request.choices, goals.constraints, request.clock)
    values = pixel_numbers(request.model, *request.statistics)
    source = NetworkSource(load_network, (request.model, *request.arguments, *values))
    # Of this run all counts, also what comes before the first design.
    begun = time.monotonic()
    try:
        with stoppable() as asked_to_stop, store_at(request.store) as store:
            # The one that this process evaluates with, where it has no workers.
            network = network_of(source)
            told = _begun(request, goals, network, store)
            # Workers begin now: each loads the network by itself.
            with crew(request.workers, request.ray) as (run, count):
                search = _search(request, goals, network, store, source, run, count)
                search.begun = begun
                search.asked = asked_to_stop
                return search, told, search.result()
    except Interrupted as stopped:
        raise KeyboardInterrupt(f"{stopped}; go on with: {command_line()}") from None


def with_device(goals: "Goals", board: "Board | None") -> "Goals":
    """The goals, and that the device has room: a constraint like any other, and told as one."""
    from hw.spec.resources import usable
    from qnn.explore.goals import Constraint, Goals

    if board is None:
        return goals
    room = usable(board.device)
    limits = [Constraint(name, True, float(room[name])) for name in ("lut", "ff", "bram18")]
    return Goals(goals.objectives, (*goals.constraints, *limits))


def _begun(request, goals, network: "FloatNetwork", store: "Store") -> "Asked":
    """Note in the store what is searched for."""
    from qnn.explore.goals import check_reachable
    from qnn.explore.told import Asked, begin

    # Before layers are measured, which may take minutes.
    check_reachable(request.goals, network.float_accuracy)
    told = Asked(
        title=request.model,
        objectives=goals.objectives,
        constraints=goals.constraints,
        options=request.options,
        board=request.board and request.board.name,
    )
    begin(store, told, network.digest)
    return told


def _search(
    request: ExploreRequest,
    goals: "Goals",
    network: "FloatNetwork",
    store: "Store",
    source: "NetworkSource",
    run,
    count: int,
) -> "FrontSearch":
    """The search that is about to begin; layers are measured, if the store does not know them."""
    from qnn.explore.choices import ACTIVATIONS, WEIGHTS
    from qnn.explore.groups import grouped
    from qnn.explore.methods.registry import method_named
    from qnn.explore.profiles import profiles_of
    from qnn.explore.search import FrontSearch, SearchLimits
    from qnn.explore.space import make_space
    from qnn.explore.state import SearchState
    from qnn.explore.work import work

    choices = request.choices
    # A profile takes minutes, and is of one pair of formats.
    formats = [(bits, own) for bits in choices[WEIGHTS] for own in choices[ACTIVATIONS]]
    profiles = profiles_of(network, formats, store, note, request.seconds)
    parts = grouped(profiles[formats[0]], request.groups)
    space = make_space(parts, choices, goals.constraints, request.clock)
    note(
        f"{space.size:,} designs in {space.dimensions} dimensions: terms of {len(parts)} groups of "
        f"layers, {len(space.hardware):,} arrays"
    )
    return FrontSearch(
        network=network,
        state=SearchState(space, goals, profiles, request.seed),
        method=method_named(request.method),
        store=store,
        run=partial(run, partial(work, source, tuple(profiles.items()))),
        limits=SearchLimits(
            seconds=request.seconds,
            evaluations=request.evaluations,
            # Two at least, so that a model is not fitted for each design.
            batch=request.batch or max(count, 2),
            designs=request.designs,
        ),
        report=note,
    )
