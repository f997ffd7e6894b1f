"""Weights and epilogue numbers as the words that the array reads, one set per group."""

from itertools import groupby

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.isa.array_codes import array_code
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.packing import pack
from hw.spec.isa.parameters import parameters
from qnn.compiler.neighbours import steps_of_row
from qnn.compiler.segments import Group, Segments, blocks_read, lanes_of
from qnn.compiler.terms import moved_left, terms_of
from qnn.ir.epilogue import Epilogue
from qnn.ir.ops import Conv
from qnn.ir.sums import integer_weights


def weight_words(
    node: Conv, group: Group, operand: Segments, config: SvpeConfig, neighbours: int = 0
) -> np.ndarray:
    """Signed indices, or a multiplier's integers, in the order of the steps: (steps, rows, lanes).

    A row's codes stand at the lanes of its own group's channels; the other lanes of those words
    have weights of zero. With ``neighbours``, those of further taps stand at lanes before the row's
    (see ``hw.spec.isa.tiles``). One word stands for all steps where all are equal.
    """
    terms = terms_of(node, group, config)
    # Of this group alone, as there may be hundreds of a layer.
    weights = node.codes[:, list(group.channels)]
    if config.pe == "shift":
        weights = weights[terms.start : terms.stop]
    else:
        weights = integer_weights(weights, node.weight_bits)[None]
    if neighbours:
        return _one_for_all(_beside(node, group, weights, config, neighbours))
    height, width = node.window.kernel
    block, lane = lanes_of(operand, config.lanes)
    read = blocks_read(node, group, operand, config.lanes)
    shape = (len(terms), height, width, len(read), config.rows, config.lanes)
    words = np.zeros(shape, weights.dtype)
    # Rows that are computed from the same channels at once: of a dense layer, all.
    first = 0
    for inputs, same in groupby(map(node.inputs_of, group.channels)):
        rows = slice(first, first + len(list(same)))
        # Two lists of places, apart from each other: NumPy puts their axis, the inputs, first.
        taps = weights[:, rows].transpose(2, 0, 3, 4, 1)
        words[:, :, :, block[inputs] - read.start, rows, lane[inputs]] = taps
        first = rows.stop
    return _one_for_all(words.reshape(-1, config.rows, config.lanes))


def _beside(node, group, weights, config, neighbours):
    """The words of a depthwise layer; ``weights`` are (terms, channels, 1, height, width)."""
    steps = steps_of_row(node.window, neighbours)
    terms, height = weights.shape[0], node.window.kernel[0]
    words = np.zeros((terms, height, len(steps), config.rows, config.lanes), weights.dtype)
    rows = np.arange(len(group.channels))
    for step, taps in enumerate(steps):
        for number, tap in enumerate(taps):
            lanes = (rows - number) % config.lanes
            words[:, :, step, rows, lanes] = weights[:, :, 0, :, tap].transpose(0, 2, 1)
    return words.reshape(-1, config.rows, config.lanes)


def _one_for_all(words):
    # Sums and copies have equal words: one is loaded, and the instruction's step is 0.
    return words[:1] if len(words) > 1 and (words == words[:1]).all() else words


def pack_weights(words: np.ndarray, config: SvpeConfig) -> bytes:
    """(steps, rows, lanes) indices, or a multiplier's integers, as memory holds them."""
    # Apart, as two's complement has one more integer below zero than above.
    least, most = int(words.min(initial=0)), int(words.max(initial=0))
    # A table of all values: one by one, millions of weights would each be a call of Python. Those
    # below zero stand at its end, where Python's negative places count from.
    table = [array_code(m, config) for m in (*range(most + 1), *range(least, 0))]
    encoded = np.array(table)[words]
    word_bytes = Buffer.WEIGHTS.word_bytes(config)
    return pack(encoded.reshape(len(words), -1), config.weight_bits, word_bytes).tobytes()


def pack_parameters(
    node: Conv, epilogue: Epilogue[tuple[int, ...]], group: Group, config: SvpeConfig
) -> bytes:
    """The epilogue of one group's channels as one parameter word; rows without a channel are 0."""
    layout = parameters(config)
    more_left = moved_left(node, terms_of(node, group, config), config)
    word = 0
    for row, channel in enumerate(group.channels):
        value = layout.encode(
            bias=epilogue.bias[channel],
            left=epilogue.left[channel] + more_left,
            skip_left=epilogue.skip_left[channel],
            right=epilogue.right[channel],
        )
        word |= value << (row * layout.bits)
    word_bytes = Buffer.PARAMETERS.word_bytes(config)
    return word.to_bytes(word_bytes, "little")


def pack_table(epilogue: Epilogue[tuple[int, ...]], group: Group, config: SvpeConfig) -> bytes:
    """The entries of one group's rows for every index, as memory holds them.

    Indices below zero stand behind the others. Those that the clamp lets not through, and rows
    without a channel of a table of its own, have 0.
    """
    count = 1 << config.table_bits
    entries = np.zeros((count, config.rows), np.int64)
    index = np.arange(epilogue.low, epilogue.high + 1) % count
    if len(epilogue.table) == 1:
        # In all rows: groups of fewer channels then have the same table.
        entries[index] = epilogue.table.T
    else:
        entries[index, : len(group.channels)] = epilogue.table[list(group.channels)].T
    word_bytes = Buffer.TABLES.word_bytes(config)
    return pack(entries, config.activation_bits, word_bytes).tobytes()
