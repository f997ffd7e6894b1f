"""A rounding run on disk: what an interrupted one needs to go on, and whose it is."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.fields import FieldsError, parsed, typed
from qnn.interrupt import Interrupted, stoppable
from qnn.quant.rounding.problem import Problem
from qnn.tensor_file import TensorFileError, read_tensors, write_tensors

FORMAT = "qnn rounding checkpoint 2"
PARTS = {  # of an identity, and what a refusal calls those of another run
    "method": "another method",
    "options": "other options",
    "model": "another model",
    "grid": "another grid",
    "data": "other data",
    "prepare": "another augmentation",
    "compared": "other biases to learn or results to compare",
}


@dataclass(frozen=True)
class Checkpoint:
    """A file that a run writes as it goes, and starts from if it is there.

    Members
    -------
    every, seconds : steps, and time, after which the file is written again; a process that is
        killed loses no more than the less of both, or one step if that takes longer
    """

    path: Path
    every: int = 50
    seconds: float = 60.0

    def load(self, identity: Mapping[str, str]) -> dict[str, Tensor] | None:
        """The tensors of a run of the same ``identity``; None if there is no file yet.

        Raises
        ------
        ModelError
            The file is another run's, or no checkpoint.
        """
        if not self.path.exists():
            return None
        try:
            file = read_tensors(self.path)
            found = typed(dict, parsed(file.texts.get("rounding", "{}")))
        except (TensorFileError, FieldsError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ModelError(
                f"{self.path}: cannot be read as a rounding checkpoint: {reason}; remove it to "
                f"start again"
            ) from None
        if found.get("format") != FORMAT:
            raise ModelError(f"{self.path}: not a rounding checkpoint; choose another path")
        if not file.is_whole:
            raise ModelError(f"{self.path}: its checksum does not match; remove it to start again")
        for part, other in PARTS.items():
            if found.get(part) != identity[part]:
                raise ModelError(
                    f"{self.path}: a rounding checkpoint of {other}; choose another path, or "
                    f"remove it to start again"
                )
        return file.tensors

    def save(self, identity: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
        """Replace the file by these tensors, at once or not at all."""
        metadata = {"rounding": json.dumps({"format": FORMAT, **identity})}
        try:
            write_tensors(self.path, tensors, metadata)
        except OSError as error:
            raise ModelError(
                f"{self.path}: a rounding checkpoint needs a writable folder with room, but got "
                f"'{error.strerror}'; choose another path"
            ) from None


@dataclass(eq=False)
class Keeper:
    """Writes a run's checkpoint when it is time to, and before the run is stopped.

    Members
    -------
    checkpoint : None: nothing is written, and nothing stops the run
    identity : of the run, as ``Checkpoint.save`` takes it
    asked : whether the run should stop
    saved : when the file was written last, in seconds of ``time.monotonic``
    """

    checkpoint: Checkpoint | None
    identity: Mapping[str, str]
    asked: Callable[[], bool]
    saved: float = field(default_factory=time.monotonic)

    def after(
        self, step: int, what: str, tensors: Callable[[], Mapping[str, Tensor]], due: bool = False
    ) -> None:
        """Call it at every safe point, after so many steps.

        Parameters
        ----------
        what : what has been done, for the text of ``Interrupted``
        tensors : gives the run's whole state
        due : whether the file is to be written in any case

        Raises
        ------
        Interrupted
            The run was asked to stop, and its state is on disk.
        """
        if self.checkpoint is None:
            return
        stop = self.asked()
        late = time.monotonic() - self.saved >= self.checkpoint.seconds
        if stop or due or late or (step and step % self.checkpoint.every == 0):
            self.checkpoint.save(self.identity, tensors())
            self.saved = time.monotonic()
        if stop:
            raise Interrupted(f"stopped after {what}, which {self.checkpoint.path} has")


@contextmanager
def keeping(checkpoint: Checkpoint | None, identity: Mapping[str, str]) -> Iterator[Keeper]:
    """A run's ``Keeper``, which hears of signals inside the block."""
    with stoppable(checkpoint is not None) as asked:
        yield Keeper(checkpoint, identity, asked)


def identity(method: str, problem: Problem, options) -> dict[str, str]:
    """What must be equal for a run to go on from a checkpoint: ``PARTS``, hashed.

    Of what prepares a batch, only its name counts.
    """
    model = problem.model
    layers = problem.layers.items()
    formats = ((name, layer.bits, layer.terms, layer.w.shape) for name, layer in layers)
    return {
        "method": method,
        "options": json.dumps(asdict(options), sort_keys=True),
        "model": _digest(
            [*model.named_parameters(), *model.named_buffers()]
            + [(name, layer.w) for name, layer in layers]
        ),
        "grid": _digest(
            [
                (str(f), layers_exponent)
                for f, layers_exponent in zip(
                    formats, (layer.exponent for _, layer in layers), strict=True
                )
            ]
        ),
        "data": _digest(("data", each) for each in problem.inputs),
        "prepare": _name(problem.prepare),
        "compared": json.dumps([problem.tuned, dict(problem.scales)]),
    }


def _name(function) -> str:
    if function is None:
        return "none"
    # An object that is called has no name of its own; its address would change from run to run.
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    digest = hashlib.sha256()
    for name, tensor in tensors:
        held = tensor.detach().cpu().contiguous()
        # With name, shape and kind: equal bytes under another name are another model.
        digest.update(f"{name} {tuple(held.shape)} {held.dtype} ".encode())
        digest.update(held.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
