"""Transfers of a program, planned once: which bytes of memory go to which words of a buffer."""

from functools import partial

import numpy as np

from hw.spec.isa.array_codes import array_integer
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from hw.spec.isa.packing import pack, unpack
from hw.spec.isa.parameters import parameters
from hw.spec.isa.transfer import Transfer
from sim.functional_step import FunctionalStep
from sim.machine import Machine


def plan_load(machine: Machine, load: Transfer) -> FunctionalStep | None:
    """The step of a load of features; weights, parameters and tables ``machine`` keeps at once.

    Raises
    ------
    DeviceError
        The load reads outside a region or buffer, or what nothing stored.
    """
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


def plan_store(machine: Machine, store: Transfer) -> FunctionalStep:
    """The step of a store.

    Raises
    ------
    DeviceError
        The store leaves a region or buffer, or stores what nothing wrote.
    """
    config, region = machine.config, store.region
    machine.require(region in (Region.OUTPUT, Region.SCRATCH), "stores into no output")
    chip, places = machine.transfer(store)
    machine.require(machine.written[chip].any(1).all(), "stores words that nothing wrote")
    if region is Region.SCRATCH:
        machine.scratch_written[_scratch_words(machine, places)] = machine.written[chip]
    word_bytes = Buffer.FEATURES.word_bytes(config)
    packer = partial(pack, bits=config.activation_bits, word_bytes=word_bytes)
    return FunctionalStep(op=Op.STORE, region=region, words=chip, bytes=places, pack=packer)
