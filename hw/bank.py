"""One bank of the feature buffer: a true dual-port memory of whole words, written by parts."""

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.ports import read_port


class Bank(wiring.Component):
    """Hold words that port A reads, and of which port B writes some parts or reads all.

    Data come two cycles after their address. A read sees the writes of earlier cycles. While it
    writes, port B also gives the word that it overwrites, because holding its output would take a
    register and a LUT per bit. There is one memory for each part, because block RAM has no write
    enable for an arbitrary number of bits.

    Parameters
    ----------
    words : int
    parts, part_bits : int
        Parts of a word, and width of one.

    Members
    -------
    row : In(range(words)), word : Out(parts * part_bits)
        Port A.
    port_row : In(range(words)), port_write : In(parts), port_data : In, port_word : Out
        Port B: ``port_write`` has a bit for each part that is written.
    """

    def __init__(self, *, words, parts, part_bits):
        self._words, self._parts, self._part_bits = words, parts, part_bits
        super().__init__(
            {
                "row": In(range(words)),
                "word": Out(parts * part_bits),
                "port_row": In(range(words)),
                "port_write": In(parts),
                "port_data": In(parts * part_bits),
                "port_word": Out(parts * part_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()

        for part in range(self._parts):
            bits = slice(part * self._part_bits, (part + 1) * self._part_bits)
            part_memory = memory.Memory(shape=unsigned(self._part_bits), depth=self._words, init=[])
            m.submodules[f"part_{part}"] = part_memory
            read, write, port_read = (
                part_memory.read_port(),
                part_memory.write_port(),
                read_port(part_memory, "port_read"),
            )
            m.d.comb += [
                read.addr.eq(self.row),
                read.en.eq(1),
                write.addr.eq(self.port_row),
                write.en.eq(self.port_write[part]),
                write.data.eq(self.port_data[bits]),
                port_read.addr.eq(self.port_row),
                port_read.en.eq(1),
            ]
            # A second register behind the memory is the block RAM's own output register.
            m.d.comb += [
                self.word[bits].eq(delay(m, read.data, 1, name=f"word_{part}")),
                self.port_word[bits].eq(delay(m, port_read.data, 1, name=f"port_word_{part}")),
            ]

        return m
