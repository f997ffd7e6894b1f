"""The epilogue of one row: columns' sums and their channel's parameters, in time for ``Scale``."""

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.element import Arrival, Element, Limits, Operand
from hw.layouts import struct
from hw.once import once
from hw.ports import read_port
from hw.product import PRODUCT, Product
from hw.row_memory import ROW_MEMORY_STAGES, RowMemory
from hw.scale import SCALE, Scale
from hw.shifter import LEFT_STAGES
from hw.spec.isa.parameters import parameters
from hw.spec.timing import RESULT_STAGES


class EpilogueRow(wiring.Component):
    """What ``Scale`` computes of the columns of an element and of one channel.

    A raw element is ``clamp_bits`` of each value from bit ``slice_shift`` on. Sums that
    arrive are kept until the next ones of their turn. Arrival, operand, element and limits are out
    one cycle later, for the next row. The columns of an element share the channel's parameters.

    ======================================================= ================================
    Cycles after an element came in                         What happens
    ======================================================= ================================
    ``ROW_MEMORY_STAGES``                                   at the latest, its sums arrive
    ``ROW_MEMORY_STAGES + RESULT_STAGES``                   its skip operands come in
    ``... + RESULT_STAGES + LIMITS_LEAD - 1``               its limits come in
    ``... + RESULT_STAGES + EPILOGUE_STAGES``               its results are out
    ======================================================= ================================

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    operand : In(Operand), next_operand : Out(Operand)
        In the cycle of the element, or ``PRODUCT_STAGES`` before it where that multiplies.
    element : In(Element), next_element : Out(Element)
    limits : In(Limits), next_limits : Out(Limits)
    arrival : In(Arrival), next_arrival : Out(Arrival)
    sums : In(signed(accumulator_bits)).array(epilogue_words)
    skips : In(signed(activation_bits)).array(epilogue_words), 0 if there is none
    load : In(1), load_address : In(range(parameter_words)), load_data : In(parameter_bits)
        One channel's ``hw.spec.isa.parameters``.
    results : Out(clamp_bits).array(epilogue_words)
    """

    def __init__(self, config):
        self._config, words = config, config.epilogue_words
        super().__init__(
            {
                "operand": In(Operand),
                "next_operand": Out(Operand),
                "element": In(Element),
                "next_element": Out(Element),
                "limits": In(Limits),
                "next_limits": Out(Limits),
                "arrival": In(Arrival),
                "next_arrival": Out(Arrival),
                "sums": In(signed(config.accumulator_bits)).array(words),
                "skips": In(signed(config.activation_bits)).array(words),
                "load": In(1),
                "load_address": In(range(config.parameter_words)),
                "load_data": In(config.parameter_bits),
                "results": Out(config.clamp_bits).array(words),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        operand = delay(m, self.operand, 1, name="operand")
        element = delay(m, self.element, 1, name="element")
        limits = delay(m, self.limits, 1, name="limits")
        m.d.comb += [
            self.next_operand.eq(operand),
            self.next_element.eq(element),
            self.next_limits.eq(limits),
            self.next_arrival.eq(delay(m, self.arrival, 1, name="arrival")),
        ]

        # Stages are counted from the cycle in which the element's sum is there.
        ready = RESULT_STAGES - 1
        fields = self._parameters(m, delay(m, element.parameter_address, ready, name="address"))
        late = delay(m, element, ROW_MEMORY_STAGES + ready, name="late")
        # A raw element is cut out by the same shifter: only its amount is another.
        right = Mux(late.raw, late.slice_shift, fields.right)[: config.shift_bits]

        turn = delay(m, operand.turn, ROW_MEMORY_STAGES, name="turn")
        factors = delay(m, operand, ROW_MEMORY_STAGES + RESULT_STAGES - 1, name="factors")
        for number, result in enumerate(self.results):
            total, skip = self._kept(m, number, turn), self.skips[number]
            if config.multiplies:
                product = self._product(m, number, factors, total)
                total, skip = Mux(late.multiply, product, total), Mux(late.multiply, 0, skip)
            scale = once(m.submodules, f"scale_{number}", SCALE, Scale, config)
            m.d.comb += [
                scale.sum.eq(total),
                scale.skip.eq(skip),
                scale.left.eq(fields.left),
                scale.skip_left.eq(fields.skip_left),
                scale.right.eq(right),
                scale.bias.eq(fields.bias),
                scale.limits.eq(limits),
                result.eq(scale.result),
            ]

        return m

    def _product(self, m, number, factors, total):
        """The sum's activation times the skip operand, ``PRODUCT_STAGES`` after they are there."""
        product = once(m.submodules, f"product_{number}", PRODUCT, Product, self._config)
        m.d.comb += [
            product.one.eq(total),
            product.other.eq(self.skips[number]),
            product.one_unsigned.eq(factors.sum_unsigned),
            product.other_unsigned.eq(factors.skip_unsigned),
        ]
        return product.o

    def _parameters(self, m, address):
        """The channel's numbers, ``ROW_MEMORY_STAGES`` cycles later, and its bias after them.

        The bias is read ``LEFT_STAGES - 1`` cycles later than the shifts. Delaying its address
        takes fewer registers than delaying the bias.
        """
        config = self._config
        layout = struct(parameters(config))
        loaded = Signal(layout)
        m.d.comb += loaded.eq(self.load_data)
        fields = Signal(layout, name="parameters")
        late = delay(m, address, LEFT_STAGES - 1, name="bias_address")
        # Two memories of the same words, as the bias is read later than the shifts are.
        shifts = Cat(fields.left, fields.skip_left, fields.right)
        loaded_shifts = Cat(loaded.left, loaded.skip_left, loaded.right)
        for name, own, value, from_memory in (
            ("shifts", address, loaded_shifts, shifts),
            ("bias", late, loaded.bias, fields.bias),
        ):
            m.submodules[name] = words = RowMemory(words=config.parameter_words, bits=len(value))
            m.d.comb += [
                words.address.eq(own),
                words.load.eq(self.load),
                words.load_address.eq(self.load_address),
                words.load_data.eq(value),
                from_memory.eq(words.data),
            ]
        return fields

    def _kept(self, m, number, turn):
        """The newest sum of ``turn`` from one chain of the array, one cycle later."""
        shape = signed(self._config.accumulator_bits)
        sums = memory.Memory(shape=shape, depth=self._config.turns, init=[])
        m.submodules[f"sums_{number}"] = sums
        write, read = sums.write_port(), read_port(sums, f"read_{number}")
        m.d.comb += [
            write.en.eq(self.arrival.valid),
            write.addr.eq(self.arrival.turn),
            write.data.eq(self.sums[number]),
            read.en.eq(1),
            read.addr.eq(turn),
        ]
        return read.data
