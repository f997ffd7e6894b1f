"""What a program does, worked out once for all inputs: addresses, weights, and their checks.

Everything but the activations is the same for every input, so that weights and epilogue numbers
are read here, and so is every mistake of a program found here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from hw.spec.image import Image
from hw.spec.isa import access
from hw.spec.isa.array_codes import array_integer
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.end import End
from hw.spec.isa.header import Engine, Op
from hw.spec.isa.packing import pack, unpack
from hw.spec.isa.parameters import parameters
from hw.spec.isa.transfer import Transfer
from qnn.errors import DeviceError
from sim.footprint import Write
from sim.machine import Machine

# Integers up to here are exact in float32, and so are sums that stay below.
FLOAT32_EXACT = 1 << 24


@dataclass(frozen=True, eq=False, kw_only=True)
class FunctionalStep:
    """One instruction, ready to run; its operation decides which members it has.

    ``reads`` (pixels, taps) holds the last word of the feature buffer, which holds the padding
    value, for what lies outside; ``words`` is (pixels,), or (passes, pixels) where unrounded.
    """

    op: Op
    region: Region | None = None  # of a transfer
    finishes: int | None = None  # the tag whose last instruction this is
    bytes: np.ndarray | None = None
    words: np.ndarray | None = None
    unpack: partial | None = None
    pack: partial | None = None
    reads: np.ndarray | None = None
    pad_value: int = 0
    weights: np.ndarray | None = None  # (taps * lanes, rows)
    bias: np.ndarray | None = None  # (rows,), like the next three
    left: np.ndarray | None = None
    skip_left: np.ndarray | None = None
    right: np.ndarray | None = None
    skips: np.ndarray | None = None  # (pixels,)
    offsets: tuple[int, int] | None = None  # of a product's factors, as they are stored
    factor: partial | None = None  # the activation in a sum
    skip_lanes: slice | None = None
    output_lanes: slice | None = None
    low: int = 0
    high: int = 0
    table: np.ndarray | None = None  # (entries, rows), by index; those below zero at the end
    cut_sum: partial | None = None
    cut: partial | None = None
    slice: partial | None = None


@dataclass(frozen=True, eq=False)
class FunctionalPlan:
    """Every instruction that moves features, in program order.

    Members
    -------
    writes : what the instructions of each tag write
    failure : why the program cannot go on after these steps, in one line; None if it can
    stopped : the layer of the instruction that cannot run
    """

    steps: tuple[FunctionalStep, ...]
    writes: Mapping[int, Sequence[Write]]
    failure: str | None = None
    stopped: str | None = None


def make_plan(image: Image) -> FunctionalPlan:
    """The plan of ``image``, up to an instruction that cannot run.

    Such a one reads what nothing wrote, waits for a token that never comes, or leaves a buffer or
    region; the plan's failure names it.
    """
    machine = Machine(image)
    steps: list[FunctionalStep] = []
    failure = stopped = None
    try:
        _plan(machine, image, steps)
    # What runs until then is worth comparing: the mistake may be in a layer before.
    except DeviceError as error:
        failure, stopped = str(error), machine.layer
    return FunctionalPlan(tuple(steps), machine.writes, failure, stopped)


def _plan(machine, image, steps):
    last = {i.tag: n for n, i in enumerate(image.program) if i.engine is Engine.COMPUTE}
    for index, instruction in enumerate(image.program):
        machine.begin(index, instruction)
        if isinstance(instruction, End):
            break
        machine.tokens(instruction)
        step = _PLANNERS[instruction.op](machine, instruction)
        if step is not None:
            done = instruction.tag if last.get(instruction.tag) == index else None
            known = done is not None and done < len(image.layers)
            steps.append(FunctionalStep(**{**vars(step), "finishes": done if known else None}))
    # A layer that no instruction computes would look like one of zeros.
    machine.all_written([layer.tag for layer in image.layers], last)


def _plan_load(machine: Machine, load: Transfer):
    if load.buffer is Buffer.FEATURES:
        return _plan_load_features(machine, load)
    machine.require(load.region is Region.IMAGE, "loads weights from no image")
    _KEEPERS[load.buffer](machine, load)
    return None


def _plan_load_features(machine, load):
    region = load.region
    machine.require(region in (Region.INPUT, Region.SCRATCH), "loads features from no input")
    chip, places = machine.transfer(load)
    machine.written[chip] = True
    if region is Region.SCRATCH:
        known = machine.scratch_written[_scratch_words(machine, places)]
        machine.require(known.any(1).all(), "loads words that nothing stored")
        machine.written[chip] = known
    unpacker = _unpacker(machine.config)
    return FunctionalStep(op=Op.LOAD, region=region, words=chip, bytes=places, unpack=unpacker)


def _scratch_words(machine, places):
    """Numbers of the feature words that begin at the bytes ``places``, in the scratch region."""
    return places[:, 0] // Buffer.FEATURES.word_bytes(machine.config)


def _unpacker(config):
    return partial(unpack, bits=config.activation_bits, count=config.lanes, signed=True)


def _load_weights(machine, load):
    config = machine.config
    chip, places = machine.transfer(load)
    count = config.rows * config.lanes
    raw = unpack(machine.payload[places], config.weight_bits, count, signed=False)
    # A table of all codes, as there are at most 65,536, and weights are many.
    every = range(1 << config.weight_bits)
    table = np.array([array_integer(code, config) for code in every], np.int64)
    machine.weights[chip] = table[raw].reshape(-1, config.rows, config.lanes)
    machine.weights_loaded[chip] = True


def _load_parameters(machine, load):
    config = machine.config
    chip, places = machine.transfer(load)
    layout = parameters(config)
    for address, place in zip(chip.tolist(), places, strict=True):
        word = int.from_bytes(machine.payload[place].tobytes(), "little")
        rows = [layout.decode(word >> (row * layout.bits)) for row in range(config.rows)]
        names = ("bias", "left", "skip_left", "right")
        machine.parameters[address] = np.array([[r[n] for r in rows] for n in names], np.int64)


def _load_tables(machine, load):
    config = machine.config
    chip, places = machine.transfer(load)
    raw = unpack(machine.payload[places], config.activation_bits, config.rows, signed=True)
    machine.tables[chip] = raw
    machine.tables_loaded[chip] = True


_KEEPERS = {
    Buffer.WEIGHTS: _load_weights,
    Buffer.PARAMETERS: _load_parameters,
    Buffer.TABLES: _load_tables,
}


def _plan_store(machine, store):
    config, region = machine.config, store.region
    machine.require(region in (Region.OUTPUT, Region.SCRATCH), "stores into no output")
    chip, places = machine.transfer(store)
    machine.require(machine.written[chip].any(1).all(), "stores words that nothing wrote")
    if region is Region.SCRATCH:
        machine.scratch_written[_scratch_words(machine, places)] = machine.written[chip]
    word_bytes = Buffer.FEATURES.word_bytes(config)
    packer = partial(pack, bits=config.activation_bits, word_bytes=word_bytes)
    return FunctionalStep(op=Op.STORE, region=region, words=chip, bytes=places, pack=packer)


def _reads(machine, tiles):
    """The words that are read, (pixels, taps); what lies outside is the padding word."""
    address, inside = access.reads(tiles)
    _, valid = access.writes(tiles)
    # The word behind the buffer's last one stands for padding.
    padded = np.where(inside, address, machine.config.feature_words)
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


def _plan_max_pool(machine, tiles):
    machine.order(tiles)
    reads, valid = _reads(machine, tiles)
    words = _writes(machine, tiles, valid)[0]
    lanes = _written(machine)[reads].all((0, 1))
    machine.require(lanes.any(), "reads words that nothing wrote")
    machine.written[words] = lanes
    machine.write(tiles.tag, words, slice(None))
    return FunctionalStep(op=Op.MAXPOOL, reads=reads, words=words, pad_value=tiles.pad_value)


def _plan_conv(machine, tiles):
    config = machine.config
    machine.order(tiles)
    reads, valid = _reads(machine, tiles)
    words = _writes(machine, tiles, valid)
    # Every term reads the same words, so that one matrix of whole weights does for all.
    reads = reads[:, : tiles.taps // tiles.terms]
    matrix = _weight_matrix(machine, tiles)
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
    return total.transpose(0, 2, 1)


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


_PLANNERS = {
    Op.LOAD: _plan_load,
    Op.STORE: _plan_store,
    Op.CONV: _plan_conv,
    Op.MAXPOOL: _plan_max_pool,
}
