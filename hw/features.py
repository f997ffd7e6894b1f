"""The feature buffer: banks that the array reads, and their second port for everything else."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bank import Bank
from hw.columns import bank_bits, row_bits
from hw.delay import delay, register
from hw.layouts import TILES_STRUCT, feature_write
from hw.once import once
from hw.spec.config import ADDRESS_BITS
from hw.spec.timing import BANK_STAGES, REQUEST_STAGES, STORE_LATENCY

# A LUT6 has room for four words' bits and two bits that choose.
FOUR = 4  # words that a LUT6 picks from


class Write(data.StructLayout):
    """Results to write: the ``rows`` lanes of ``part`` of each valid word, or all of its lanes.

    No two valid words have one side.
    """

    def __init__(self, config):
        words = config.epilogue_words
        super().__init__(
            {
                "valid": words,
                "addresses": data.ArrayLayout(ADDRESS_BITS, words),
                "part": TILES_STRUCT["output_part"].shape,
                "all": 1,
                # Of each side, which valid word lies on it.
                "sides": data.ArrayLayout(words, config.sides),
                # A part's lanes stand in every part.
                "data": data.ArrayLayout(config.feature_bits, words),
            }
        )


class Features(wiring.Component):
    """``feature_words`` words; word w lies in bank w % banks, and on side w % sides.

    Each side has one word of data for the ports of its banks. With one for all banks a load would
    wait for every result; with one for each bank there would be a multiplexer a bank.

    On one side, a result and a loaded word must not come in one cycle; in one bank, both go before
    reads of the store engine. Two runs of consecutive words that meet once are on different sides
    from the next cycle on. A result or a loaded word that comes in cycle t is in memory from cycle
    t + 2 on, and a row that is given in that cycle reads it.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    rows : In(row_bits(config)).array(banks), words : Out(feature_bits).array(banks)
        The array's reads, two cycles from row to word.
    write : In(Write(config))
        The epilogue's results; they never wait.
    load : In(stream.Signature(feature_write(config), always_ready=True))
    store_request : In(stream.Signature(ADDRESS_BITS)), of a word
    store_valid : Out(1), store_data : Out(feature_bits)
        The word, ``STORE_LATENCY - REQUEST_STAGES`` cycles after its request was accepted.
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "rows": In(row_bits(config)).array(config.banks),
                "words": Out(config.feature_bits).array(config.banks),
                "write": In(Write(config)),
                "load": In(stream.Signature(feature_write(config), always_ready=True)),
                "store_request": In(stream.Signature(ADDRESS_BITS)),
                "store_valid": Out(1),
                "store_data": Out(config.feature_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        write, load, store = self.write, self.load, self.store_request
        data = self._port_data(m)

        stored_words = []
        for number, (row, word) in enumerate(zip(self.rows, self.words, strict=True)):
            bank = self._bank(m, number)
            self._schedule(m, number, bank)
            m.d.comb += [
                bank.row.eq(row),
                word.eq(bank.word),
                bank.port_data.eq(data[number % self._config.sides]),
            ]
            stored_words.append(bank.port_word)

        results = [*zip(write.valid, write.addresses, strict=True)]
        others = [*results, (load.valid, load.p.address)]
        # Results never wait, since the array behind them cannot stall, and loads have waited.
        meets = (self._meet(*each, store.payload) for each in others)
        m.d.comb += store.ready.eq(~Cat(meets).any())
        self._give(m, stored_words)

        return m

    def _bank(self, m, number):
        config = self._config
        return once(
            m.submodules,
            f"bank_{number}",
            "qnn_feature_bank",
            Bank,
            words=config.feature_words // config.banks,
            parts=config.parts,
            part_bits=config.rows * config.activation_bits,
        )

    def _split(self, address):
        """Bank, and row in it."""
        low = bank_bits(self._config)
        return address[:low], address[low : low + row_bits(self._config)]

    def _port_data(self, m):
        """The result of each side, or else the loaded word, in registers near to its banks."""
        words = []
        for side, valid in enumerate(self.write.sides):
            word = self.load.p.data
            for own, result in zip(valid, self.write.data, strict=True):
                word = Mux(own, result, word)
            words.append(delay(m, word, 1, name=f"port_data_{side}"))
        return words

    def _meet(self, valid, one, other):
        """Whether two addresses lie in one bank."""
        return valid & (self._split(one)[0] == self._split(other)[0])

    def _schedule(self, m, number, bank):
        """Registers of what port B of a bank does next."""
        write, load = self.write, self.load
        index, loaded_row = self._split(load.p.address)
        is_load = load.valid & (index == number)
        _, stored_row = self._split(self.store_request.payload)
        row, hits = Mux(is_load, loaded_row, stored_row), []
        for valid, address in zip(write.valid, write.addresses, strict=True):
            index, written_row = self._split(address)
            hits.append(valid & (index == number))
            row = Mux(hits[-1], written_row, row)
        parts = Mux(write.all, -1, 1 << write.part)[: self._config.parts]
        port_row = register(m, bank.port_row, name=f"port_row_{number}")
        m.d.sync += [
            port_row.eq(row),
            bank.port_write.eq(Mux(Cat(hits).any(), parts, is_load.replicate(self._config.parts))),
        ]

    def _give(self, m, words):
        """Pick the stored word, in two stages after the bank's."""
        store = self.store_request
        taken, wait = store.valid & store.ready, STORE_LATENCY - REQUEST_STAGES
        accepted = delay(m, taken, wait, name="stored", reset_less=False)
        # The bank's number arrives with its word: one cycle of schedule, then the bank's stages.
        early = delay(m, self._split(store.payload)[0], BANK_STAGES, name="early")
        index = delay(m, early, 1, name="index")
        fours = []
        for n in range(0, len(words), FOUR):
            # Each four has a choice of its own, as one register for all would have many loads.
            own = Mux(early[2:] == n // FOUR, early[:2], 0)
            choice = delay(m, own, 1, name=f"choice_{n}")
            four = Signal(self._config.feature_bits, name=f"four_{n}", reset_less=True)
            m.d.sync += four.eq(Array(words[n : n + FOUR])[choice])
            fours.append(four)
        rest = delay(m, index[2:], 1, name="rest")
        m.d.comb += self.store_data.eq(delay(m, Array(fours)[rest], 1, name="store_data"))
        m.d.comb += self.store_valid.eq(accepted)
