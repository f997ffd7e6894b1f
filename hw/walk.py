"""The address generator of a transfer's buffer side: the address of each of its words."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import TRANSFER_STRUCT

_FIELDS = ("buffer", "address", "words", "rows", "address_step")

_ONES = ("one_word", "one_row")  # whether there is one, which is known before its turn
WALK = data.StructLayout(
    {name: TRANSFER_STRUCT[name].shape for name in _FIELDS} | dict.fromkeys(_ONES, 1)
)
PLACE = data.StructLayout(
    {
        "buffer": TRANSFER_STRUCT["buffer"].shape,
        "address": TRANSFER_STRUCT["address"].shape,
        "last": 1,  # of its transfer
    }
)


def walk_of(transfer):
    """The fields of a transfer that ``Walk`` needs, in a value of ``WALK``'s bits."""
    fields = [transfer[name] for name in _FIELDS]
    return Cat(*fields, transfer.words == 1, transfer.rows == 1)


class Walk(wiring.Component):
    """Give the place of each word of a transfer, one per cycle, without a gap between transfers.

    The first place is out one cycle after the transfer.

    Members
    -------
    i : In(stream.Signature(WALK))
    o : Out(stream.Signature(PLACE))
    """

    i: In(stream.Signature(WALK))
    o: Out(stream.Signature(PLACE))

    def elaborate(self, platform):
        m = Module()

        # Address of this row; words left in this row; rows left.
        current = Signal(WALK, reset_less=True)
        words = Signal.like(current.words, name="words", reset_less=True)  # of a row
        place = Signal.like(current.address, name="place", reset_less=True)
        # Each is known a cycle early, so that the way from the next transfer to here is short.
        row_ends, is_last_row = (
            Signal(name=name, reset_less=True) for name in ("row_ends", "is_last_row")
        )

        m.d.comb += [
            self.o.p.buffer.eq(current.buffer),
            self.o.p.address.eq(place),
            self.o.p.last.eq(row_ends & is_last_row),
            # The next transfer is taken with the last word of this one, so that no cycle is lost.
            self.i.ready.eq(~self.o.valid | (self.o.ready & self.o.p.last)),
        ]

        with m.If(self.o.ready):
            m.d.sync += [place.eq(place + 1), current.words.eq(current.words - 1)]
            m.d.sync += row_ends.eq(current.words == 2)
            with m.If(row_ends):
                next_row = (current.address + current.address_step)[: len(place)]  # wraps
                m.d.sync += [
                    place.eq(next_row),
                    current.address.eq(next_row),
                    current.words.eq(words),
                    current.rows.eq(current.rows - 1),
                    row_ends.eq(current.one_word),
                    is_last_row.eq(current.rows == 2),
                ]
        with m.If(self.i.ready):
            m.d.sync += [
                self.o.valid.eq(self.i.valid),
                current.eq(self.i.payload),
                words.eq(self.i.p.words),
                place.eq(self.i.p.address),
                row_ends.eq(self.i.p.one_word),
                is_last_row.eq(self.i.p.one_row),
            ]

        return m
