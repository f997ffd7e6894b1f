"""What a search of designs is worth: volumes by method, estimates against truth, designs rebuilt.

Run as ``python -m tests.benchmarks.bench_explore COMMAND --data FOLDER``, with nothing beside it:

- ``hypervolume``: by method and seed, after each batch, on one store that all of them share, so
  that each design is computed once. Prints JSON lines, and at the end means with standard errors.
- ``estimates``: random designs by proxy and in full, with ``--tools`` their cells by Yosys, and of
  the first ``--rtl`` cycles in RTL. Prints a line for each, and at the end errors and the rank
  correlation; started again, it goes on.
- ``rank``: random terms by the proxy, and by the network of nearest codes, against rounded ones on
  the same images held out: points lost, and the distance of answers. Prints a line for each, and at
  the end rank correlations.
- ``rebuild --store STORE``: designs of a store from their commands, with the same tools.
- ``npz``: the data of a network as one file, for ``qnn explore MODEL --data FILE``.
"""

import argparse
import itertools
import json
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr, ttest_ind

import qnn
from qnn.bench import shared
from qnn.eda.synthesis import accelerator_resources
from qnn.explore.choices import TERMS, choices_in
from qnn.explore.command import sizes_text, terms_text
from qnn.explore.evaluate import evaluate, fingerprint, rounding_fingerprint
from qnn.explore.evaluation import Fidelity
from qnn.explore.front import front, hypervolume
from qnn.explore.goals import Goals, constraints_in
from qnn.explore.groups import grouped
from qnn.explore.methods.registry import METHODS
from qnn.explore.network import START, FloatNetwork
from qnn.explore.profiles import profiles_of
from qnn.explore.search import FrontSearch, SearchLimits
from qnn.explore.space import make_space
from qnn.explore.state import SearchState
from qnn.explore.store import store_at
from qnn.explore.told import asked_of, picked
from qnn.explore.work import one_by_one
from qnn.farm.threads import threads_of_torch
from qnn.ir.serialize import from_bytes
from qnn.nn.zoo import ZOO, load_trained
from qnn.ptq.auto.builder import Sketch
from qnn.ptq.compare import TestSet
from qnn.ptq.data import drawn
from qnn.tasks.kinds import TaskKind

FORMATS = (3, 8)
SAMPLES = 1536
GOALS = Goals(("accuracy", "fps", "lut"), constraints_in("lut<205560,bram18<1641"))
REFERENCE = {"accuracy": 50.0, "fps": 100.0, "lut": 205560.0}  # worse than any design of use


def images(model: str, folder: Path):
    """Training images, test images and labels; of keywords, which have one set, two halves."""
    if model == "dscnn":
        x, y = shared.tiny_kws(folder)
        return x[:500], x[500:], y[500:]
    x, _ = shared.cifar10_train(folder, (0,))
    return x, *shared.cifar10_test(folder)


def network(model: str, folder: Path) -> FloatNetwork:
    """A network with its trained weights, as ``qnn explore`` has it."""
    known = ZOO[model]
    x, inputs, labels = images(model, folder)
    which = drawn(len(x), SAMPLES)
    float_model = load_trained(model, shared.checkpoint(folder, model), print)
    chosen = drawn(len(inputs), SAMPLES)
    from qnn.nn.preprocess import checked
    from qnn.ptq.data import reals

    pixels = checked(known.mean, known.std, x.shape[1])
    test = TestSet((reals(inputs[chosen], pixels),), (labels.numpy()[chosen],), (TaskKind.CLASSES,))
    return FloatNetwork(float_model, (x[which],), test, known.mean, known.std)


def prepared(arguments, store):
    """A network with its profile, and the space of ``--vary`` and ``--constraints``."""
    net = network(arguments.model, arguments.data)
    profiles = profiles_of(net, [FORMATS], store, log)
    groups = grouped(profiles[FORMATS])
    bounds = (*GOALS.constraints, *constraints_in(arguments.constraints))
    return net, profiles, make_space(groups, choices_in(arguments.vary), bounds)


def log(line) -> None:
    """Tell a step."""
    print(line, file=sys.stderr, flush=True)


