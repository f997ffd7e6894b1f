"""Requests of columns to banks, and words of banks back to the columns."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.columns import Request, bank_bits, row_bits
from hw.delay import delay

COLUMNS_AT_ONCE = 3  # a LUT6 takes a match and a bit of each
WORDS_AT_ONCE = 4  # a LUT6 picks one of four
BANK_STAGES = 2  # a bank's memory and its output register
REQUEST_STAGES = 3
WORD_STAGES = 3


class Router(wiring.Component):
    """Give each bank the row of the one column that asks for it, and each column its bank's word.

    Rows leave ``REQUEST_STAGES`` cycles after the requests. Words must come in ``BANK_STAGES``
    cycles after the rows left, and leave ``WORD_STAGES`` cycles after that. Requests of one cycle
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
        pad_value = delay(m, self.pad_value, REQUEST_STAGES + BANK_STAGES + 2, name="pad_value")
        padding = pad_value.replicate(self._config.lanes)
        for column, word in enumerate(self.column_words):
            m.d.sync += word.eq(self._word(m, column, padding))

        return m

    def _row(self, m, bank, row):
        """Match the bank's number; then an or of what matched, in two stages."""
        masked = []
        for column, request in enumerate(self.requests):
            match = Signal(name=f"match_{bank}_{column}")
            m.d.sync += match.eq(request.read & (request.bank == bank))
            late = delay(m, request.row, 1, name=f"row_{bank}_{column}")
            masked.append(Mux(match, late, 0))
        groups = []
        for n in range(0, len(masked), COLUMNS_AT_ONCE):
            group = Signal.like(row, name=f"group_{bank}_{n}")
            m.d.sync += group.eq(_any(masked[n : n + COLUMNS_AT_ONCE]))
            groups.append(group)
        m.d.sync += row.eq(_any(groups))

    def _word(self, m, column, padding):
        """Four words to one by the low bits of the bank, then the rest, then the padding."""
        request = self.requests[column]
        read = delay(m, request.read, REQUEST_STAGES + BANK_STAGES + 2, name=f"read_{column}")
        bank = delay(m, request.bank, REQUEST_STAGES + BANK_STAGES, name=f"bank_{column}")
        split = min(WORDS_AT_ONCE.bit_length() - 1, bank_bits(self._config))
        coarse = delay(m, bank[split:], 1, name=f"coarse_{column}")
        fours = []
        for n in range(0, self._config.banks, WORDS_AT_ONCE):
            four = Signal(self._config.feature_bits, name=f"four_{column}_{n}", reset_less=True)
            words = list(self.words)[n : n + WORDS_AT_ONCE]
            m.d.sync += four.eq(_pick(words, bank[:split]))
            fours.append(four)
        word = Signal(self._config.feature_bits, name=f"word_{column}", reset_less=True)
        m.d.sync += word.eq(_pick(fours, coarse))
        return Mux(read, word, padding)


def _any(values):
    """The or of ``values``, bit by bit."""
    total = values[0]
    for value in values[1:]:
        total = total | value
    return total


def _pick(words, index):
    return words[0] if len(words) == 1 else Array(words)[index]
