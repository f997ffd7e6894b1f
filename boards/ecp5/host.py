"""The laptop's side: sends inputs over USB and takes the answers; a ``Device`` of the runtime.

python -m boards.ecp5.host BUILD/image.bin images.npy outputs.npz --port /dev/ttyUSB0
"""

import argparse
import errno
import os
import select
import sys
import termios
import time
import tty
from pathlib import Path

import numpy as np

from boards.ecp5.facts import BAUD
from hw.spec.image import Image, ImageError
from hw.spec.registers import Error, Status
from hw.spec.serial import ANSWER, SUM, answer_bytes, digest, exchange_sum
from qnn.errors import DeviceError, QnnError
from qnn.files import whole_file
from qnn.runtime.arrays import read_inputs
from qnn.runtime.command import REFUSAL
from qnn.runtime.device import Run
from qnn.runtime.given import Given, image_count
from qnn.runtime.lock import DeviceLock
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from qnn.runtime.values import as_results, encode

SPEED = getattr(termios, f"B{BAUD}")
PATIENCE_SECONDS = 5.0  # beyond the time that the bytes take on the line


class SerialBoard:
    """The board on the serial port ``path``, whose ``button`` starts it over."""

    def __init__(self, path: str, button: str = "its button"):
        self._path, self._button = path, button

    def run(self, image: Image, inputs: np.ndarray) -> Run:
        """See ``qnn.runtime.device.Device``."""
        port = os.open(self._path, os.O_RDWR | os.O_NOCTTY)
        try:
            # Another program would take bytes of our answers.
            lock = DeviceLock(self._path, [Path(self._path)])
            try:
                self._set_up(port)
                answers = [self._exchange(port, image, row.tobytes()) for row in inputs]
            finally:
                lock.release()
        except OSError as error:
            raise DeviceError(
                f"{self._path}: the serial port is gone ({error.strerror}); connect the board again"
            ) from None
        finally:
            os.close(port)
        outputs = [np.frombuffer(output, np.uint8) for _, output in answers]
        shape = (len(outputs), image.output_bytes)
        cycles = tuple(cycles for cycles, _ in answers)
        return Run(np.array(outputs, np.uint8).reshape(shape), cycles)

    def _set_up(self, port):
        """Raw bytes at the board's speed, and nothing left of an earlier talk."""
        try:
            tty.setraw(port)
            settings = termios.tcgetattr(port)
            # Input and output speed, in the list that termios uses.
            settings[4] = settings[5] = SPEED
            termios.tcsetattr(port, termios.TCSANOW, settings)
            # What an earlier, interrupted exchange left must not count as an answer.
            termios.tcflush(port, termios.TCIOFLUSH)
        except termios.error as error:
            raise DeviceError(
                f"{self._path}: the board answers on a serial port, but this is none ({error}); "
                f"give the port of its USB connector"
            ) from None

    def _exchange(self, port, image, data):
        """The cycles and the OUTPUT region for one input."""
        count = answer_bytes(image.output_bytes)
        _send(port, data)
        # A byte takes ten bits on the line: start, eight of data, stop.
        answer = self._take(port, count, PATIENCE_SECONDS + 10 * (len(data) + count) / BAUD)
        return checked(image, data, answer, self._path, self._button)

    def _take(self, port, count, seconds):
        answer, end = b"", time.monotonic() + seconds
        while len(answer) < count:
            left = end - time.monotonic()
            if left <= 0 or not select.select([port], [], [], left)[0]:
                raise DeviceError(
                    f"{self._path}: an answer needs {count} bytes, but {len(answer)} came in "
                    f"{seconds:.0f} seconds; load the bitstream, and check the port"
                )
            part = os.read(port, count - len(answer))
            if not part:  # a connector that was pulled gives the end of a file, again and again
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            answer += part
        return answer


def checked(
    image: Image, data: bytes, answer: bytes, path: str, button: str = "its button"
) -> tuple[int, bytes]:
    """The cycles and the OUTPUT region in the ``answer`` to the INPUT region ``data``.

    Raises
    ------
    DeviceError
        It is of another network, of another input, changed on the line, or of a run that failed.
    """
    answer, (got,) = answer[: -SUM.size], SUM.unpack(answer[-SUM.size :])
    cycles, status, error, name = ANSWER.unpack_from(answer)
    # A board that was loaded before answers for its own network.
    if name != digest(image.payload):
        raise DeviceError(
            f"{path}: the board holds network {name.hex()}, but the image is "
            f"{digest(image.payload).hex()}; load the bitstream of this build"
        )
    wanted = exchange_sum(data, answer)
    if got != wanted:
        raise DeviceError(
            f"{path}: the answer's checksum is {got:08x}, but that of what was sent and came is "
            f"{wanted:08x}: it answers another input, or the line changed a byte; try again, with "
            f"one program at a time"
        )
    if status & Status.FAILED or not status & Status.DONE:
        what = Error(error).name if error in list(Error) else error
        raise DeviceError(
            f"{path}: the run failed with error {what}; press {button} and try again, or load the "
            f"bitstream again"
        )
    return cycles, answer[ANSWER.size :]


def execute(
    image: Image, path: str, images: Given, button: str = "its button"
) -> tuple[tuple[np.ndarray, ...], tuple[int, ...]]:
    """Integers of each output, (images, *shape in the user's model), and cycles of each run.

    Parameters
    ----------
    path : of the serial port
    images : see ``qnn.runtime.values.encode``: (N, height, width, channels) uint8, usually; a
        tuple with one array for each input where there are several
    button : what the board's button is called, for messages

    Raises
    ------
    DeviceError
        The images are of another shape or kind, or the board refused or failed.
    """
    run = SerialBoard(path, button).run(image, pack_inputs(image, encode(image, images)))
    outputs = unpack_outputs(image, run.outputs, image_count(images))
    return as_results(image, outputs), run.cycles


def _send(port, data):
    # A write to a serial port may take a part of the bytes.
    while data:
        data = data[os.write(port, data) :]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; 0 done, 2 wrong usage, 3 refused."""
    parser = argparse.ArgumentParser(description="Run images on a board that holds the network.")
    parser.add_argument("image", type=Path, help="image.bin of the build folder")
    parser.add_argument(
        "inputs",
        type=Path,
        help=".npy: images, channels last, 8-bit pixels usually; of several inputs an .npz with an "
        "array for each, by its name",
    )
    parser.add_argument("outputs", type=Path, help=".npz to write")
    parser.add_argument("--port", default="/dev/ttyUSB0")
    given = parser.parse_args(arguments)
    try:
        image = Image.read(given.image)
        x = read_inputs(image, given.inputs)
        outputs, cycles = execute(image, given.port, x)
    except (QnnError, ImageError, ValueError, OSError) as error:
        print("error:", error, file=sys.stderr)
        raise SystemExit(REFUSAL) from None
    with whole_file(given.outputs) as file:
        np.savez(file, *outputs, cycles=np.array(cycles))
    print(f"{image_count(x)} images, {', '.join(map(str, cycles))} cycles each run")


if __name__ == "__main__":
    main()
