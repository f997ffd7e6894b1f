"""A board that is a thread: it answers inputs on a pseudo-terminal."""

import os
import pty
import threading

import numpy as np

from hw.spec.registers import Status
from hw.spec.serial import ANSWER, SUM, digest, exchange_sum
from sim.functional import FunctionalDevice

CYCLES = 410


class FakeBoard(threading.Thread):
    """Computes each input as ``image`` says, or gives ``answer``; ``raw`` leaves its sum to it.

    Members
    -------
    path : of the serial port
    got : inputs that came
    """

    def __init__(self, image, answer=None, *, raw=False):
        super().__init__(daemon=True)
        self._port, self._slave = pty.openpty()
        self._image, self._answer, self._raw = image, answer, raw
        self.got = []
        self.path = os.ttyname(self._slave)

    def run(self):
        while True:
            data = b""
            while len(data) < self._image.input_bytes:
                data += os.read(self._port, self._image.input_bytes - len(data))
            self.got.append(data)
            answer = self._answer or self._compute(data)
            os.write(self._port, answer if self._raw else summed(data, answer))

    def _compute(self, data):
        inputs = np.frombuffer(data, np.uint8)[None]
        return head(self._image) + FunctionalDevice().run(self._image, inputs).outputs.tobytes()


def summed(data, answer):
    """The answer to ``data`` with its sum."""
    return answer + SUM.pack(exchange_sum(data, answer))


def head(image, *, status=Status.DONE, error=0, name=None):
    """How an answer begins."""
    return ANSWER.pack(CYCLES, status, error, digest(image.payload) if name is None else name)
