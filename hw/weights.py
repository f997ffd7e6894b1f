"""The weight buffer: each row of the array has its own memory, read one cycle after the last's."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.layouts import TILES_STRUCT, weight_write
from hw.once import once
from hw.pe import Control
from hw.row_memory import ROW_MEMORY_STAGES, RowMemory

WEIGHT_STAGES = 1 + ROW_MEMORY_STAGES  # after row 0's own register


class WeightStep(data.Struct):
    """The weight word of a step, and what the step does to the accumulators."""

    address: TILES_STRUCT["weight_address"].shape
    control: Control


class Weights(wiring.Component):
    """Hold ``weight_words`` words of codes for each row.

    Row r's codes and control come ``WEIGHT_STAGES + r`` cycles after the step. A word that is
    loaded in cycle t is there for steps from cycle t + 2 on.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    step : In(WeightStep)
    load : In(stream.Signature(weight_write(config), always_ready=True))
    weights : Out(lanes * weight_bits).array(rows), controls : Out(Control).array(rows)
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "step": In(WeightStep),
                "load": In(stream.Signature(weight_write(config), always_ready=True)),
                "weights": Out(config.lanes * config.weight_bits).array(config.rows),
                "controls": Out(Control).array(config.rows),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = self._config.lanes * self._config.weight_bits
        # A register of its own splits the way from the load engine to all rows.
        loaded = delay(m, self.load.payload, 1, name="loaded")
        loads = delay(m, self.load.valid, 1, name="loads", reset_less=False)

        step = self.step
        for row in range(self._config.rows):
            codes = once(
                m.submodules,
                f"row_{row}",
                "qnn_weight_row",
                RowMemory,
                words=self._config.weight_words,
                bits=bits,
            )
            # Row r's memory reads r cycles after row 0's, as the activations reach it.
            step = delay(m, step, 1, name=f"step_{row}")
            late = delay(m, step.control, ROW_MEMORY_STAGES, name=f"control_{row}")
            m.d.comb += [
                codes.address.eq(step.address),
                codes.load.eq(loads),
                codes.load_address.eq(loaded.address),
                codes.load_data.eq(loaded.data[row * bits : (row + 1) * bits]),
                self.weights[row].eq(codes.data),
                self.controls[row].eq(late),
            ]

        return m
