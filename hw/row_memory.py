"""A memory of one row of the array: weights or parameters."""

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.ports import write_port

ROW_MEMORY_STAGES = 2  # the memory and its output register


class RowMemory(wiring.Component):
    """A simple dual-port memory; data come ``ROW_MEMORY_STAGES`` cycles after their address.

    A read sees the loads of all cycles but the one before it and its own.

    Parameters
    ----------
    words, bits : int

    Members
    -------
    address : In(range(words)), data : Out(bits)
    load : In(1), load_address : In(range(words)), load_data : In(bits)
    """

    def __init__(self, *, words, bits):
        self._words, self._bits = words, bits
        super().__init__(
            {
                "address": In(range(words)),
                "data": Out(bits),
                "load": In(1),
                "load_address": In(range(words)),
                "load_data": In(bits),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.words = words = memory.Memory(
            shape=unsigned(self._bits), depth=self._words, init=[]
        )
        read, write = words.read_port(), write_port(words, "write")

        m.d.comb += [
            read.addr.eq(self.address),
            read.en.eq(1),
            # Each row has registers of its own, since it is far from what they come from.
            write.addr.eq(delay(m, self.load_address, 1, name="loads_at")),
            write.en.eq(delay(m, self.load, 1, name="loads")),
            write.data.eq(delay(m, self.load_data, 1, name="loaded")),
        ]
        # The second stage is the output register that block RAM has.
        m.d.comb += self.data.eq(delay(m, read.data, 1, name="data"))

        return m
