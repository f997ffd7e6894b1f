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

    Weights enter at the last column and move towards column 0. Sums move in the same direction at
    half that speed, so that they come out in the order of the columns. Column c works
    ``columns - 1 - c`` cycles after the last column, and its words must come as late. Row r works r
    cycles after row 0, and its weights and control must come as late.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    words : In(feature_bits).array(columns)
    weights : In(lanes * weight_bits).array(rows), controls : In(Control).array(rows)
    sums : Out(signed(accumulator_bits)).array(rows)
        The sums of a tile, column after column. Tiles must end at least ``columns`` cycles apart.
    """

    def __init__(self, config):
        self._config = config
        rows, columns = config.rows, config.columns
        super().__init__(
            {
                "words": In(config.feature_bits).array(columns),
                "weights": In(config.lanes * config.weight_bits).array(rows),
                "controls": In(Control).array(rows),
                "sums": Out(signed(config.accumulator_bits)).array(rows),
            }
        )

    def elaborate(self, platform):
        m = Module()

        words, reset = list(self.words), ResetSignal()
        for row, total in enumerate(self.sums):
            # The reset moves from row to row as the words do, since one register for all would have
            # thousands of loads.
            reset = delay(m, reset, 1, name=f"reset_{row}")
            weights, control = self.weights[row], self.controls[row]
            # The chain of sums begins at the last column, where nothing comes in.
            passing = C(0, total.shape())
            # The last column comes first: weights and sums both move from it towards column 0.
            for column in reversed(range(self._config.columns)):
                name = f"pe_{row}_{column}"
                pe = once(m.submodules, name, PE, ProcessingElement, self._config, reset=reset)
                m.d.comb += [
                    pe.activations.eq(words[column]),
                    pe.weights.eq(weights),
                    pe.control.eq(control),
                    pe.passing.eq(passing),
                ]
                words[column] = pe.next_activations
                weights, control, passing = pe.next_weights, pe.next_control, pe.sum
            m.d.comb += total.eq(passing)

        return m
