"""ONNX's functions by the names that attributes of recurrent and fused layers call them."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall

Function = Callable[[Tensor], Tensor]
# Each with the letters of its constants and their usual values, which ONNX leaves open for some.
_FUNCTIONS: Mapping[str, tuple[Callable[..., Tensor], Mapping[str, float]]] = {
    "affine": (lambda x, alpha, beta: alpha * x + beta, {"alpha": 1.0, "beta": 0.0}),
    "clip": (
        lambda x, alpha, beta: torch.clamp(x, alpha, beta),
        {"alpha": -torch.inf, "beta": torch.inf},
    ),
    "elu": (lambda x, alpha: F.elu(x, alpha), {"alpha": 1.0}),
    "hardsigmoid": (
        lambda x, alpha, beta: torch.clamp(alpha * x + beta, 0, 1),
        {"alpha": 0.2, "beta": 0.5},
    ),
    "leakyrelu": (lambda x, alpha: F.leaky_relu(x, alpha), {"alpha": 0.01}),
    "relu": (torch.relu, {}),
    "scaledtanh": (
        lambda x, alpha, beta: alpha * torch.tanh(beta * x),
        {"alpha": 1.0, "beta": 1.0},
    ),
    "sigmoid": (torch.sigmoid, {}),
    "softplus": (F.softplus, {}),
    "softsign": (F.softsign, {}),
    "tanh": (torch.tanh, {}),
    "thresholdedrelu": (lambda x, alpha: F.threshold(x, alpha, 0.0), {"alpha": 1.0}),
}


def named(call: OnnxCall, name: str | bytes, given: Mapping[str, Iterator[float]]) -> Function:
    """The function of a name, in whatever case.

    Parameters
    ----------
    given : constants by their letters, alpha and beta, of which a function takes the next ones
    """
    word = str(name.decode(errors="replace") if isinstance(name, bytes) else name)
    known = _FUNCTIONS.get(word.lower())
    if known is None:
        raise call.refuse("functions that ONNX defines", f"'{word}'", "train it with those")
    function, constants = known
    taken = {letter: next(given[letter], usual) for letter, usual in constants.items()}
    return partial(function, **taken) if taken else function
