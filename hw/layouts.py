"""Amaranth layouts of the words that ``hw.spec`` declares."""

from amaranth import *
from amaranth.lib import data

from hw.spec.config import ADDRESS_BITS
from hw.spec.instructions import TRANSFER


def struct(layout):
    """The ``data.StructLayout`` of a ``hw.spec.layout.Layout``: same fields, same bits."""
    return data.StructLayout(
        {f.name: signed(f.bits) if f.signed else unsigned(f.bits) for f in layout.fields}
    )


def buffer_word(data_bits, address_bits=ADDRESS_BITS):
    """One word on its way into an on-chip buffer."""
    return data.StructLayout({"address": address_bits, "data": data_bits})


TRANSFER_STRUCT = struct(TRANSFER)
