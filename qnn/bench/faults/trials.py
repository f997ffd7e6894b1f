"""Networks and inputs that faults are tried on."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class FaultTrial:
    """A network, as bytes, because a mutant's process must not get anything that is made.

    Members
    -------
    graph : what ``qnn.ir.serialize`` writes
    config : a named configuration
    images : integers of each input, (images, channels, height, width)
    batch : images of a run
    """

    graph: bytes
    config: str
    images: tuple[np.ndarray, ...]
    batch: int = 1
