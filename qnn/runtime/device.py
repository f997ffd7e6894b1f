"""What every device does: a simulator, or a board."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hw.spec.image import Image


@dataclass(frozen=True, eq=False)
class Run:
    """The outcome of one or more runs of an image.

    Members
    -------
    outputs : (runs, output_bytes) uint8, the OUTPUT region after each run
    cycles : of each run, where the device counts them
    """

    outputs: np.ndarray
    # Empty where the device has no clock, so that nobody takes 0 for a measurement.
    cycles: tuple[int, ...] = field(default=())


class Device(Protocol):
    """Executes images on input bytes."""

    def run(self, image: Image, inputs: np.ndarray) -> Run:
        """Run ``image`` once for each row of ``inputs``, (runs, input_bytes) uint8.

        Raises
        ------
        DeviceError
            The device is for another configuration, or a run failed.
        """
