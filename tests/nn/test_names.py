from qnn.nn.names import ESTIMATOR_NAMES, ROUNDING_NAMES, ZOO_NAMES
from qnn.nn.zoo import ZOO
from qnn.quant.estimators import ESTIMATORS
from qnn.quant.rounding import ROUNDINGS


def test_names_that_are_checked_are_those_that_there_are():
    assert tuple(ZOO) == ZOO_NAMES
    assert tuple(ROUNDINGS) == ROUNDING_NAMES
    assert tuple(ESTIMATORS) == ESTIMATOR_NAMES
