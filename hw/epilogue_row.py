"""The epilogue of one row: from a column's sum to the value that is stored."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.element import Element
from hw.layouts import struct
from hw.row_memory import ROW_MEMORY_STAGES, RowMemory
from hw.shifter import SHIFT_STAGES, shift_left, shift_right
from hw.spec.instructions import parameters
from hw.spec.timing import EPILOGUE_STAGES, result_stages

COLUMNS_AT_ONCE = 4  # a LUT6 picks one of four
ADD_STAGES = 2
CLAMP_STAGES = 2
assert EPILOGUE_STAGES == 2 * SHIFT_STAGES + ADD_STAGES + CLAMP_STAGES


class EpilogueRow(wiring.Component):
    """``v = (sum << left) + bias + (skip << skip_left)``, then ``clamp(v >> right, low, high)``.

    A raw element gives ``activation_bits`` of ``v`` from bit ``slice_shift`` on instead. The
    element is out one cycle later, for the next row; a column's sum is looked at
    ``ROW_MEMORY_STAGES`` cycles after the element came in, one more for the columns from 4 on of
    their fours; the skip operand must come ``1 + ROW_MEMORY_STAGES`` cycles after the element, one
    more if there are over four columns; and the result is out ``EPILOGUE_STAGES`` cycles after it.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    element : In(Element), next_element : Out(Element)
    sums : In(signed(accumulator_bits)).array(columns)
    skip : In(signed(activation_bits)), 0 if there is none
    load : In(1), load_address : In(range(parameter_words)), load_data : In(parameter_bits)
        One channel's ``hw.spec.instructions.parameters``.
    result : Out(activation_bits)
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "element": In(Element),
                "next_element": Out(Element),
                "sums": In(signed(config.accumulator_bits)).array(config.columns),
                "skip": In(signed(config.activation_bits)),
                "load": In(1),
                "load_address": In(range(config.parameter_words)),
                "load_data": In(config.parameter_bits),
                "result": Out(config.activation_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        element = delay(m, self.element, 1, name="element")
        m.submodules.parameters = memory = RowMemory(
            words=config.parameter_words, bits=config.parameter_bits
        )
        m.d.comb += [
            self.next_element.eq(element),
            memory.address.eq(element.parameter_address),
            memory.load.eq(self.load),
            memory.load_address.eq(self.load_address),
            memory.load_data.eq(self.load_data),
        ]

        # Stages are counted from the cycle in which the chosen sum is there.
        ready = result_stages(config) - 1
        layout = struct(parameters(config))
        fields = layout(delay(m, memory.data, ready, name="parameters"))
        late = delay(m, element, ROW_MEMORY_STAGES + ready, name="late")
        right = Mux(late.raw, late.slice_shift, fields.right)

        column = delay(m, element.column, ROW_MEMORY_STAGES - 1, name="column")
        scaled = shift_left(m, self._pick_sum(m, column), fields.left, name="scaled")
        skip = Signal.like(fields.bias, name="skip_wide")
        m.d.comb += skip.eq(self.skip)
        skip = shift_left(m, skip, fields.skip_left, name="skip")
        total = self._add(m, scaled, delay(m, fields.bias, SHIFT_STAGES, name="bias"), skip)
        right = delay(m, right, SHIFT_STAGES + ADD_STAGES, name="right")
        value = shift_right(m, total, right, name="value")
        self._clamp(m, value, delay(m, late, 2 * SHIFT_STAGES + ADD_STAGES, name="clamp"))

        return m

    def _pick_sum(self, m, column):
        """Four columns to one, then the rest."""
        sums = list(self.sums)
        for stage in range(result_stages(self._config)):
            low = column[: COLUMNS_AT_ONCE.bit_length() - 1]
            picked = []
            for n in range(0, len(sums), COLUMNS_AT_ONCE):
                one = Signal.like(sums[0], name=f"sum_{stage}_{n}", reset_less=True)
                m.d.sync += one.eq(Array(sums[n : n + COLUMNS_AT_ONCE])[low])
                picked.append(one)
            sums = picked
            column = delay(m, column[len(low) :], 1, name=f"column_{stage}")
        return sums[0]

    def _add(self, m, scaled, bias, skip):
        """The sum of three, in two stages; it wraps, and the compiler proves that it cannot."""
        biased = Signal.like(bias, name="biased", reset_less=True)
        total = Signal.like(bias, name="total", reset_less=True)
        m.d.sync += [
            biased.eq(scaled + bias),
            total.eq(biased + delay(m, skip, 1, name="skip_late")),
        ]
        return total

    def _clamp(self, m, value, element):
        """Compare, then choose."""
        below, above = Signal(reset_less=True), Signal(reset_less=True)
        m.d.sync += [
            below.eq(~element.raw & (value < element.low)),
            above.eq(~element.raw & (value > element.high)),
        ]
        bits = self._config.activation_bits
        kept, low, high = (
            delay(m, signal[:bits], 1, name=name)
            for signal, name in ((value, "kept"), (element.low, "low"), (element.high, "high"))
        )
        m.d.sync += self.result.eq(Mux(below, low, Mux(above, high, kept)))
