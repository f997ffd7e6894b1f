"""The fixed set of networks: the zoo, 30 drawn from the test strategies, and those made by hand.

Each is a function from nothing to an integer graph, by a name such as ``zoo/resnet8``. Floats that
pass through PyTorch decide only what calibration compares; see ``tests.replay.exact``.
"""

import random
from collections.abc import Callable
from functools import partial

import torch

import qnn
from tests.nearest import quantize
from tests.replay import draw, exact, product

DRAWN_MODELS, DRAWN_GRAPHS = 15, 15
CALIBRATION_IMAGES = 2
ZOO = (
    "resnet18",
    "mobilenetv1",
    "resnet56",
    "resnet20",
    "mobilenetv1_vww",
    "resnet8",
    "dscnn",
    "digits_cnn",
)
CAMPAIGN = ("of every kind", "in strips", "of long loops", "of the longest loops")
QUICK_ZOO = ("digits_cnn", "dscnn")


def networks(quick: bool) -> dict[str, Callable[[], "qnn.Graph"]]:
    """Name to what makes the graph; the longest to compile come first."""
    return {
        **{f"zoo/{name}": partial(zoo, name) for name in (QUICK_ZOO if quick else ZOO)},
        **made(quick),
        **campaign(),
        **{f"drawn/model{n}": partial(drawn_model, n) for n in range(4 if quick else DRAWN_MODELS)},
        **{f"drawn/graph{n}": partial(drawn_graph, n) for n in range(4 if quick else DRAWN_GRAPHS)},
    }


def zoo(name: str):
    """A network of the zoo with exact weights, rounded to nearest."""
    from qnn.nn.zoo import ZOO

    entry = ZOO[name]
    model = entry.build().eval()
    exact.fill(model, name)
    images = exact.pixels(f"{name}/images", (CALIBRATION_IMAGES, *entry.shape))
    quantized = quantize(model, images, mean=entry.mean, std=entry.std, bias_correction=False)
    return qnn.export(quantized)


def made(quick: bool):
    """Graphs made by hand, in ``tests.compiler`` and ``tests.boards``."""
    from tests.boards.tiny import tiny_graph
    from tests.compiler import large_graphs, small_graphs

    large = () if quick else large_graphs.ALL
    return {f"made/{f.__name__}": f for f in (*large, *small_graphs.ALL, tiny_graph)}


def campaign():
    """The networks of a campaign of faults, which rests on their bytes being compared here."""
    # Made when they are asked for: their names alone are quick.
    return {f"campaign/{name.replace(' ', '-')}": partial(exercise, name) for name in CAMPAIGN}


def exercise(name: str):
    """A network that reaches what instructions of the configuration ``test`` can say."""
    found = product.exercises(product.named_config("test"), 0)
    return next(graph for each, graph, _ in found if each == name)


def drawn_model(number: int):
    """A PyTorch network from the strategy in ``tests.models``, quantized as it was drawn."""
    # Weights have their scales from those that PyTorch draws.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(number)
        case = draw.module("tests.models", "tests.blocks").models().pick(random.Random(number))
    name = f"model{number}"
    exact.replace_all(case.model, name)
    given = case.calibration
    if isinstance(given, tuple):
        data = tuple(exact.replaced(x, f"{name}/data{k}") for k, x in enumerate(given))
    else:
        data = exact.replaced(given, f"{name}/data")
    return qnn.export(quantize(case.model, data, **{**case.options, "bias_correction": False}))


def drawn_graph(number: int):
    """An integer graph from the strategy in ``tests.graphs``."""
    return draw.module("tests.graphs").graphs().pick(random.Random(number))
