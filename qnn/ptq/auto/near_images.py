"""Types of all tensors are chosen on images that do not reach much further than all others."""

from collections.abc import Callable

import torch
from torch import Tensor

from qnn.ptq.auto.split import FEWEST, Images, taken, to_calibrate
from qnn.ptq.calibrated import Calibrated
from qnn.ptq.uncalibrated import Uncalibrated


def calibrated_on_near(
    network: Uncalibrated, given: Images, report: Callable[[str], None] = lambda _: None
) -> tuple[Calibrated, Tensor]:
    """The network with the types, and the numbers of the images that they were chosen on.

    Parameters
    ----------
    given : (count, ...) of each input
    report : told of images that would cost the others their precision, and are left out
    """
    numbers = to_calibrate(len(given[0]))
    while True:
        found = network.calibrate([taken(given, numbers)], warn=False)
        if not found.outliers:
            return found, numbers
        count = len(found.outliers)
        which = f"{count} image{'s reach' if count > 1 else ' reaches'} further than all others"
        # Of a few images any is one of a kind.
        if len(numbers) - count < FEWEST:
            report(f"{which}; fewer than {FEWEST} would be left without")
            return found, numbers
        report(f"{which}, left out of calibration")
        kept = torch.ones(len(numbers), dtype=torch.bool)
        kept[list(found.outliers)] = False
        numbers = numbers[kept]
