"""The array: rows of output channels by columns of pixels, operands move one element per cycle."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.once import once
from hw.pe import Control, ProcessingElement

# One module text for all elements: files and synthesis do not grow with the array.
PE = "qnn_pe"  # the module that stands rows x columns times in the Verilog


class SvpeArray(wiring.Component):
    """``rows`` by ``columns`` processing elements.

    Columns stand in ``epilogue_words`` chains, of which chain n has the columns n, n +
    ``epilogue_words`` and so on. Weights enter each chain at its last column and move towards its
    first. Sums move in the same direction at half that speed, so that they come out in the order of
    the columns, of all chains at a time. Place p of a chain, which is column c at p = c //
    ``epilogue_words``, works ``turns - 1 - p`` cycles after the last place, and its words must come
    as late. Row r works r cycles after row 0, and its weights and control must come as late.

    With ``beside``, row r of column c takes lane r of the words of the next ``neighbours`` columns
    in place of its lanes r - 1, r - 2 and so on, which no row behind it needs.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    words : In(feature_bits).array(columns)
    beside : In(1)
        In the cycle of the last columns' words.
    weights : In(lanes * weight_bits).array(rows), controls : In(Control).array(rows)
    sums : Out(signed(accumulator_bits)).array(epilogue_words, rows)
        The sums of a tile from each chain, column after column. Tiles must end at least ``turns``
        cycles apart.
    """

    def __init__(self, config):
        self._config = config
        rows, columns = config.rows, config.columns
        super().__init__(
            {
                "words": In(config.feature_bits).array(columns),
                "beside": In(1),
                "weights": In(config.lanes * config.weight_bits).array(rows),
                "controls": In(Control).array(rows),
                "sums": Out(signed(config.accumulator_bits)).array(config.epilogue_words, rows),
            }
        )

    def elaborate(self, platform):
        m = Module()

        words, beside, reset = list(self.words), self.beside, ResetSignal()
        for row in range(self._config.rows):
            # The reset moves from row to row as the words do, since one register for all would have
            # thousands of loads.
            reset = delay(m, reset, 1, name=f"reset_{row}")
            elements = [
                self._element(m, f"pe_{row}_{column}", reset)
                for column in range(self._config.columns)
            ]
            for number, sums in enumerate(self.sums):
                chain = elements[number :: self._config.epilogue_words]
                m.d.comb += sums[row].eq(self._chain(m, row, chain))
            after = [pe.next_activations for pe in elements]
            taken = words
            if self._config.neighbours:
                taken = self._beside(m, row, words, after, beside)
                after = self._needed(m, row, words, after)
                beside = delay(m, beside, 1, name=f"beside_{row}")
            m.d.comb += [pe.activations.eq(own) for pe, own in zip(elements, taken, strict=True)]
            words = after

        return m

    def _element(self, m, name, reset):
        return once(m.submodules, name, PE, ProcessingElement, self._config, reset=reset)

    def _chain(self, m, row, elements):
        """The sum of a row's chain."""
        weights, control = self.weights[row], self.controls[row]
        # The chain of sums begins at the last column, where nothing comes in.
        passing = C(0, signed(self._config.accumulator_bits))
        # The last column comes first: weights and sums both move from it towards the first.
        for pe in reversed(elements):
            m.d.comb += [
                pe.weights.eq(weights),
                pe.control.eq(control),
                pe.passing.eq(passing),
            ]
            weights, control, passing = pe.next_weights, pe.next_control, pe.sum
        return passing

    def _beside(self, m, row, words, after, beside):
        """The words of a row, with the values of neighbours in them where ``beside``.

        ``after`` are the words a cycle later: those of a later place come so much earlier.
        """
        config, taken = self._config, []
        together = config.epilogue_words
        for column in reversed(range(config.columns)):
            place = column // together
            lanes = self._lanes(words[column])
            for n in range(1, config.neighbours + 1):
                # The last columns have fewer neighbours, and their results are not written.
                if column + n < config.columns:
                    other = words if (column + n) // together == place else after
                    value = self._lanes(other[column + n])[row]
                    lanes[row - n] = Mux(beside, value, lanes[row - n])
            taken.insert(0, Cat(lanes))
            if column % together == 0 and column:
                beside = delay(m, beside, 1, name=f"beside_{row}_{place}")
        return taken

    def _needed(self, m, row, words, after):
        """The words for the next row: lanes that the row took others for, and that are needed."""
        needed = []
        for column, (word, late) in enumerate(zip(words, after, strict=True)):
            lanes, own = self._lanes(late), self._lanes(word)
            for n in range(1, self._config.neighbours + 1):
                lane = (row - n) % len(lanes)
                if lane > row:
                    lanes[lane] = delay(m, own[lane], 1, name=f"lane_{row}_{column}_{lane}")
            needed.append(Cat(lanes))
        return needed

    def _lanes(self, word):
        bits = self._config.activation_bits
        return [word.word_select(lane, bits) for lane in range(self._config.lanes)]
