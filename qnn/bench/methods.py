"""How a run is carried out: one function a kind of method, each resumable in a work folder."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from torch import Tensor, nn

from qnn.bench import codes
from qnn.bench.clock import Clock
from qnn.bench.runs import CALIBRATION
from qnn.bench.table_run import Rounding, TableRun
from qnn.cycles import cycles_on
from qnn.nn.augment import augment
from qnn.nn.data import Dataset
from qnn.nn.learn import learnable
from qnn.nn.model import QuantizedModel
from qnn.nn.module_terms import choose_module_terms
from qnn.nn.round import round_module
from qnn.nn.training import Recipe, train
from qnn.nn.zoo import ZooModel
from qnn.ptq.auto.options import Auto, AutoResult
from qnn.ptq.quantize import quantize
from qnn.quant import pow2
from qnn.quant.rounding import Checkpoint, rounding
from qnn.quant.search_exponent import search_exponent

AUGMENTED = ("resnet8", "resnet20", "resnet56")  # crops and flips keep what these pictures show


@dataclass(eq=False)
class MethodRun:
    """Where a run is under way: what it has on disk, and who is told of its steps.

    Members
    -------
    folder : of checkpoints, which an interrupted run goes on from
    report : called with how much is done, and of how much
    """

    folder: Path
    report: Callable[[int, int], None]
    clock: Clock = field(init=False)

    def __post_init__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.clock = Clock.at(self.folder / "seconds.json")

    @property
    def checkpoint(self) -> Path:
        """The file of the method's own checkpoint."""
        return self.folder / "checkpoint.safetensors"

    def progress(self, done: int, total: int, _share: float = 0.0) -> None:
        """Called by methods after each step"""
        self.clock.tick()
        self.report(done, total)


@dataclass(frozen=True, eq=False)
class Applied:
    """The network that a method gave, with its steps and codes.

    Members
    -------
    network : quantized
    steps : that the method may take; it may end earlier
    codes_before : counts of the codes of the nearest values
    mean_terms : of all products; of a language model, of all weights
    cycles : of terms that were chosen, over those of one term
    activation_bits : that the network has; None: floats
    codes_after : of any module; None of a quantized network, which has them itself
    """

    network: nn.Module
    steps: int
    codes_before: list[int]
    mean_terms: float | None = None
    cycles: float | None = None
    activation_bits: int | None = None
    codes_after: list[int] | None = None


def settings(run: TableRun) -> dict:
    """Every option of the run's method, defaults included, as JSON gives them back."""
    if run.how.method == "auto":
        return {"target": Auto().target, "seconds": Auto().seconds}
    if isinstance(run.how, Rounding):
        found = json.loads(json.dumps(asdict(_rounding_options(run))))
        # Runs without ``next_share`` keep the definition that they had before there was one.
        return found if run.how.next_tokens else {k: found[k] for k in found if k != "next_share"}
    return _recipe(run).to_fields()


def definition(run: TableRun) -> dict:
    """All that a result depends on but code and data."""
    return run.definition() | {"settings": settings(run)}


def apply_to_images(
    run: TableRun, model: nn.Module, entry: ZooModel, data: Dataset, work: MethodRun
) -> Applied:
    """A quantized classifier, rounded or trained."""
    if isinstance(run.how, Rounding):
        return _rounded_images(run, model, entry, data, work)
    with work.clock.running():
        quantized = _quantized(run, model, entry, data, rounding="nearest")
        before = codes.of_model(quantized)
        report = train(
            quantized,
            (data.x_train, data.y_train),
            _recipe(run),
            model,
            work.checkpoint,
            progress=work.progress,
            augment=augment if run.model in AUGMENTED else None,
        )
    return Applied(quantized, report.steps, before, activation_bits=quantized.plan.activation_bits)


