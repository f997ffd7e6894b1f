"""How a network's weights are spread over the codes of their grid."""

import torch

from qnn.nn.learn import learnable
from qnn.nn.model import QuantizedModel
from qnn.quant.pow2 import most_index


def counted(indices, bits: int) -> list[int]:
    """Weights with each index from -K to K, 2 K + 1 counts, over all layers and terms.

    Parameters
    ----------
    indices : tensors of signed indices
    """
    most = most_index(bits)
    total = torch.zeros(2 * most + 1, dtype=torch.int64)
    for layer in indices:
        # Shifted by K, as counts begin at 0.
        total += torch.bincount(layer.flatten().cpu().long() + most, minlength=2 * most + 1)
    return total.tolist()


def of_model(quantized: QuantizedModel) -> list[int]:
    """The counts of all layers whose weights are learnt, from ``counted``."""
    found = (conv.indices() for _, conv in learnable(quantized))
    return counted(found, quantized.plan.weight_bits)