def volumes(arguments) -> None:
    """Hypervolume after each batch, by method and seed."""
    fidelity = Fidelity(arguments.fidelity)
    reference = np.array([m.utility(REFERENCE[m.name]) for m in GOALS.metrics])
    last: dict[str, list[float]] = {}
    with store_at(arguments.store) as store:
        net, profiles, space = prepared(arguments, store)

        def judge(item):
            point, asked, known = item
            return evaluate(net, profiles[FORMATS], point, asked, known)

        for method, seed in itertools.product(arguments.methods.split(","), range(arguments.seeds)):
            search = FrontSearch(
                network=net,
                state=SearchState(space, GOALS, profiles, seed),
                method=METHODS[method],
                store=store,
                run=partial(one_by_one, judge),
                limits=SearchLimits(evaluations=arguments.evaluations, batch=2),
                report=lambda _line: None,
                fidelity=fidelity,
            )
            for count in search.batches():
                best = front(list(search.state.known.values()), GOALS)
                values = np.array([GOALS.utilities(each) for each in best]).reshape(-1, 3)
                volume = hypervolume(values, reference)
                fields = {"method": method, "seed": seed, "evaluations": count, "volume": volume}
                print(json.dumps({"model": arguments.model, **fields}), flush=True)
            last.setdefault(method, []).append(volume)
    for method, found in last.items():
        error = statistics.stdev(found) / len(found) ** 0.5 if len(found) > 1 else float("nan")
        print(f"{method}: {statistics.mean(found):.3f} +- {error:.3f} over {len(found)} seeds")
    for one, other in itertools.combinations(last, 2):
        # Welch's test: seeds of some methods differ more than those of others.
        p = ttest_ind(last[one], last[other], equal_var=False).pvalue
        print(f"{one} and {other}: p = {p:.1e}")


def estimates(arguments) -> None:
    """Random designs by proxy and in full, and by tools."""
    found = []
    with store_at(arguments.store) as store:
        net, profiles, space = prepared(arguments, store)
        generator = random.Random(arguments.seeds)

        def evaluated(point, fidelity):
            mark = fingerprint(net, profiles[FORMATS], point, fidelity)
            rounding = rounding_fingerprint(net, point, fidelity)
            if store.get(mark) is None:
                known = store.rounded(rounding)
                made = evaluate(net, profiles[FORMATS], point, fidelity, known)
                store.keep(mark, made, rounding)
            return replace(store.get(mark), rounded=store.rounded(rounding))

        for _ in range(arguments.points):
            point = space.point(space.sample(generator))
            pair = [evaluated(point, Fidelity.PROXY), evaluated(point, Fidelity(arguments.truth))]
            if any(each.failure for each in pair):
                log(f"left out: {pair[0].failure or pair[1].failure}")
                continue
            row = {n: [each.value(n) for each in pair] for n in ("lost", "cycles", "lut", "ff")}
            mark = fingerprint(net, profiles[FORMATS], point, pair[1].fidelity)
            if arguments.tools:
                row |= once(store, f"counted {mark}", partial(counted, pair[1]))
            if len(found) < arguments.rtl:
                row |= once(store, f"simulated {mark}", partial(simulated, pair[1]))
            row |= {"hardware": sizes_text(point), "terms": terms_text(point)}
            found.append(row)
            print(json.dumps(row), flush=True)
    told = spearmanr(*np.array([row["lost"] for row in found]).T)
    print(
        f"rank correlation of what is lost: {told.statistic:.3f} of {len(found)} designs, "
        f"p = {told.pvalue:.1e}"
    )
    for name, real in (("cycles", "rtl_cycles"), ("lut", "yosys_lut"), ("ff", "yosys_ff")):
        pairs = [(row[name][0], row[real]) for row in found if real in row]
        if not pairs:
            continue
        errors = [estimate / value - 1 for estimate, value in pairs]
        print(f"{name}: {min(errors):+.2%} to {max(errors):+.2%} of {len(errors)} designs")


def once(store, name, compute):
    """What the store has under a name, or else what ``compute`` gives."""
    if store.fact(name) is None:
        store.keep_fact(name, compute())
    return store.fact(name)


