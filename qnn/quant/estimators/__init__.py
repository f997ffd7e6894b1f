"""Ways to train weights on their grids, behind one interface and under one name each."""

from qnn.quant.estimators.base import Estimator
from qnn.quant.estimators.deepshift import DeepShiftPS, DeepShiftQ
from qnn.quant.estimators.given import Given
from qnn.quant.estimators.inq import Inq
from qnn.quant.estimators.lsq import Lsq
from qnn.quant.estimators.reconstructed import Reconstructed
from qnn.quant.estimators.s3 import S3
from qnn.quant.estimators.stochastic import Stochastic
from qnn.quant.estimators.straight_through import ClippedStraightThrough, StraightThrough

__all__ = ["ESTIMATORS", "ClippedStraightThrough", "Estimator", "Given", "estimator"]

ESTIMATORS: dict[str, type[Estimator]] = {
    made.name: made
    for made in (
        StraightThrough,
        ClippedStraightThrough,
        Reconstructed,
        Stochastic,
        Lsq,
        Inq,
        DeepShiftQ,
        DeepShiftPS,
        S3,
        Given,
    )
}


def estimator(name: str) -> type[Estimator]:
    """The estimator called ``name``.

    Raises
    ------
    ValueError
        No estimator has that name.
    """
    if name not in ESTIMATORS:
        raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}, not '{name}'")
    return ESTIMATORS[name]
