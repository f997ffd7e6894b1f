"""What scikit-learn's multilayer perceptrons have beside layers, as skl2onnx writes them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader

ML = "ai.onnx.ml"


def scaler(call: OnnxCall) -> Tensor:
    """Scaler: what StandardScaler and its like do to each feature."""
    offset, scale = (
        torch.tensor([float(each) for each in call.attribute(name, default)])
        for name, default in (("offset", [0.0]), ("scale", [1.0]))
    )
    return (call[0].float() - offset) * scale


def labels(call: OnnxCall) -> Tensor:
    """ArrayFeatureExtractor of classes by the places of the greatest scores: those places."""
    classes = call.numbers(0)
    call.require(
        call.constants[0] and classes and classes == list(range(len(classes))),
        "classes that are numbered from 0 on",
        "others",
        "train with labels 0, 1, 2 and so on, or let the network end before it",
    )
    places = call[1]
    # (images, 1) to (1, images), as the operator gives them.
    return places.reshape(-1, 1).transpose(0, 1)


OPERATORS: Mapping[str, Reader] = {
    f"{ML}.Scaler": scaler,
    f"{ML}.ArrayFeatureExtractor": labels,
}
