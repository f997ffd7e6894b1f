"""The crossbar: requests of columns to banks, and words of banks back to the columns."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.columns import Request, bank_bits, row_bits
from hw.delay import delay
from hw.spec.timing import BANK_STAGES, router_stages

# Two inputs for each of three columns are the six of a LUT.
COLUMNS_AT_ONCE = 3  # a LUT6 takes a match and a bit of each
WORDS_AT_ONCE = 4  # a LUT6 picks one of four
ANY_AT_ONCE = 6  # or joins six
# Match the bank, join columns in threes, join the groups.
REQUEST_STAGES = 3


class Router(wiring.Component):
    """Give each bank the row of the one column that asks for it, and each column its bank's word.

    Rows leave ``REQUEST_STAGES`` cycles after the requests. Words must come in ``BANK_STAGES``
    cycles after the rows left, and leave ``router_stages`` cycles after that. Requests of one cycle
    that meet in a bank spoil each other: that there are none is the compiler's proof.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    requests : In(Request(config)).array(columns)
    pad_value : In(signed(activation_bits))
        What a column that does not read gets in every lane.
    rows : Out(row_bits(config)).array(banks)
    words : In(feature_bits).array(banks)
    column_words : Out(feature_bits).array(columns)
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "requests": In(Request(config)).array(config.columns),
                "pad_value": In(signed(config.activation_bits)),
                "rows": Out(row_bits(config)).array(config.banks),
                "words": In(config.feature_bits).array(config.banks),
                "column_words": Out(config.feature_bits).array(config.columns),
            }
        )

    def elaborate(self, platform):
        m = Module()

        for bank, row in enumerate(self.rows):
            self._row(m, bank, row)
        # The padding value takes as long as the words that it stands beside.
        pad_value = delay(m, self.pad_value, REQUEST_STAGES + BANK_STAGES, name="pad_value")
        for column, word in enumerate(self.column_words):
            m.d.comb += word.eq(self._word(m, column, pad_value))

        return m

    def _row(self, m, bank, row):
        """Compare with the bank's number, then join what matched in two stages of ors."""
        masked = []
        for column, request in enumerate(self.requests):
            match = Signal(name=f"match_{bank}_{column}")
            m.d.sync += match.eq(request.read & (request.bank == bank))
            late = delay(m, request.row, 1, name=f"row_{bank}_{column}")
            masked.append(Mux(match, late, 0))
        # An or, not a multiplexer: at most one column matches, and the rest are zeros.
        groups = []
        for n in range(0, len(masked), COLUMNS_AT_ONCE):
            group = Signal.like(row, name=f"group_{bank}_{n}")
            m.d.sync += group.eq(_any(masked[n : n + COLUMNS_AT_ONCE]))
            groups.append(group)
        m.d.sync += row.eq(_any(groups))

    def _word(self, m, column, pad_value):
        """Pick one of each four words, clear all but the wanted one, and or them with the padding.

        A register's reset clears a word without a LUT, whereas a multiplexer would take one.
        """
        config, request = self._config, self.requests[column]
        wait = REQUEST_STAGES + BANK_STAGES
        bank = delay(m, request.bank, wait, name=f"bank_{column}")
        read = delay(m, request.read, wait, name=f"read_{column}")
        split = min(WORDS_AT_ONCE.bit_length() - 1, bank_bits(config))

        padding = Signal(config.activation_bits, name=f"padding_{column}", reset_less=True)
        m.d.sync += padding.eq(Mux(read, 0, pad_value))
        values = []
        for n in range(0, config.banks, WORDS_AT_ONCE):
            four = Signal(config.feature_bits, name=f"four_{column}_{n}", reset_less=True)
            hit = read & (bank[split:] == n // WORDS_AT_ONCE)
            words = list(self.words)[n : n + WORDS_AT_ONCE]
            m.d.sync += four.eq(Mux(hit, Array(words)[bank[:split]], 0))
            values.append(four)
        values.append(padding.replicate(config.lanes))
        for stage in range(1, router_stages(config)):
            values = [
                self._joined(m, values[n : n + ANY_AT_ONCE], f"joined_{column}_{stage}_{n}")
                for n in range(0, len(values), ANY_AT_ONCE)
            ]
        return values[0]

    def _joined(self, m, values, name):
        joined = Signal.like(values[0], name=name, reset_less=True)
        m.d.sync += joined.eq(_any(values))
        return joined


def _any(values):
    """The bitwise or of ``values``."""
    total = values[0]
    for value in values[1:]:
        total = total | value
    return total
