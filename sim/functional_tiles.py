"""Computations of a program, planned once: the words they read and write, and their weights."""

from functools import partial

import numpy as np

from hw.spec.isa import access
from hw.spec.isa.header import Op
from hw.spec.isa.tiles import Tiles
from sim.functional_step import FunctionalStep
from sim.machine import Machine

# Integers up to here are exact in float32, and so are sums that stay below.
FLOAT32_EXACT = 1 << 24


def _reads(machine, tiles):
    """The words that are read, (pixels, taps); what lies outside is the padding word.

    Each step is as many taps as it takes neighbours, and one.
    """
    address, inside = access.reads(tiles)
    _, valid = access.writes(tiles)
    # The word behind the buffer's last one stands for padding.
    padded = np.where(inside, address, machine.config.feature_words)
    own = [padded[..., n : n + tiles.written] for n in range(1 + tiles.neighbours)]
    padded = np.stack(own, 2).reshape(len(padded), -1, tiles.written)
    padded = padded.transpose(0, 2, 1)[valid]
    machine.inside(padded, machine.config.feature_words + 1, "the feature buffer")
    return padded, valid


def _writes(machine, tiles, valid):
    """The words that are written, (passes, pixels)."""
    address, _ = access.writes(tiles)
    words = address.transpose(1, 0, 2)[:, valid]
    machine.inside(words, machine.config.feature_words, "the feature buffer")
    return words


def _written(machine):
    """``machine.written`` with the padding word."""
    return np.concatenate([machine.written, np.ones((1, machine.config.lanes), bool)])


def plan_max_pool(machine: Machine, tiles: Tiles) -> FunctionalStep:
    """The step of a maximum over windows.

    Raises
    ------
    DeviceError
        It comes too early, leaves the feature buffer, or reads what nothing wrote.
    """
    machine.order(tiles)
    reads, valid = _reads(machine, tiles)
    words = _writes(machine, tiles, valid)[0]
    lanes = _written(machine)[reads].all((0, 1))
    machine.require(lanes.any(), "reads words that nothing wrote")
    machine.written[words] = lanes
    machine.write(tiles.tag, words, slice(None))
    return FunctionalStep(op=Op.MAXPOOL, reads=reads, words=words, pad_value=tiles.pad_value)


def plan_conv(machine: Machine, tiles: Tiles) -> FunctionalStep:
    """The step of a convolution or a product, with its weights and epilogue numbers.

    Raises
    ------
    DeviceError
        It comes too early, leaves a buffer, or reads what nothing wrote or loaded.
    """
    config = machine.config
    machine.order(tiles)
    reads, valid = _reads(machine, tiles)
    words = _writes(machine, tiles, valid)
    # Every term reads the same words, so that one matrix of whole weights does for all.
    matrix = _weight_matrix(machine, tiles)
    reads = reads[:, : len(matrix)]
    # Lanes with weights of zero may hold anything, also what nothing wrote.
    used = (matrix != 0).any(2)  # (taps, lanes)
    known = _written(machine)[reads].all(0)
    machine.require((known | ~used).all(), "reads activations that nothing wrote")
    machine.require(tiles.parameter_address in machine.parameters, "has no parameters")
    bias, left, skip_left, right = machine.parameters[tiles.parameter_address]
    skips, skip_lanes = _skip(machine, tiles, valid)
    table = _table(machine, tiles)
    output_lanes = _lanes(machine, tiles.output_part)
    machine.written[words, output_lanes] = True
    machine.write(tiles.tag, words, output_lanes)
    # The greatest sum that any activation can give, over all rows.
    reach = int(np.abs(matrix).sum((0, 1)).max()) << (config.activation_bits - 1)
    dtype = np.float32 if reach < FLOAT32_EXACT else np.float64
    return FunctionalStep(
        op=Op.CONV,
        reads=reads,
        pad_value=tiles.pad_value,
        weights=matrix.reshape(-1, config.rows).astype(dtype),
        bias=bias,
        left=left,
        skip_left=skip_left,
        right=right,
        skips=skips,
        offsets=_offsets(tiles, config),
        factor=partial(_cut, bits=config.activation_bits),
        skip_lanes=skip_lanes,
        output_lanes=output_lanes,
        words=words[0] if tiles.passes == 1 else words,
        low=tiles.low,
        high=tiles.high,
        table=table,
        cut_sum=partial(_cut, bits=config.accumulator_bits),
        cut=partial(_cut, bits=config.result_bits),
        slice=partial(_slice, bits=config.activation_bits),
    )


def _weight_matrix(machine, tiles):
    """(taps of a term, lanes, rows) integers: what the array makes of all terms, moved and summed.

    Its accumulator wraps, which a sum that is cut in the end equals.
    """
    config = machine.config
    numbers = tiles.weight_address + np.arange(tiles.taps) * tiles.weight_step
    machine.inside(numbers, config.weight_words, "the weight buffer")
    machine.require(machine.weights_loaded[numbers].all(), "reads weights that nothing loaded")
    total = 0
    for term in machine.weights[numbers.reshape(tiles.terms, -1)]:
        total = (total << config.term_shift) + term
    return _beside(machine, tiles, total.transpose(0, 2, 1))


def _beside(machine, tiles, matrix):
    """The weights of neighbours' values as taps of their own: (taps, lanes, rows) integers."""
    if not tiles.neighbours:
        return matrix
    taps = np.zeros((len(matrix), 1 + tiles.neighbours, *matrix.shape[1:]), matrix.dtype)
    rows, left = np.arange(machine.config.rows), matrix.copy()
    for number in range(1 + tiles.neighbours):
        lanes = (rows - number) % machine.config.lanes
        taps[:, number, rows, rows] = matrix[:, lanes, rows]
        left[:, lanes, rows] = 0
    machine.require(not left.any(), "has weights at lanes that neighbours' values are not in")
    return taps.reshape(-1, *matrix.shape[1:])


def _lanes(machine, part):
    machine.require(part < machine.config.parts, f"names part {part} of {machine.config.parts}")
    return slice(part * machine.config.rows, (part + 1) * machine.config.rows)


def _skip(machine, tiles, valid):
    if not tiles.skip:
        return None, None
    words = access.skip_reads(tiles)[valid]
    lanes = _lanes(machine, tiles.skip_part)
    machine.inside(words, machine.config.feature_words, "the feature buffer")
    machine.require(machine.written[words, lanes].any(), "adds words that nothing wrote")
    return words, lanes


def _table(machine, tiles):
    if not tiles.table:
        return None
    entries = 1 << machine.config.table_bits
    words = tiles.table_address * entries + np.arange(entries)
    machine.inside(words, machine.config.table_words, "the tables")
    used = np.arange(tiles.low, tiles.high + 1) % entries
    machine.require(machine.tables_loaded[words[used]].all(), "reads a table that nothing loaded")
    # A copy, as a later load may put another table in its place.
    return machine.tables[words].copy()


def _offsets(tiles, config):
    if not tiles.multiply:
        return None
    half = 1 << (config.activation_bits - 1)
    return tiles.sum_unsigned * half, tiles.skip_unsigned * half


def _cut(values, bits):
    """The values cut to ``bits`` bits, in two's complement."""
    # Up and down again in int64 keeps the low bits with their sign.
    shift = 64 - bits
    return values << shift >> shift


def _slice(values, number, bits):
    """The ``number``-th ``bits`` of each value, as the signed integer that a lane keeps."""
    return _cut(values >> (number * bits), bits)
