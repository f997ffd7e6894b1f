"""The process of one network, so that none can spoil another's memory, time or imports."""

import os
import resource
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from qnn.bench.zoo.listed import ListedNetwork

# A library's threads each take a share of address space, which is what is limited.
MEBIBYTE = 1 << 20
# Imported once, by the server that forks a process for each network: they take longer than most
# networks do. ``torch.export`` imports Dynamo when it is first called.
PRELOADED = ("qnn.bench.zoo.measure", "torch._dynamo", "torch._export.non_strict_utils")


def work(given: Mapping, told: Connection) -> None:
    """Measure the network that ``given`` describes; send all that becomes known of it."""
    # What the network's own code prints is none of the measurement.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    most = given["memory_mebibytes"] * MEBIBYTE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def tell(**found):
        told.send(found)

    try:
        _measure(given["network"], given["settings"], tell)
    except MemoryError:
        tell(lacks=[f"needs more than {given['memory_mebibytes']} MiB of memory"])
    except Exception as error:  # any: it is the network's own code, or a fault of ours to see
        kind = type(error).__name__
        tell(lacks=[f"{kind}: {' '.join(str(error).split())[:300]}"])


def _measure(network, settings, tell):
    import torch

    from qnn.bench.zoo.measure import ZooSettings, measure

    # What is measured in seconds must not depend on what else runs.
    torch.set_num_threads(1)
    shapes = tuple(map(tuple, network["shapes"]))
    folder = Path(settings["folder"])
    measure(
        ListedNetwork(**{**network, "shapes": shapes}),
        ZooSettings(**{**settings, "folder": folder}),
        tell,
    )
