"""One process, or several that ``torchrun`` started, which share every batch."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.errors import ModelError, ToolError


@dataclass(frozen=True)
class Processes:
    """This process among all.

    Members
    -------
    rank, count : its number, and how many there are
    device : what it computes on
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports for all."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """The images of a batch that are this process's.

        Raises
        ------
        ModelError
            The batch cannot be shared evenly.
        """
        if batch % self.count:
            raise ModelError(
                f"train needs a batch that {self.count} processes can share evenly, not {batch}; "
                f"choose a multiple of {self.count}"
            )
        each = batch // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    @torch.no_grad()
    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the processes: one message for each dtype."""
        if self.count == 1:
            return
        groups: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            groups.setdefault(tensor.dtype, []).append(tensor)
        for group in groups.values():
            # One message rather than hundreds: each costs a round trip, whatever its size.
            flat = torch.cat([tensor.reshape(-1) for tensor in group])
            torch.distributed.all_reduce(flat)
            parts = flat.split([tensor.numel() for tensor in group])
            for tensor, part in zip(group, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            torch.distributed.barrier()


def processes(device: torch.device | str | None) -> Processes:
    """All processes of this run; without ``torchrun`` the one that there is.

    Parameters
    ----------
    device : None: a GPU if there is one

    Raises
    ------
    ModelError
        There is no such device.
    ToolError
        There are several, and lightning-fabric is missing.
    """
    kind = _found(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    count = int(os.environ.get("WORLD_SIZE", "1"))
    # A scheduler may set WORLD_SIZE for jobs that torchrun did not start.
    if count == 1 or not torch.distributed.is_torchelastic_launched():
        return Processes(0, 1, kind)
    try:
        from lightning_fabric import Fabric
    except ImportError:
        raise ToolError(
            f"train needs lightning-fabric for {count} processes, but it is missing; run pip "
            f"install 'qnn[train]'"
        ) from None
    # torchrun sets it on each machine; fabric wants devices by machine, not in all.
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    fabric = Fabric(
        accelerator=kind.type, strategy="ddp", devices=here, num_nodes=max(1, count // here)
    )
    fabric.launch()
    return Processes(fabric.global_rank, count, fabric.device)


def _found(device):
    try:
        kind = torch.device(device)
    except RuntimeError:
        kind = None
    if kind is None or (kind.type == "cuda" and not torch.cuda.is_available()):
        raise ModelError(f"train needs a device that is here, not '{device}'; choose cpu")
    return kind