def apply_to_module(
    run: TableRun,
    model: nn.Module,
    names: tuple[str, ...],
    data: Tensor,
    work: MethodRun,
    tuned: tuple[str, ...] = (),
    inner: tuple[str, ...] = (),
    more: Tensor | None = None,
) -> Applied:
    """A copy of any module, with the named weights rounded and the rest as it was.

    Parameters
    ----------
    tuned : other parameters, which a method may learn beside them
    inner : modules inside whose results a method may compare, if its options say so
    more : data that are not looked at where terms are chosen
    """
    with work.clock.running():
        terms = dict.fromkeys(names, run.terms)
        if run.mean_terms is not None:
            learns = run.how.method != "nearest"
            terms = choose_module_terms(
                model, names, data, run.mean_terms, run.weight_bits, learns=learns
            )
        rounded = round_module(
            model,
            names,
            data if more is None else torch.cat([data, more]),
            run.how.method,
            run.weight_bits,
            terms,
            options=_rounding_options(run),
            tuned=tuned,
            inner=inner,
            progress=work.progress,
            checkpoint=Checkpoint(work.checkpoint),
        )
    before, after = (
        _module_codes(each, model, terms, run.weight_bits) for each in (model, rounded)
    )
    mean = _mean_terms(model, terms)
    return Applied(rounded, _steps(run, len(names)), before, mean, codes_after=after)


def _module_codes(model, original, terms, bits) -> list[int]:
    """Counts of the codes of the weights that have terms, on the grids of the original ones."""
    found = []
    for name, k in terms.items():
        weight, start = model.get_parameter(name), original.get_parameter(name)
        found.append(pow2.nearest(weight, search_exponent(start, bits, k), bits, k))
    return codes.counted(found, bits)


def _mean_terms(model, terms) -> float:
    spent = count = 0
    for name, k in terms.items():
        weight = model.get_parameter(name)
        rows = [k] * len(weight) if isinstance(k, int) else k
        spent += sum(rows) * weight[0].numel()
        count += weight.numel()
    return spent / count


def _rounded_images(run, model, entry, data, work):
    outcomes: list[AutoResult] = []
    with work.clock.running():
        quantized = _quantized(
            run,
            model,
            entry,
            data,
            **_of_method(run, data, outcomes.append),
            checkpoint=work.checkpoint,
            progress=work.progress,
        )
    # The counts to compare with are those of nearest rounding, which is computed again.
    other = run.how.method != "nearest"
    more = {"rounding": "nearest", "terms": quantized.plan.channel_terms}
    nearest = _quantized(run, model, entry, data, **more) if other else quantized
    layers = sum(1 for _ in learnable(quantized))
    counts = codes.of_model(nearest)
    cycles = outcomes[0].cost if outcomes and run.terms is None else None
    plan = quantized.plan
    steps = _steps(run, layers)
    return Applied(quantized, steps, counts, plan.mean_terms, cycles, plan.activation_bits)


def _of_method(run, data, outcome):
    """What ``quantize`` is told of the run's method; ``outcome`` hears of what was chosen."""
    how = run.how
    if how.method == "auto":
        return {
            "rounding": "auto",
            "terms": "auto" if run.terms is None else run.terms,
            # Of terms that are given, codes may be of a width that the array does not have.
            "auto": Auto(
                costs=cycles_on("reference") if run.terms is None else None,
                report=lambda _line: None,
                outcome=outcome,
            ),
        }
    return {
        "rounding": how.method,
        "bias_correction": how.bias_correction,
        "rounding_options": _rounding_options(run),
        "rounding_data": data.x_train[: how.samples],
        "augment": augment if how.augmented else None,
    }


def _steps(run, layers):
    """The steps of the whole run; AdaRound takes its steps for each layer."""
    steps = settings(run).get("steps", 0)
    return steps * layers if run.how.method == "adaround" else steps


def _quantized(run, model, entry, data, **more) -> QuantizedModel:
    told = {"rounding": "nearest", "terms": run.terms} | more
    # The others have data of their own to learn from.
    count = run.how.samples if run.how.method == "auto" else CALIBRATION
    return quantize(
        model,
        data.x_train[:count],
        weight_bits=run.weight_bits,
        activation_bits=run.activation_bits,
        mean=entry.mean,
        std=entry.std,
        **told,
    )


def _rounding_options(run: TableRun):
    method = rounding(run.how.method)
    options = dict(run.how.options)
    if "seed" in {option.name for option in fields(method.options)}:
        # A run's own options win, and methods without randomness have no seed.
        options.setdefault("seed", run.seed)
    return method.choose(options)


def _recipe(run: TableRun) -> Recipe:
    how = run.how
    budget = {"epochs": how.epochs, "steps": how.steps}
    # All images are trained on, and what comes out is the result: the method is measured.
    fixed = {"method": how.method, "seed": run.seed, "held_out": 0}
    return Recipe(**fixed, **budget, **dict(how.options))
