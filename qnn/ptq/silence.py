"""Layers that give only zeros become constants, so that they cost a network nothing else."""

import warnings
from collections.abc import Mapping
from dataclasses import replace

import torch

from qnn.errors import ModelError, QnnWarning
from qnn.frontend.graph import FloatGraph
from qnn.frontend.rewrite import Rewrite
from qnn.quant.histogram import Histogram


def silence(graph: FloatGraph, seen: Mapping[str, Histogram]) -> FloatGraph:
    """The fused ``graph`` with weights of zero in each layer that was zero on all data.

    Such a layer has no scale: whatever exponent it got, rounding could make it give values that the
    float network does not. Warns of each one by name.

    Parameters
    ----------
    seen : what each tensor held on the calibration data, by name

    Raises
    ------
    ModelError
        An input that the network reads is zero on all data, which are then no examples.
    """
    for source in graph.inputs:
        if _zero(seen[source.name]) and graph.uses(source.name):
            raise ModelError(
                f"input '{source.name}' needs data that differ from 0, not only zeros; give data "
                f"that the model will see"
            )
    rewrite = Rewrite(graph)
    for conv in graph.convs:
        if not _zero(seen[conv.name]):
            continue
        # What it would add is zero as well, or is clamped away: it was part of the sum.
        still = replace(
            conv,
            inputs=conv.inputs[:1],
            weight=torch.zeros_like(conv.weight),
            bias=None,
            batchnorm=None,
            scale=1.0,
            function=None,
        )
        rewrite.exchange(conv.name, still)
        warnings.warn(
            f"layer '{conv.name}' is zero for all calibration data and becomes the constant 0; "
            f"give data that reach it, or remove the layer",
            QnnWarning,
            stacklevel=3,
        )
    return rewrite.graph()


def _zero(found):
    return found.least == found.most == 0
