"""Any component behind two pins, so that a device with few pins takes it whole."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class OnPins(wiring.Component):
    """A component whose inputs come in bit by bit, and whose outputs leave as one bit.

    Registers stand on both sides, so that paths between registers are the component's.

    Members
    -------
    i : In(1), o : Out(1)
    """

    def __init__(self, part):
        self._part = part
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.part = part = self._part
        ports = [(member.flow, value) for _, member, value in part.signature.flatten(part)]
        inputs = Cat(value for flow, value in ports if flow is In)
        outputs = Cat(value for flow, value in ports if flow is Out)
        held, seen = Signal(len(inputs)), Signal(len(outputs))
        m.d.comb += inputs.eq(held)
        # Every output is read, or synthesis would leave out what it is made of.
        m.d.sync += [held.eq(Cat(self.i, held)), seen.eq(outputs ^ (seen << 1))]
        m.d.comb += self.o.eq(seen[-1])
        return m
