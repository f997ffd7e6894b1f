"""Readers with faults that a campaign must find; apart, as processes import them for each."""

import os
import time
from pathlib import Path
from random import Random

from qnn.bench.fuzz.target import FuzzTarget
from qnn.errors import QnnError


def planted(read) -> FuzzTarget:
    return FuzzTarget(read.__name__, "", make, read)


def make(_rng: Random, _corpus: Path, place: Path) -> Path:
    return place


def fine(_path, _corpus):
    """Takes everything."""


def refuses(_path, _corpus):
    raise QnnError("no")


def escapes(_path, _corpus):
    raise KeyError("kind")


def leaves(_path, _corpus):
    raise SystemExit(0)


def hangs(_path, _corpus):
    time.sleep(60)


def hoards(_path, _corpus):
    bytearray(3 << 30)


def hides(_path, _corpus):
    try:
        bytearray(3 << 30)
    except MemoryError:
        raise QnnError("no") from None


def dies(_path, _corpus):
    os._exit(7)


PLANTED = (fine, refuses, escapes, leaves, hoards, hides, dies, hangs)
