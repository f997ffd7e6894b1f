"""AsInFile: what a file takes and gives, where the module that was made of it has other axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, fx, nn

HELD = "_as_in_file"  # the attribute of a module


@dataclass(frozen=True)
class AsInFile:
    """How the tensors of a file are those of its module.

    Members
    -------
    orders : of inputs by name, which of the module's axes each axis of the file is
    numbers : inputs of the file that the module has as constants, by name
    images : of outputs by name, the file's axis that images lie along, where it is not the first
    count : how many images the file takes, None for any number
    scales : of outputs that the file gives as integers by name, their scale and zero point
    """

    orders: Mapping[str, Sequence[int]] = field(default_factory=dict)
    numbers: Mapping[str, Tensor] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    count: int | None = None
    scales: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @staticmethod
    def of(module: nn.Module) -> "AsInFile":
        """What a module says; of one that says nothing, that all is as in its file."""
        return getattr(module, HELD, None) or AsInFile()

    def mark(self, module: fx.GraphModule) -> fx.GraphModule:
        """The module, which says this."""
        setattr(module, HELD, self)
        return module

    def given(self, name: str, images: Tensor) -> Tensor:
        """What the file takes as its input ``name`` for ``images`` of the module's."""
        return images.permute(list(self.orders[name])) if name in self.orders else images

    def result(self, name: str, found: np.ndarray) -> np.ndarray:
        """What the module gives for what the file gave as its output ``name``."""
        found = np.moveaxis(found, self.images[name], 0) if name in self.images else found
        if name not in self.scales:
            return found
        scale, zero = (float(each) for each in self.scales[name])
        return (found.astype(np.float64) - zero) * scale
