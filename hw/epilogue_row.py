"""The epilogue of one row: from a column's sum to the value that is stored."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.element import Element, Limits
from hw.layouts import struct
from hw.row_memory import ROW_MEMORY_STAGES, RowMemory
from hw.shifter import LEFT_STAGES, RIGHT_STAGES, shift_left, shift_right
from hw.spec.instructions import parameters
from hw.spec.timing import EPILOGUE_STAGES, result_stages

COLUMNS_AT_ONCE = 4  # a LUT6 picks one of four
ADD_STAGES = 2
LIMIT_STAGES = 3
LIMITS_LEAD = LEFT_STAGES + ADD_STAGES + RIGHT_STAGES  # from a sum to the limits that it needs
assert EPILOGUE_STAGES == LIMITS_LEAD + LIMIT_STAGES


class EpilogueRow(wiring.Component):
    """``v = (sum << left) + bias + (skip << skip_left)``, then ``clamp(v >> right, low, high)``.

    A raw element gives ``activation_bits`` of ``v`` from bit ``slice_shift`` on instead. Element
    and limits are out one cycle later, for the next row; a column's sum is looked at
    ``ROW_MEMORY_STAGES`` cycles after the element came in, one more for the columns from 4 on of
    their fours; the skip operand must come ``1 + ROW_MEMORY_STAGES`` cycles after the element, one
    more if there are over four columns; the limits ``LIMITS_LEAD - 1`` cycles after that; and the
    result is out ``EPILOGUE_STAGES`` cycles after the skip operand.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    element : In(Element), next_element : Out(Element)
    limits : In(Limits), next_limits : Out(Limits)
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
                "limits": In(Limits),
                "next_limits": Out(Limits),
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
        limits = delay(m, self.limits, 1, name="limits")
        m.submodules.parameters = memory = RowMemory(
            words=config.parameter_words, bits=config.parameter_bits
        )
        m.d.comb += [
            self.next_element.eq(element),
            self.next_limits.eq(limits),
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
        right = Mux(late.raw, late.slice_shift, fields.right)[: config.shift_bits]

        column = delay(m, element.column, ROW_MEMORY_STAGES - 1, name="column")
        total = self._add(m, self._pick_sum(m, column), fields)
        right = delay(m, right, LEFT_STAGES + ADD_STAGES, name="right")
        bits = config.activation_bits
        value, sign, fits = shift_right(m, total, right, bits, name="value")
        self._limit(m, value, sign, fits, limits)

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

    def _add(self, m, chosen, fields):
        """The sum of three, the skip operand last; the compiler proves that it cannot wrap."""
        bits = self._config.result_bits
        biased, total = (
            Signal(signed(bits), name=name, reset_less=True) for name in ("biased", "total")
        )
        scaled = shift_left(m, chosen, fields.left, bits, name="scaled")
        skip = delay(m, self.skip, 1, name="skip_late")
        skip_left = delay(m, fields.skip_left, 1, name="skip_left")
        skip = shift_left(m, skip, skip_left, bits, name="skip")
        m.d.sync += [
            biased.eq(delay(m, fields.bias, LEFT_STAGES, name="bias") + scaled),
            total.eq(biased + skip),
        ]
        return total

    def _limit(self, m, value, sign, fits, limits):
        """Replace what does not fit by the nearest that does; compare; choose."""
        bits = self._config.activation_bits
        most = 1 << (bits - 1)
        near, kept = (Signal(signed(bits), name=name, reset_less=True) for name in ("near", "kept"))
        below, above = Signal(reset_less=True), Signal(reset_less=True)
        later = delay(m, limits, 1, name="limits_late")
        low, high = later.low[:bits].as_signed(), later.high[:bits].as_signed()
        is_whole = limits.raw | (fits & (value[-1] == sign))
        m.d.sync += [
            near.eq(Mux(is_whole, value, Mux(sign, -most, most - 1))),
            below.eq(~later.raw & (near < low)),
            above.eq(~later.raw & (near > high)),
            kept.eq(near),
        ]
        low, high = (delay(m, one, 1, name=name) for one, name in ((low, "low"), (high, "high")))
        m.d.sync += self.result.eq(Mux(below, low, Mux(above, high, kept)))
