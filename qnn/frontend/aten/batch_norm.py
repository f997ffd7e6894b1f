"""ATen's batch normalisation in evaluation."""

from typing import NoReturn

import torch

from qnn.errors import ModelError
from qnn.frontend.aten.call import Call
from qnn.frontend.ops.batch_norm import BatchNorm, Statistics


def batch_norm(call: Call) -> BatchNorm:
    """A normalisation with running statistics; without weights, its factors are 1 and 0."""
    source = call.source()
    mean, var = call.weight("running_mean"), call.weight("running_var")
    gamma, beta = call.weight("weight"), call.weight("bias")
    # affine=False has none.
    gamma = torch.ones_like(mean) if gamma is None else gamma
    beta = torch.zeros_like(mean) if beta is None else beta
    # Without eps a dead channel would be divided by 0, and its calibration be all NaN.
    if not bool((var + call["eps"] > 0).all()):
        raise ModelError(
            f"layer '{call.name}': channel {int((var + call['eps'] <= 0).nonzero()[0])} has no "
            f"range (variance plus eps is 0); give eps a positive value or remove the channel"
        )
    statistics = Statistics(gamma, beta, mean, var, call["eps"])
    return BatchNorm(
        name=call.name, inputs=(source.name,), shape=source.shape, statistics=statistics
    )


def batch_statistics(call: Call) -> NoReturn:
    """Refuses a normalisation by the statistics of its batch."""
    raise call.refuse(
        "running statistics",
        "statistics of the batch",
        "build it with track_running_stats=True",
    )


OPERATORS = {
    "aten._native_batch_norm_legit_no_training": batch_norm,
    "aten._native_batch_norm_legit": batch_statistics,
}
