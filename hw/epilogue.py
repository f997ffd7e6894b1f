"""The epilogue: a row for each row of the array, and their results side by side."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.element import Arrival, Element, Limits, Operand
from hw.epilogue_row import EpilogueRow
from hw.layouts import parameter_write
from hw.once import once
from hw.row_memory import ROW_MEMORY_STAGES
from hw.scale import LIMITS_LEAD
from hw.spec.timing import RESULT_STAGES


class Epilogue(wiring.Component):
    """Rows work one cycle after each other, and the results of an element come out together.

    They come ``write_latency - hold_latency - 1`` cycles after row 0's sum arrived. The caller puts
    them into a register, which is the last of those cycles.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    operand : In(Operand), element : In(Element), limits : In(Limits)
        The element and its limits come in the same cycle; see ``EpilogueRow`` for its operand.
    skips : In(signed(activation_bits)).array(epilogue_words, rows)
        See ``EpilogueRow``: row r's are r cycles after row 0's.
    arrival : In(Arrival), sums : In(signed(accumulator_bits)).array(epilogue_words, rows)
        The sums as they leave the array: row r's are r cycles after row 0's.
    load : In(stream.Signature(parameter_write(config), always_ready=True))
    results : Out(rows * clamp_bits).array(epilogue_words)
        An activation stands in the low bits of each.
    """

    def __init__(self, config):
        self._config, words = config, config.epilogue_words
        super().__init__(
            {
                "operand": In(Operand),
                "element": In(Element),
                "limits": In(Limits),
                "skips": In(signed(config.activation_bits)).array(words, config.rows),
                "arrival": In(Arrival),
                "sums": In(signed(config.accumulator_bits)).array(words, config.rows),
                "load": In(stream.Signature(parameter_write(config), always_ready=True)),
                "results": Out(config.rows * config.clamp_bits).array(words),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        # A register of its own splits the way from the load engine to all rows.
        loaded = delay(m, self.load.payload, 1, name="loaded")
        loads = delay(m, self.load.valid, 1, name="loads", reset_less=False)

        # Limits are needed late, and are delayed once for all rows and not in each of them.
        wait = ROW_MEMORY_STAGES + RESULT_STAGES + LIMITS_LEAD - 1
        arrival, operand, element = self.arrival, self.operand, self.element
        limits = delay(m, self.limits, wait, name="limits")
        results = [[] for _ in self.results]
        for row in range(config.rows):
            one = once(m.submodules, f"row_{row}", "qnn_epilogue_row", EpilogueRow, config)
            m.d.comb += [
                one.arrival.eq(arrival),
                one.operand.eq(operand),
                one.element.eq(element),
                one.limits.eq(limits),
                one.load.eq(loads),
                one.load_address.eq(loaded.address),
                one.load_data.eq(loaded.data.word_select(row, config.parameter_bits)),
            ]
            for number, all_rows in enumerate(results):
                m.d.comb += [
                    one.sums[number].eq(self.sums[number][row]),
                    one.skips[number].eq(self.skips[number][row]),
                ]
                # Row r is r cycles late; rows - 1 - r more bring all results into one cycle.
                wait = config.rows - 1 - row
                all_rows.append(delay(m, one.results[number], wait, name=f"result_{row}_{number}"))
            arrival, operand = one.next_arrival, one.next_operand
            element, limits = one.next_element, one.next_limits
        m.d.comb += [own.eq(Cat(of)) for own, of in zip(self.results, results, strict=True)]

        return m
