"""Tables: an element's results, or the entries of its rows' tables that they are the indices of."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.element import Destination
from hw.layouts import table_write
from hw.once import once
from hw.row_memory import ROW_MEMORY_STAGES, RowMemory
from hw.spec.timing import TABLE_STAGES

assert TABLE_STAGES == ROW_MEMORY_STAGES


class Landing(wiring.Signature):
    """An element whose results are there: whether they are written, where, and if it is the last.

    Members
    -------
    write : its pixel lies inside the output
    final : it is the last of its instruction
    destination : where it is written
    """

    def __init__(self):
        super().__init__({"write": Out(1), "final": Out(1), "destination": Out(Destination)})


class Tables(wiring.Component):
    """Pass elements on in their cycle, or, with a table, ``TABLE_STAGES`` later with its entries.

    What comes in is out again in the same cycle if it has no table, so that it loses no cycle by
    those that have one. That the two do not meet is the fence's work (see ``hw.spec.timing``).

    Parameters
    ----------
    config : SvpeConfig, with tables

    Members
    -------
    i : In(Landing), clamped : In(rows * clamp_bits)
        The element, and all rows' results side by side.
    o : Out(Landing), results : Out(rows * activation_bits)
    load : In(stream.Signature(table_write(config))), always ready
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "i": In(Landing()),
                "clamped": In(config.rows * config.clamp_bits),
                "o": Out(Landing()),
                "results": Out(config.rows * config.activation_bits),
                "load": In(stream.Signature(table_write(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        table, near = self.i.destination.table, ~self.i.destination.table
        # With a reset, unlike data: what was under way must not land in the next run.
        write, final, late = (
            delay(m, value & table, TABLE_STAGES, name=name, reset_less=False)
            for name, value in (
                ("write", self.i.write),
                ("final", self.i.final),
                # An element that neither writes nor ends anything needs no place.
                ("late", self.i.write | self.i.final),
            )
        )
        destination = delay(m, self.i.destination, TABLE_STAGES, name="destination")

        m.d.comb += [
            self.o.write.eq(write | (self.i.write & near)),
            self.o.final.eq(final | (self.i.final & near)),
            self.o.destination.eq(Mux(late, destination, self.i.destination)),
            self.results.eq(Mux(late, self._entries(m), self._results())),
            self.load.ready.eq(1),
        ]

        return m

    def _rows(self):
        config = self._config
        return [self.clamped.word_select(row, config.clamp_bits) for row in range(config.rows)]

    def _results(self):
        """The rows' results themselves, which fit an activation."""
        return Cat(own[: self._config.activation_bits] for own in self._rows())

    def _entries(self, m):
        """The entry of each row, ``TABLE_STAGES`` cycles later."""
        config = self._config
        # A register of its own splits the way from the load engine to all rows.
        loaded = delay(m, self.load.payload, 1, name="loaded")
        loads = delay(m, self.load.valid, 1, name="loads", reset_less=False)
        shape = {"words": config.table_words, "bits": config.activation_bits}
        entries = []
        for row, own in enumerate(self._rows()):
            words = once(m.submodules, f"row_{row}", "qnn_table", RowMemory, **shape)
            m.d.comb += [
                # The index is signed: those below zero lie in the upper half of the table.
                words.address.eq(Cat(own[: config.table_bits], self.i.destination.table_address)),
                words.load.eq(loads),
                words.load_address.eq(loaded.address),
                words.load_data.eq(loaded.data.word_select(row, config.activation_bits)),
            ]
            entries.append(words.data)
        return Cat(entries)