def rank(arguments) -> None:
    """Cheap predictions of what random terms lose, against rounded networks."""
    found = []
    with threads_of_torch(1), store_at(arguments.store) as store:
        net, profiles, space = prepared(arguments, store)
        generator, builder = random.Random(0), net.builder(FORMATS)
        for _ in range(arguments.points):
            drawn_terms = [generator.choice(space.values[TERMS]) for _ in space.groups]
            pairs = zip(space.groups, drawn_terms, strict=True)
            terms = {layer: k for group, k in pairs for layer in group}
            nearest = builder.held.loss(net.calibrated(FORMATS).build(terms, "nearest"))
            rounded = builder.loss(Sketch(START, terms, few=True))
            row = {"proxy": profiles[FORMATS].lost(terms), "nearest": nearest.distance}
            found.append(row | {"lost": rounded.lost, "distance": rounded.distance})
            print(json.dumps(found[-1]), flush=True)
    for cheap, real in itertools.product(("proxy", "nearest"), ("lost", "distance")):
        told = spearmanr(*([row[name] for row in found] for name in (cheap, real)))
        print(f"{cheap} and {real}: {told.statistic:.2f} of {len(found)}, p = {told.pvalue:.0e}")


def counted(design) -> dict:
    """Cells of all cores by Yosys; a minute or more."""
    one = replace(design.point, cores=1)
    cells, cores = accelerator_resources(one.config(from_bytes(design.graph))), design.point.cores
    return {"yosys_lut": cells.lut_sites * cores, "yosys_ff": cells.ff * cores}


def simulated(design) -> dict:
    """Cycles of one core in RTL, over the number of cores."""
    graph = from_bytes(design.graph)
    made = qnn.compile(graph, design.point.config(graph))
    inputs = np.zeros((1, *graph.inputs[0].shape), np.float32)
    (cycles,) = qnn.simulate(made, inputs, device="rtl").cycles
    return {"rtl_cycles": cycles / design.point.cores}


def rebuild(arguments) -> None:
    """Designs from their commands: accuracy, cycles and cells beside what the store says."""
    from qnn.explore.command import command

    with store_at(arguments.store, writes=False) as store:
        asked = asked_of(store)
        chosen = {which: picked(store, which)[1] for which in arguments.picks.split(",")}
    for which, design in chosen.items():
        text = command(asked.options, design.point, asked.board, str(arguments.store), which)
        quantize, compile_ = (shlex.split(part)[1:] for part in text.split(" && "))
        folder = Path(tempfile.mkdtemp(prefix="qnn-rebuild-"))
        run = partial(subprocess.run, check=True, capture_output=True, text=True, cwd=folder)
        told = json.loads(run([sys.executable, "-m", "qnn.cli", *quantize, "--json"]).stdout)
        run([sys.executable, "-m", "qnn.cli", *compile_])
        names = ("test_accuracy", "lost", "cycles", "lut", "ff")
        figures = {name: design.value(name) for name in names}
        found = {"test_accuracy": told["quantized_accuracy"], "lost": told["expected_loss"]}
        # Of the integers that the command has made, and not of those of the store.
        graph = (folder / "build" / "graph.qgraph").read_bytes()
        built = replace(design, rounded=replace(design.rounded, graph=graph))
        found |= counted(built) | simulated(built)
        print(json.dumps({"design": which, "store": figures, "rebuilt": found}), flush=True)


def write_npz(arguments) -> None:
    """One file with the images of a network, for the command line."""
    x, inputs, labels = images(arguments.model, arguments.data)
    np.savez(
        arguments.out,
        x_train=x.numpy(),
        y_train=np.arange(len(x)) % int(labels.max() + 1),
        x_test=inputs.numpy(),
        y_test=labels.numpy(),
    )


COMMANDS = {
    "hypervolume": volumes,
    "estimates": estimates,
    "rank": rank,
    "rebuild": rebuild,
    "npz": write_npz,
}


def main() -> None:
    """Carry out a command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", default="resnet20", choices=("resnet20", "dscnn"))
    parser.add_argument("--store", type=Path, default=Path("bench_explore.sqlite"))
    parser.add_argument("--out", type=Path, default=Path("images.npz"))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--fidelity", default=str(Fidelity.QUICK))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--points", type=int, default=30)
    parser.add_argument("--truth", default=str(Fidelity.FULL))
    parser.add_argument("--picks", default="knee,fastest,smallest")
    parser.add_argument("--tools", action="store_true")
    parser.add_argument("--rtl", type=int, default=0, help="of so many estimates, cycles in RTL")
    parser.add_argument("--vary", action="append", default=[])
    parser.add_argument("--constraints")
    arguments = parser.parse_args()
    COMMANDS[arguments.command](arguments)


if __name__ == "__main__":
    main()
