"""The crossbar: requests of columns to banks, and words of banks back to the columns."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.columns import Request, row_bits
from hw.delay import delay
from hw.once import once
from hw.pick import PICK, Pick, any_of
from hw.spec.timing import BANK_STAGES

# Two inputs for each of three columns are the six of a LUT.
COLUMNS_AT_ONCE = 3  # a LUT6 takes a match and a bit of each
# Match the bank, join columns in threes, join the groups.
REQUEST_STAGES = 3


class Crossbar(wiring.Component):
    """Give each bank the row of the one column that asks for it, and each column its bank's word.

    Rows leave ``REQUEST_STAGES`` cycles after the requests. Words must come in ``BANK_STAGES``
    cycles after the rows left, and leave ``crossbar_stages`` cycles after that. Requests of one
    cycle that meet in a bank spoil each other: that there are none is the compiler's proof.

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
        for column, request in enumerate(self.requests):
            self._word(m, column, request, pad_value)

        return m

    def _row(self, m, bank, row):
        """Compare with the bank's number, then join what matched in two stages of ors."""
        masked = []
        for column, request in enumerate(self.requests):
            own = request.read & (request.bank == bank)
            match = delay(m, own, 1, name=f"match_{bank}_{column}")
            late = delay(m, request.row, 1, name=f"row_{bank}_{column}")
            masked.append(Mux(match, late, 0))
        # An or, not a multiplexer: at most one column matches, and the rest are zeros.
        groups = []
        for n in range(0, len(masked), COLUMNS_AT_ONCE):
            some = any_of(masked[n : n + COLUMNS_AT_ONCE])
            groups.append(delay(m, some, 1, name=f"group_{bank}_{n}"))
        m.d.comb += row.eq(delay(m, any_of(groups), 1, name=f"bank_row_{bank}"))

    def _word(self, m, column, request, pad_value):
        """Bring a column's request to the cycle in which its bank's word is there."""
        wait = REQUEST_STAGES + BANK_STAGES
        pick = once(m.submodules, f"pick_{column}", PICK, Pick, self._config)
        m.d.comb += [
            pick.read.eq(delay(m, request.read, wait, name=f"read_{column}")),
            pick.bank.eq(delay(m, request.bank, wait, name=f"bank_{column}")),
            pick.pad_value.eq(pad_value),
            self.column_words[column].eq(pick.o),
        ]
        m.d.comb += [own.eq(word) for own, word in zip(pick.words, self.words, strict=True)]
