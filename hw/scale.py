"""The arithmetic of one row's epilogue: a sum scaled, joined with bias and skip, and limited."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.circuits import Words
from hw.delay import delay
from hw.element import Limits
from hw.shifter import LEFT_STAGES, RIGHT_STAGES, shift_left, shift_right
from hw.spec.timing import EPILOGUE_STAGES

SCALE = "qnn_scale"  # the module that stands once for each row in the Verilog
# The bias is added first and the residual operand second, so that its shift has a cycle more.
ADD_STAGES = 2
# Saturate to the width of the result, compare with the limits, choose.
LIMIT_STAGES = 3
LIMITS_LEAD = LEFT_STAGES + ADD_STAGES + RIGHT_STAGES  # from a sum to the limits that it needs
assert EPILOGUE_STAGES == LIMITS_LEAD + LIMIT_STAGES


class Scale(wiring.Component):
    """``v = (sum << left) + bias + (skip << skip_left)``, then ``clamp(v >> right, low, high)``.

    A raw value gives ``clamp_bits`` of ``v`` from bit ``right`` on instead. All registers are
    without a reset. The platform may have ``circuits`` of its own, such as ``hw.mapped.Mapped``.

    ========================================= ==================================
    Cycles after sum, skip and shifts came in What happens
    ========================================= ==================================
    ``LEFT_STAGES - 1``                       the bias comes in
    ``LIMITS_LEAD - 1``                       the limits come in
    ``EPILOGUE_STAGES``                       the result is out
    ========================================= ==================================

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    sum : In(signed(accumulator_bits)), skip : In(signed(activation_bits))
    left, skip_left, right : In(shift_bits)
    bias : In(signed(result_bits)), limits : In(Limits)
    result : Out(clamp_bits)
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "sum": In(signed(config.accumulator_bits)),
                "skip": In(signed(config.activation_bits)),
                "left": In(config.shift_bits),
                "skip_left": In(config.shift_bits),
                "right": In(config.shift_bits),
                "bias": In(signed(config.result_bits)),
                "limits": In(Limits),
                "result": Out(config.clamp_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        circuits = getattr(platform, "circuits", Words)(m)

        total = self._add(m, circuits)
        right = delay(m, self.right, LEFT_STAGES + ADD_STAGES, name="right")
        bits = self._config.clamp_bits
        value, sign, fits = shift_right(m, circuits, total, right, bits, name="value")
        self._limit(m, circuits, value, sign, fits)

        return m

    def _add(self, m, circuits):
        """The sum of three, the skip operand last; the compiler proves that it cannot wrap."""
        bits = self._config.result_bits
        biased, total = (
            Signal(signed(bits), name=name, reset_less=True) for name in ("biased", "total")
        )
        scaled = shift_left(m, circuits, self.sum, self.left, bits, name="scaled")
        skip = delay(m, self.skip, 1, name="skip_late")
        skip_left = delay(m, self.skip_left, 1, name="skip_left")
        skip = shift_left(m, circuits, skip, skip_left, bits, name="skip")
        m.d.sync += [
            biased.eq(delay(m, self.bias, 1, name="bias") + scaled),
            total.eq(biased + skip),
        ]
        return total

    def _limit(self, m, circuits, value, sign, fits):
        """Saturate the value to the width of the result, compare it with its limits, choose."""
        bits, limits = self._config.clamp_bits, self.limits
        near, kept = (Signal(signed(bits), name=name, reset_less=True) for name in ("near", "kept"))
        below, above = (Signal(name=name, reset_less=True) for name in ("below", "above"))
        later = delay(m, limits, 1, name="limits_late")
        low, high = later.low[:bits].as_signed(), later.high[:bits].as_signed()
        # A raw slice keeps its bits: the host puts the slices of a sum together again.
        is_whole = Signal(name="is_whole")
        m.d.comb += is_whole.eq(limits.raw | (fits & (value[-1] == sign)))
        m.d.sync += [
            near.eq(circuits.saturate(value, is_whole, sign)),
            # A reset, and no LUT: a raw slice has no limits.
            below.eq(Mux(later.raw, 0, circuits.exceeds(low, near, C(0, 1)))),
            above.eq(Mux(later.raw, 0, circuits.exceeds(near, high, C(0, 1)))),
            kept.eq(near),
        ]
        low, high = (delay(m, one, 1, name=name) for one, name in ((low, "low"), (high, "high")))
        m.d.sync += self.result.eq(Mux(below, low, Mux(above, high, kept)))
