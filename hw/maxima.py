"""Maxima of a tile's steps: each lane's, column by column."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.circuits import Words
from hw.delay import delay

MAXIMA = "qnn_maxima"  # the module that stands once in the Verilog


def pick_stages(config):
    """Cycles from an index to its column's word: what a LUT picks, or a slice and a register."""
    return 1 if config.turns <= 4 else 2


class Maxima(wiring.Component):
    """Keep the maximum of every lane of a chain's columns, and give the one that ``index`` names.

    All registers are without a reset, and no result depends on what was before a ``load``. The
    platform may have ``circuits`` of its own, such as ``hw.mapped.Mapped``.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    words : In(feature_bits).array(turns)
        One for each column of a chain of the array.
    load : In(1)
        Forget the maximum, the word alone counts: for the last column now, and for each column
        before it a cycle later than for the next.
    index : In(range(turns)), o : Out(feature_bits)
        The maximum of column ``turns - 1 - index`` of the chain, ``pick_stages`` cycles later.
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "words": In(config.feature_bits).array(config.turns),
                "load": In(1),
                "index": In(range(config.turns)),
                "o": Out(config.feature_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        circuits = getattr(platform, "circuits", Words)(m)

        load, maxima = self.load, []
        for column, word in enumerate(reversed(self.words)):
            maxima.append(self._maximum(m, circuits, column, word, load))
            load = delay(m, load, 1, name=f"load_{column}")
        picked = Signal(self._config.feature_bits, reset_less=True)
        m.d.sync += picked.eq(circuits.pick(maxima, self.index))
        m.d.comb += self.o.eq(delay(m, picked, pick_stages(self._config) - 1, name="o"))

        return m

    def _maximum(self, m, circuits, column, word, load):
        """Running maximum of each lane."""
        bits = self._config.activation_bits
        best = Signal.like(word, name=f"best_{column}", reset_less=True)
        for lane in range(self._config.lanes):
            old, new = (value.word_select(lane, bits).as_signed() for value in (best, word))
            with m.If(circuits.exceeds(new, old, load)):
                m.d.sync += best.word_select(lane, bits).eq(new)
        return best
