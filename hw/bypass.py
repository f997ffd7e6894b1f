"""The bypass: words that pass the array by, as residual (skip) operands or as maxima of pooling."""

from amaranth import *
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.maxima import MAXIMA, Maxima, pick_stages
from hw.once import once
from hw.ports import read_port
from hw.spec.timing import RESULT_STAGES, bypass_depth, hold_latency, write_latency
from hw.tiles import BypassRead

# The buffer's read, then the choice of lanes.
SKIP_STAGES = 2  # from the address of a skip operand to row 0's lane


class EdgeStep(data.Struct):
    """A step as the last column's word reaches the array's edge."""

    load: 1  # forget the maximum: the word alone counts
    last: 1  # of its tile


class Bypass(wiring.Component):
    """Keep each column's word of a tile's last step, or its maximum, until the epilogue's turn.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    step : In(EdgeStep), words : In(feature_bits).array(columns)
        Column c's word comes ``turns - 1 - c // epilogue_words`` cycles after its step.
    read : In(BypassRead)
        Elements in the order of ``Tiles``.
    skips : Out(signed(activation_bits)).array(epilogue_words, rows)
        Row r's operand of each column, ``SKIP_STAGES + RESULT_STAGES + r`` cycles after its
        element; 0 if the element has none.
    maxima : Out(feature_bits).array(epilogue_words)
        The words, ``write_latency - hold_latency + 1`` cycles after their element.
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "step": In(EdgeStep),
                "words": In(config.feature_bits).array(config.columns),
                "read": In(BypassRead),
                "skips": Out(signed(config.activation_bits)).array(
                    config.epilogue_words, config.rows
                ),
                "maxima": Out(config.feature_bits).array(config.epilogue_words),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        words = memory.Memory(
            shape=config.epilogue_words * config.feature_bits,
            depth=bypass_depth(config),
            init=[],
            attrs={"ram_style": "block"},  # LUTs are what a device runs out of
        )
        m.submodules.buffer = words
        write, skip, maximum = words.write_port(), words.read_port(), read_port(words, "maximum")

        self._write(m, write)
        # A ring: its depth is a power of two that covers all that can be under way.
        m.d.sync += write.addr.eq(write.addr + write.en)

        read = self.read
        # Turn n's words were written n-th from the end, since the last columns come first.
        start, address = Signal.like(write.addr), Signal.like(write.addr, name="address")
        m.d.sync += address.eq(start + (config.turns - 1) - read.turn)
        with m.If(read.valid & read.last):
            m.d.sync += start.eq(start + config.turns)
        late = write_latency(config) - hold_latency(config) - 1
        m.d.comb += [
            skip.addr.eq(delay(m, address, RESULT_STAGES - 1, name="skip_address")),
            skip.en.eq(1),
            maximum.addr.eq(delay(m, address, late, name="maximum_address")),
            maximum.en.eq(1),
        ]
        m.d.comb += [
            own.eq(maximum.data.word_select(n, config.feature_bits))
            for n, own in enumerate(self.maxima)
        ]
        self._give_skips(m, skip.data)

        return m

    def _write(self, m, write):
        """Turn after turn of the tile, the last first."""
        turns, words = self._config.turns, self._config.epilogue_words
        index, active = Signal(range(turns)), Signal(name="active")
        with m.If(self.step.last):
            m.d.sync += [active.eq(1), index.eq(0)]
        with m.Elif(index == turns - 1):
            m.d.sync += active.eq(0)
        with m.Else():
            m.d.sync += index.eq(index + 1)

        found = []
        for number in range(words):
            maxima = once(m.submodules, f"maxima_{number}", MAXIMA, Maxima, self._config)
            own = (self.words[n] for n in range(number, self._config.columns, words))
            m.d.comb += [maxima.load.eq(self.step.load), maxima.index.eq(index)]
            m.d.comb += [to.eq(word) for to, word in zip(maxima.words, own, strict=True)]
            found.append(maxima.o)
        wait = pick_stages(self._config)
        m.d.comb += [
            write.en.eq(delay(m, active, wait, name="active", reset_less=False)),
            write.data.eq(Cat(found)),
        ]

    def _give_skips(self, m, words):
        """Choose the group of lanes, and hand each row its own when its turn comes."""
        config = self._config
        wait = RESULT_STAGES + SKIP_STAGES - 1  # of the element's read, for the data
        skip = delay(m, self.read.skip, wait, name="skip")
        part = delay(m, self.read.part, wait, name="part")
        part_bits = config.rows * config.activation_bits
        for number, skips in enumerate(self.skips):
            word = words.word_select(number, config.feature_bits)
            parts = Array(word[n * part_bits : (n + 1) * part_bits] for n in range(config.parts))
            lanes = Signal(part_bits, name=f"lanes_{number}", reset_less=True)
            # Cleared, and not left out: an element without a skip adds zero in the same adder.
            m.d.sync += lanes.eq(Mux(skip, parts[part], 0))
            for row, lane in enumerate(skips):
                own = lanes.word_select(row, config.activation_bits)
                m.d.comb += lane.eq(delay(m, own, row, name=f"lane_{number}_{row}"))
