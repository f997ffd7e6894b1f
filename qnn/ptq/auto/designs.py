"""Designs that a search has tried, on disk too, so that an interrupted search goes on from them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qnn.fields import parsed, typed
from qnn.ptq.auto.held_out import Loss
from qnn.ptq.round_layers import FittedLayer
from qnn.quant.rounding.checkpoint import PARTS, Checkpoint, Keeper, keeping

PIECES = ("indices", "exponent", "bias")  # of what was chosen for a layer


@dataclass(eq=False)
class Designs:
    """What is known of designs, by their key: losses, and the layers of the last ones.

    Members
    -------
    keeper : writes what is known
    losses : of whole designs
    notes : other results of the search that took long, by name, as JSON has them
    layers : of designs that are under way or were found best, by key and layer
    best : the key of the design that was found best so far
    """

    keeper: Keeper
    losses: dict[str, Loss] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, dict[str, FittedLayer]] = field(default_factory=dict)
    best: str | None = None

    def note(self, name: str, value: Callable[[], Any]) -> Any:
        """A result by name: the one that is known, or what ``value`` gives."""
        if name not in self.notes:
            self.notes[name] = value()
            self._keep(f"'{name}'")
        return self.notes[name]

    def layer(self, key: str, name: str, chosen: FittedLayer) -> None:
        """Take in a layer of a design."""
        self.layers.setdefault(key, {})[name] = chosen
        self._keep(f"layer '{name}'")

    def whole(self, key: str, layers: dict[str, FittedLayer]) -> None:
        """Take in all layers of a design."""
        self.layers[key] = layers
        self._keep(f"{len(layers)} layers", due=True)

    def beside(self, key: str) -> Checkpoint | None:
        """The file of a design that keeps its own state; None where nothing is kept.

        All that is known is written before, as an interruption is then heard by another keeper.
        """
        kept = self.keeper.checkpoint
        if kept is None:
            return None
        self._keep("designs", due=True)
        name = hashlib.sha256(key.encode()).hexdigest()[:8]
        return replace(kept, path=Path(f"{kept.path}.{name}"))

    def loss(self, key: str, loss: Loss) -> None:
        """Take in the loss of a design; layers of others but the best are not needed any more."""
        self.losses[key] = loss
        # One of the two may be taken, and all of a large search would fill a disk.
        self.layers = {k: found for k, found in self.layers.items() if k in (key, self.best)}
        self._keep(f"{len(self.losses)} designs")

    def _keep(self, what, due=False):
        self.keeper.after(0, what, self.tensors, due)

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, by name."""
        known = {
            "losses": {key: asdict(loss) for key, loss in self.losses.items()},
            "notes": self.notes,
            "keys": list(self.layers),
        }
        found = {
            "known": torch.frombuffer(bytearray(json.dumps(known).encode()), dtype=torch.uint8)
        }
        # Keys are long, and stand in the text once; tensors have their numbers.
        for number, layers in enumerate(self.layers.values()):
            for name, chosen in layers.items():
                for piece in PIECES:
                    found[f"{number} {piece} {name}"] = getattr(chosen, piece)
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the state that ``tensors`` gave."""
        known = parsed(bytes(tensors["known"].tolist()).decode())
        self.losses = {key: Loss(**fields) for key, fields in typed(dict, known["losses"]).items()}
        self.notes = typed(dict, known["notes"])
        for number, key in enumerate(known["keys"]):
            start = f"{number} {PIECES[0]} "
            names = [name.removeprefix(start) for name in tensors if name.startswith(start)]
            self.layers[key] = {
                name: FittedLayer(*(tensors[f"{number} {piece} {name}"] for piece in PIECES))
                for name in names
            }


@contextmanager
def designs_at(path: Path | None, told: Mapping[str, Any]) -> Iterator[Designs]:
    """The designs that the file ``path`` knows, of the search that ``told`` describes.

    Raises
    ------
    ModelError
        The file is another run's, or no checkpoint.
    Interrupted
        A signal asked the search to stop, and its state is in the file.
    """
    checkpoint = None if path is None else Checkpoint(path)
    owner = {part: _digest(told.get(part)) for part in PARTS} if checkpoint else {}
    kept = checkpoint.load(owner) if checkpoint else None
    with keeping(checkpoint, owner) as keeper:
        found = Designs(keeper)
        if kept is not None:
            found.restore(kept)
        yield found


def _digest(value) -> str:
    digest = hashlib.sha256()
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, Tensor):
            held = part.detach().cpu().contiguous()
            digest.update(f"{tuple(held.shape)} {held.dtype}".encode())
            digest.update(held.flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
