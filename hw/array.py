"""The array: rows of output channels by columns of pixels, operands moving one element a cycle."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.once import once
from hw.pe import Control, ProcessingElement

PE = "qnn_pe"  # the module that stands rows x columns times in the Verilog


class SvpeArray(wiring.Component):
    """``rows`` by ``columns`` processing elements.

    Element (r, c) works r + c cycles after element (0, 0): column c's word comes in c cycles
    after column 0's, row r's weights and control r cycles after row 0's.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    words : In(feature_bits).array(columns)
    weights : In(lanes * weight_bits).array(rows), controls : In(Control).array(rows)
    sums : Out(signed(accumulator_bits)).array(rows, columns)
        Of the newest finished tile, each until the next one's (see ``ProcessingElement``).
    """

    def __init__(self, config):
        self._config = config
        rows, columns = config.rows, config.columns
        super().__init__(
            {
                "words": In(config.feature_bits).array(columns),
                "weights": In(config.lanes * config.weight_bits).array(rows),
                "controls": In(Control).array(rows),
                "sums": Out(signed(config.accumulator_bits)).array(rows, columns),
            }
        )

    def elaborate(self, platform):
        m = Module()

        words = list(self.words)
        for row, sums in enumerate(self.sums):
            weights, control = self.weights[row], self.controls[row]
            for column, total in enumerate(sums):
                pe = once(m.submodules, f"pe_{row}_{column}", PE, ProcessingElement, self._config)
                m.d.comb += [
                    pe.activations.eq(words[column]),
                    pe.weights.eq(weights),
                    pe.control.eq(control),
                    total.eq(pe.sum),
                ]
                words[column] = pe.next_activations
                weights, control = pe.next_weights, pe.next_control

        return m
