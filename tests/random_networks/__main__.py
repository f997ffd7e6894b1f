"""Run many random networks through all executors: PyTorch, reference, functional simulator, RTL.

``python -m tests.random_networks functional --networks 10000`` and ``rtl --networks 300`` keep one
line for each network in a file and go on where they were stopped.
"""

import argparse
import sys
from pathlib import Path

from tests.random_networks.campaign import FAILED, TARGETS, run_campaign
from tests.random_networks.table import table

SHOWN = 5  # failures


def main() -> int:
    """The exit status: 0 if no network failed, else 1."""
    options = _options()
    file = options.file or Path(f"random_networks_{options.device}_{options.seed}.jsonl")
    results = run_campaign(options.device, options.networks, options.seed, options.jobs, file)
    print(table(results))
    failed = [each for each in results if each.result == FAILED]
    for each in failed[:SHOWN]:
        print(f"network {each.number} of seed {options.seed}: {each.error}", file=sys.stderr)
    return 1 if failed else 0


def _options():
    parser = argparse.ArgumentParser(prog="python -m tests.random_networks", description=__doc__)
    parser.add_argument("device", choices=TARGETS, help="the executor closest to hardware")
    parser.add_argument("--networks", type=int, default=300, help="how many, of any that compile")
    parser.add_argument("--seed", type=int, default=0, help="of the networks")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--file", type=Path, help="of the results, which is gone on with")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
