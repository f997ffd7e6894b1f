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
    write : of each word, its pixel lies inside the output
    final : it is the last of its instruction
    destination : where it is written
    """

    def __init__(self, config):
        super().__init__(
            {
                "write": Out(config.epilogue_words),
                "final": Out(1),
                "destination": Out(Destination(config)),
            }
        )


class Tables(wiring.Component):
    """Pass elements on in their cycle, or, with a table, ``TABLE_STAGES`` later with its entries.

    What comes in is out again in the same cycle if it has no table, so that it loses no cycle by
    those that have one. That the two do not meet is the fence's work (see ``hw.spec.timing``).

    Parameters
    ----------
    config : SvpeConfig, with tables

    Members
    -------
    i : In(Landing(config)), clamped : In(rows * clamp_bits).array(epilogue_words)
        The element, and for each word of it all rows' results side by side.
    o : Out(Landing(config)), results : Out(rows * activation_bits).array(epilogue_words)
    load : In(stream.Signature(table_write(config), always_ready=True))
    """

    def __init__(self, config):
        self._config, words = config, config.epilogue_words
        super().__init__(
            {
                "i": In(Landing(config)),
                "clamped": In(config.rows * config.clamp_bits).array(words),
                "o": Out(Landing(config)),
                "results": Out(config.rows * config.activation_bits).array(words),
                "load": In(stream.Signature(table_write(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        table, near = self.i.destination.table, ~self.i.destination.table
        # With a reset, unlike data: what was under way must not land in the next run.
        write, final, late = (
            delay(m, Mux(table, value, 0), TABLE_STAGES, name=name, reset_less=False)
            for name, value in (
                ("write", self.i.write),
                ("final", self.i.final),
                # An element that neither writes nor ends anything needs no place.
                ("late", self.i.write.any() | self.i.final),
            )
        )
        destination = delay(m, self.i.destination, TABLE_STAGES, name="destination")

        m.d.comb += [
            self.o.write.eq(write | Mux(near, self.i.write, 0)),
            self.o.final.eq(final | (self.i.final & near)),
            self.o.destination.eq(Mux(late, destination, self.i.destination)),
        ]
        # A register of its own splits the way from the load engine to all rows.
        loaded = delay(m, self.load.payload, 1, name="loaded")
        loads = delay(m, self.load.valid, 1, name="loads", reset_less=False)
        for number, results in enumerate(self.results):
            rows = self._rows(number)
            entries = self._entries(m, number, rows, loads, loaded)
            # The rows' results themselves fit an activation.
            plain = Cat(own[: self._config.activation_bits] for own in rows)
            m.d.comb += results.eq(Mux(late, entries, plain))

        return m

    def _rows(self, number):
        """The rows' results of one word."""
        config, clamped = self._config, self.clamped[number]
        return [clamped.word_select(row, config.clamp_bits) for row in range(config.rows)]

    def _entries(self, m, number, rows, loads, loaded):
        """The entry of each row of one word, ``TABLE_STAGES`` cycles later."""
        config = self._config
        shape = {"words": config.table_words, "bits": config.activation_bits}
        entries = []
        for row, own in enumerate(rows):
            # Each word has tables of its own, since a memory has one port to read beside the loads.
            name = f"row_{row}_{number}"
            words = once(m.submodules, name, "qnn_table", RowMemory, **shape)
            m.d.comb += [
                # The index is signed: those below zero lie in the upper half of the table.
                words.address.eq(Cat(own[: config.table_bits], self.i.destination.table_address)),
                words.load.eq(loads),
                words.load_address.eq(loaded.address),
                words.load_data.eq(loaded.data.word_select(row, config.activation_bits)),
            ]
            entries.append(words.data)
        return Cat(entries)
