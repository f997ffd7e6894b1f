"""What ``qnn explore`` gives: a table, JSON and a page of the front, and the build of a design."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import boards
from qnn.cli.explore_options import usage
from qnn.cli.output import note, print_json, print_table, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qnn.explore.evaluation import Evaluated
    from qnn.explore.search import FrontSearch
    from qnn.explore.told import Asked


def print_found(
    search: "FrontSearch", asked: "Asked", front: "Sequence[Evaluated]", page: Path, as_json: bool
) -> None:
    """Print the front, and write its page."""
    from qnn.explore.command import command
    from qnn.explore.page import write_page
    from qnn.explore.result import Found
    from qnn.explore.told import NAME_DIGITS

    def name(each: "Evaluated") -> str:
        return search.mark(each)[:NAME_DIGITS]

    found = Found(
        title=asked.title,
        goals=asked.goals,
        front=front,
        others=tuple(search.state.known.values()),
        command=lambda each: command(
            asked.options, each.point, asked.board, str(search.store.path), name(each)
        ),
        name=name,
        left_out=search.left_out,
    )
    # First the page: the table says where it is.
    write_page(page, found)
    if as_json:
        made = {"store": str(search.store.path), "page": str(page), "computed": search.computed}
        print_json(found.to_fields() | made | {"out_of_time": search.out_of_time})
        _tell_end(search)
        return
    _print_table(found)
    if found.left_out_text:
        print(found.left_out_text)
    # A search without a result says what stands in its way.
    if not front:
        note(f"no design keeps all constraints yet: {_nearest(search)}")
    print(f"{page}: the front, with the command of each design")
    _tell_end(search)


def _tell_end(search) -> None:
    """Say that the budget has ended the search, and what is left."""
    if not search.out_of_time:
        return
    more = "" if search.made else " with more --budget"
    note(
        f"--budget has ended the search: {len(search.state.known)} designs compared, "
        f"{len(search.made)} made in full, {search.left_out} of the front left to make; the same "
        f"command{more} goes on from {search.store.path}"
    )


def _print_table(found) -> None:
    from qnn.explore.result import IN_TABLE, figure_text

    # Of a design that several words mean, the first one is shown.
    picks = {name: which for which, name in reversed(found.picks.items())} if found.front else {}
    # Without labels there is no accuracy, and without full designs no test.
    shown = [n for n in IN_TABLE if any(n in each.figures for each in found.front)]
    plural = "s" * (len(found.front) > 1)
    print_table(
        f"{found.title}: {len(found.front)} design{plural} that no other one beats",
        ("design", "", "terms", "hardware", *shown),
        (
            [
                found.name(each),
                picks.get(found.name(each), ""),
                *_described(each),
                *(figure_text(n, each.figures[n]) if n in each.figures else "" for n in shown),
            ]
            for each in found.front
        ),
    )


def _described(each) -> tuple[str, str]:
    from qnn.explore.command import sizes_text, terms_text

    return terms_text(each.point), sizes_text(each.point)


def _nearest(search) -> str:
    """Which constraints most designs break, in one line."""
    known = [each for each in search.state.known.values() if each.failure is None]
    if not known:
        failures = [each.failure for each in search.state.known.values()]
        return failures[0] if failures else "none was evaluated; give more --budget"
    # Of several constraints, the one that most designs break is the one to ease.
    broken = {
        str(each): sum(not each.kept(design.value(each.metric)) for design in known)
        for each in search.state.goals.constraints
    }
    worst = max(broken, key=lambda text: broken[text])
    return f"{broken[worst]} of {len(known)} break {worst}"


def build_picked(store: Path, which: str, out: Path, as_json: bool) -> None:
    """Write the build folder of a design that the store has, without its network or data."""
    from qnn.design import compile
    from qnn.explore.store import store_at
    from qnn.explore.told import check_pick, picked
    from qnn.ir.serialize import from_bytes

    # First, as a search may have the store for hours.
    usage("--pick", lambda: check_pick(which))
    # Read alone: a design may be picked of a store that somebody else keeps.
    with store_at(store, writes=False) as kept:
        asked, design = picked(kept, which)
    # The integers that were measured, and not a network that is quantized anew.
    graph = from_bytes(design.graph, str(store))
    config, point = design.point.config(graph), design.point
    # The board that its cells were held to, and no other.
    board = boards.named(asked.board) if asked.board else None
    if board:
        # A store may say any number of cores.
        board.check_fits(config, point.cores)
    with progress("compiling"):
        made = compile(graph, config=config)
    extra = board and (lambda built: board.files(config, built, point.cores, None))
    made.write(out, extra, network=asked.title)
    size = made.backend.size(made.artifact)
    if as_json:
        from qnn.explore.result import figures_fields

        fields = {"build": str(out), "config": str(config), "board": asked.board, **asdict(size)}
        print_json({**fields, "cores": point.cores, "figures": figures_fields(design.figures)})
        return
    print(f"{out}: {size.layers} layers for {point.cores} x {config}")
    if board:
        print(f"{out}: {board.summary(config, point.cores, None)}")
