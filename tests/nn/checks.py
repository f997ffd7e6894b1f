"""What a quantized model is checked for."""

from pathlib import Path

import torch
from torch import Tensor

import qnn
from qnn.nn.model import QuantizedModel
from tests.graphs import check_same


def check_saved(quantized: QuantizedModel, x: Tensor, path: Path) -> None:
    """Saved and loaded it gives the same values, and the same graph."""
    qnn.save(quantized, path)
    loaded = qnn.load(path)
    assert torch.equal(loaded(x), quantized(x))
    check_same(qnn.export(loaded), qnn.export(quantized))
