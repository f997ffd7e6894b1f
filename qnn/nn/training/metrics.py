"""What a run measures, as JSON lines in a file and, where wanted, for TensorBoard."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qnn.errors import ModelError, ToolError
from qnn.fields import parsed, typed
from qnn.files import read_file, write_whole

# A file that begins in another way is not ours, and is never rewritten.
START = '{"step": '  # of each line


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One line of the metrics file, which a run writes at regular steps.

    Members
    -------
    step, epoch : updates and whole epochs done
    loss : mean since the last line
    train_accuracy : percent, of this epoch so far, as trained: augmented, and with the weights of
        each step; None: there are no labels
    test : numbers of the task on the test images, of the model as it would be kept now, by the
        names of ``qnn.tasks.measures``, which are ``test_accuracy`` and so on in a line, or
        ``test_NAME_accuracy`` of each of several outputs; empty: not measured here
    rate : learning rate of the last update
    seconds : in training so far, before an interruption too
    images_per_second : since the last line
    """

    step: int
    epoch: int
    loss: float
    train_accuracy: float | None
    test: Mapping[str, Any]
    rate: float
    seconds: float
    images_per_second: float

    def to_fields(self) -> dict:
        """Plain values by name, in one level; every line has an accuracy, if only None."""
        fields = asdict(self)
        test = {"accuracy": None}
        for name, number in fields.pop("test").items():
            # Several outputs have numbers each.
            several = number if isinstance(number, dict) else {"": number}
            test |= {f"{name}_{each}".rstrip("_"): value for each, value in several.items()}
        return fields | {f"test_{name}": value for name, value in test.items()}


class Metrics:
    """Writes lines to ``path``, and scalars to ``board``; either may be None.

    What ``path`` holds of steps after ``step`` is dropped: they are done again.

    Raises
    ------
    ModelError
        ``path`` holds something else, or cannot be written.
    ToolError
        TensorBoard is wanted and missing.
    """

    def __init__(self, path: Path | None, board: Path | None, step: int):
        self.path = path
        if path is not None:
            _rewind(path, step)
        self.board = None if board is None else _board(board, step)

    def write(self, measured: Measured) -> None:
        """Add one line, at once on disk."""
        fields = measured.to_fields()
        if self.path is not None:
            # Opened anew for each line: what is written is on its way to the disk, and a file that
            # was moved or removed meanwhile is simply begun again.
            with self.path.open("a") as file:
                file.write(json.dumps(fields) + "\n")
        if self.board is not None:
            for name, value in fields.items():
                if value is not None and name != "step":
                    self.board.add_scalar(name, value, measured.step)
            self.board.flush()

    def close(self) -> None:
        """End the event file of TensorBoard."""
        if self.board is not None:
            self.board.close()


def _rewind(path, step):
    try:
        text = read_file(path).decode() if path.exists() else ""
        lines = text.splitlines(keepends=True)
        if lines and lines[-1].startswith(START) and not lines[-1].endswith("\n"):
            del lines[-1]  # cut short by the end of its process
        kept = [line for line in lines if typed(int, typed(dict, parsed(line))["step"]) <= step]
    except (ValueError, KeyError, OSError):
        raise ModelError(
            f"metrics {path} holds something else than metrics of a run; name another file"
        ) from None
    try:
        write_whole(path, "".join(kept))
    except OSError as error:
        raise ModelError(
            f"metrics {path} needs a writable folder with room, but got '{error.strerror}'; "
            f"choose another path"
        ) from None


def _board(folder, step):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ToolError(
            "train needs tensorboard to write its event files, but it is missing; run pip install "
            "'qnn[train]'"
        ) from None
    # Points of steps that are done again are hidden from then on.
    return SummaryWriter(str(folder), purge_step=step + 1)
