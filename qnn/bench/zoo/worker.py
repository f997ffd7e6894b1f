"""The process of one network, so that none can spoil another's memory, time or imports.

Reads what to measure as JSON from standard input, and writes a JSON line for all that is known.
"""

import json
import os
import resource
import sys
from pathlib import Path

from qnn.bench.zoo.listed import ListedNetwork

# A library's threads each take a share of address space, which is what is limited.
MEBIBYTE = 1 << 20


def main() -> None:
    """Measure the network that standard input describes."""
    given = json.load(sys.stdin)
    # What the network's own code prints is none of the measurement.
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(**told):
        print(json.dumps(told), file=lines, flush=True)

    most = given["memory_mebibytes"] * MEBIBYTE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    from qnn.bench.zoo.measure import ZooSettings, measure

    network, settings = given["network"], given["settings"]
    shapes = tuple(map(tuple, network.pop("shapes")))
    folder = Path(settings.pop("folder"))
    try:
        measure(
            ListedNetwork(**network, shapes=shapes), ZooSettings(folder=folder, **settings), tell
        )
    except MemoryError:
        tell(lacks=[f"needs more than {given['memory_mebibytes']} MiB of memory"])
    except Exception as error:  # any: it is the network's own code, or a fault of ours to see
        kind = type(error).__name__
        tell(lacks=[f"{kind}: {' '.join(str(error).split())[:300]}"])


if __name__ == "__main__":
    main()
