"""Copies drawn at random: few long runs or many short ones, at any distance on either side."""

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from hw.spec.isa.transfer import Transfer
from sim.draw_tiles import any_size

MOST_ROWS = 1_200  # of a copy: each is a burst, for which memory takes its time


def draw_load(
    rng: np.random.Generator, config: SvpeConfig, region: Region, buffer: Buffer, room: int
) -> Transfer:
    """A load of any words of a buffer, from anywhere in the first ``room`` words of a region."""
    shape = rows, words, _ = _on_chip(rng, min(buffer.words(config), room))
    most = max(words, (room - words) // max(rows - 1, 1))
    apart = int(rng.integers(words, min(most, 2 * words + 70) + 1))
    size = (rows - 1) * apart + words
    first = int(rng.integers(0, room - size + 1))
    return _transfer(rng, config, Op.LOAD, region, buffer, shape, first, apart)


def draw_store(
    rng: np.random.Generator, config: SvpeConfig, region: Region, first: int
) -> Transfer:
    """A store of any features to a region, from its word ``first`` on."""
    shape = _on_chip(rng, config.feature_words)
    apart = shape[1] + int(rng.integers(0, 4))
    return _transfer(rng, config, Op.STORE, region, Buffer.FEATURES, shape, first, apart)


def draw_return(rng: np.random.Generator, config: SvpeConfig, store: Transfer) -> Transfer:
    """A load of what ``store`` has stored, to any features."""
    size = (store.rows - 1) * store.address_step + store.words
    address = int(rng.integers(0, config.feature_words - size + 1))
    members = {**vars(store), "op": Op.LOAD, "address": address}
    return Transfer(**members)


def _on_chip(rng, size):
    """Rows, words of each, and the distance from row to row in a buffer of a size."""
    room = any_size(rng, max(1, size // 2))
    # One row, some long ones, or any.
    most = int(rng.choice([1, 4, MOST_ROWS]))
    rows = min(any_size(rng, room), most)
    words = room // rows if most == 4 else any_size(rng, room // rows)
    far = (size - words) // max(rows - 1, 1)
    return rows, words, int(rng.integers(words, max(words, min(far, 2 * words + 70)) + 1))


def _transfer(rng, config, op, region, buffer, shape, first, apart):
    rows, words, step = shape
    size = (rows - 1) * step + words
    word_bytes = buffer.word_bytes(config)
    return Transfer(
        op=op,
        region=region,
        buffer=buffer,
        address=int(rng.integers(0, buffer.words(config) - size + 1)),
        rows=rows,
        words=words,
        address_step=step,
        offset=first * word_bytes,
        offset_step=apart * word_bytes,
        tag=int(rng.integers(0, 1 << 16)),
    )
