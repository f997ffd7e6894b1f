"""Amaranth layouts of the words that ``hw.spec`` declares."""

from amaranth import *
from amaranth.lib import data

from hw.spec.isa.buffers import Buffer
from hw.spec.isa.encoding import TILES, TRANSFER


def struct(layout):
    """The ``data.StructLayout`` of a ``hw.spec.isa.fields.Layout``: same fields, same bits."""
    return data.StructLayout(
        {f.name: signed(f.bits) if f.signed else unsigned(f.bits) for f in layout.fields}
    )


TRANSFER_STRUCT = struct(TRANSFER)
TILES_STRUCT = struct(TILES)


def feature_write(config):
    """One word on its way into the feature buffer."""
    return _write(TILES_STRUCT["input_address"], Buffer.FEATURES.word_bits(config))


def weight_write(config):
    """One word on its way into the weight buffer."""
    return _write(TILES_STRUCT["weight_address"], Buffer.WEIGHTS.word_bits(config))


def parameter_write(config):
    """One word on its way into the parameter buffer."""
    return _write(TILES_STRUCT["parameter_address"], Buffer.PARAMETERS.word_bits(config))


def table_write(config):
    """One word on its way into the rows' tables."""
    return _write(TRANSFER_STRUCT["address"], Buffer.TABLES.word_bits(config))


def _write(address, data_bits):
    return data.StructLayout({"address": address.shape, "data": data_bits})
