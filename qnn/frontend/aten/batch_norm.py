"""ATen's batch normalisation in evaluation."""

from typing import NoReturn

import torch

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.batch_norm import BatchNorm, Statistics


def batch_norm(call: Call) -> BatchNorm:
    """A normalisation with running statistics; without weights, its factors are 1 and 0."""
    if call.get("training", False) or call.get("train", False):
        batch_statistics(call)
    source, eps = call.source(), call["eps"]
    mean, var = call.weight("running_mean"), call.weight("running_var")
    if mean is None or var is None:
        batch_statistics(call)
    gamma, beta = call.weight("weight"), call.weight("bias")
    # How fast statistics follow matters in training alone, and so does what computes them.
    call.neutral("momentum", "cudnn_enabled")
    # affine=False has none.
    gamma = torch.ones_like(mean) if gamma is None else gamma
    beta = torch.zeros_like(mean) if beta is None else beta
    # Without eps a dead channel would be divided by 0, and its calibration be all NaN.
    positive = var + eps > 0
    if not bool(positive.all()):
        channel = int((~positive).nonzero()[0])
        raise call.refuse(
            "variance plus eps over 0 in every channel",
            f"{float(var[channel] + eps)} in channel {channel}",
            "give eps a positive value or remove the channel",
        )
    return BatchNorm(
        name=call.name,
        inputs=(source.name,),
        shape=source.shape,
        statistics=Statistics(gamma, beta, mean, var, eps),
    )


def batch_statistics(call: Call) -> NoReturn:
    """Refuses a normalisation by the statistics of its batch."""
    raise call.refuse(
        "running statistics",
        "statistics of the batch",
        "build it with track_running_stats=True, and export it in evaluation (model.eval())",
    )


OPERATORS = {
    "aten.batch_norm": batch_norm,
    "aten.native_batch_norm": batch_norm,
    "aten._native_batch_norm_legit_no_training": batch_norm,
    "aten._native_batch_norm_legit": batch_statistics,
    "aten._native_batch_norm_legit_functional": batch_statistics,
}
