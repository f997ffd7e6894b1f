"""Pictures of the results: accuracy against bits, weights over the codes, alpha's schedule."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np

from qnn.bench.pictures import axes as _axes
from qnn.bench.pictures import check, save
from qnn.bench.results import Result
from qnn.quant.estimators import estimator

BASELINE = "nearest"
DRAWN_BITS = 8  # of activations, in pictures of accuracy
GREY = "#888888"
# What is far below float is told in words beside the picture.
SHOWN, ABOVE = 18, 1  # points of accuracy below and above float
BESIDE = 0.035  # bits between methods of equal bits, so that none hides another
MARKERS = "osD^vPX*<>hd"
COLORS = (
    *("#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#17becf"),
    *("#8c564b", "#e377c2", "#bcbd22", "#000080", "#006400", "#ffbf00"),
)


def write_plots(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write each picture that the results are enough for, ``.png``; gives their paths.

    Raises
    ------
    ToolError
        matplotlib is not installed.
    ModelError
        The folder cannot be written.
    """
    check("accuracy", "--plots")
    pictures = {}
    drawn = (r for r in results if r.test_accuracy is not None and r.activation_bits == DRAWN_BITS)
    for model in dict.fromkeys(r.model for r in drawn):
        pictures[f"accuracy-{model}"] = accuracy_picture(results, model)
    for result in _most_moved(results):
        pictures[f"codes-{result.name}"] = codes_picture(result)
    pictures["alpha"] = alpha_picture()
    return [save(figure, folder / f"{name}.png") for name, figure in pictures.items()]


def accuracy_picture(results: Sequence[Result], model: str):
    """Accuracy against bits of a weight, a line for each method at 8-bit activations."""
    found = [r for r in results if r.model == model and r.activation_bits == DRAWN_BITS]
    figure, axes = _axes(7.5, 4.6)
    lines: dict[str, dict[int, list[float]]] = {}
    for result in found:
        bits = result.weight_bits * result.terms
        lines.setdefault(result.method, {}).setdefault(bits, []).append(result.test_accuracy)
    colors = cycle(COLORS)
    for place, (method, points) in enumerate(lines.items()):
        bits = sorted(points)
        beside = BESIDE * (place - (len(lines) - 1) / 2)
        axes.plot(
            [b + beside for b in bits],
            # The best run of a method, whatever its budget: the title says so.
            [max(points[b]) for b in bits],
            marker=MARKERS[place % len(MARKERS)],
            markersize=5.5,
            linewidth=1.2,
            color=GREY if method == BASELINE else next(colors),
            label=method.replace("_", " "),
        )
    axes.axhline(found[0].float_accuracy, color="black", linestyle="--", linewidth=1, label="float")
    axes.set_xticks(sorted({b for points in lines.values() for b in points}))
    axes.set_xlabel("bits of a weight (terms times bits)")
    axes.set_ylabel("test accuracy of the integers (%)")
    axes.set_title(f"{model}, 8-bit activations, best run of each method", loc="left")
    _legend(axes)
    _cut(axes, found, lines)
    return figure


def codes_picture(result: Result):
    """Shares of the weights that each code has, after nearest and after the method."""
    figure, axes = _axes(7.5, 3.8)
    most = len(result.codes_after) // 2
    places = np.arange(-most, most + 1)
    for offset, counts, label, color in (
        (-0.2, result.codes_before, "nearest", GREY),
        (0.2, result.codes_after, result.method.replace("_", " "), "C0"),
    ):
        shares = 100 * np.array(counts) / max(1, sum(counts))
        axes.bar(places + offset, shares, 0.4, label=label, color=color)
    rotation = 60 if most > 3 else 0
    axes.set_xticks(places, [_level(index, most) for index in places], rotation=rotation)
    several = f", {result.terms} terms" if result.terms > 1 else ""
    axes.set_xlabel(f"{'term' if several else 'weight'}, in units of its channel's greatest level")
    axes.set_ylabel(f"share of {'terms' if several else 'weights'} (%)")
    axes.set_title(f"{result.model}, {result.weight_bits}-bit weights{several}", loc="left")
    _legend(axes)
    return figure


def alpha_picture():
    """Alpha of the reconstructed gradient over training, as the estimator moves it."""
    moves = {"each step": estimator("reconstructed")(3)}
    moves["each of 30 epochs, as published"] = estimator("reconstructed")(3, epochs=30)
    figure, axes = _axes(6.4, 3.8)
    progress = np.linspace(0, 1, 1501)
    for label, made in moves.items():
        alpha = []
        for share in progress:
            made.advance(float(share))
            alpha.append(float(made.alpha))
        axes.plot(100 * progress, alpha, label=label, linewidth=1.4)
    axes.set_xlabel("steps done (%)")
    axes.set_ylabel("alpha")
    axes.set_title("reconstructed gradient: w - alpha (w - Q(w))", loc="left")
    axes.legend(frameon=False)
    return figure


def _cut(axes, found, lines):
    """Leave what is far below float out of the picture, and say what it is."""
    least = found[0].float_accuracy - SHOWN
    low = [
        f"{method.replace('_', ' ')} {max(values):.1f} % at {bits} bits"
        for method, points in lines.items()
        for bits, values in points.items()
        if max(values) < least
    ]
    if low:
        axes.set_ylim(least, found[0].float_accuracy + ABOVE)
        axes.text(
            0.98,
            0.03,
            "\n".join(["below:", *low]),
            transform=axes.transAxes,
            ha="right",
            fontsize=8,
        )


def _legend(axes):
    """Put the legend beside the picture, where it covers nothing."""
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))


def _most_moved(results):
    """Of each model and format, the best result of a method other than nearest."""
    best: dict[tuple, Result] = {}
    for result in results:
        # The first seed stands for all.
        if result.method == BASELINE or result.seed or result.test_accuracy is None:
            continue
        key = (result.model, result.weight_bits, result.terms, result.steps > 0)
        if key not in best or best[key].test_accuracy < result.test_accuracy:
            best[key] = result
    return best.values()


def _level(index, most):
    """``±1/4`` for an index, or ``0``."""
    if not index:
        return "0"
    sign, halvings = "-" if index < 0 else "", most - abs(index)
    return f"{sign}1" if not halvings else f"{sign}1/{1 << halvings}"
