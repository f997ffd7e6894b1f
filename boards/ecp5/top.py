"""The whole design on the board: its pins, its clock, and the accelerator between them."""

from amaranth import ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from boards.ecp5.facts import Ecp5Facts
from hw.standalone import Network, Standalone

RESET_CYCLES = 15  # after configuration, which ends at no edge of the clock
# The board's row of LEDs.
LEDS = 8


class Ecp5Top(wiring.Component):
    """A network that answers on the USB connector.

    Parameters
    ----------
    facts : Facts
        The board, which names the ports.
    network : Network
    divisor : int
        Cycles of a bit of the serial line.

    Members
    -------
    clock, button, receives : In(1)
        The button starts over.
    sends, and each of ``facts.high`` : Out(1)
    leds : Out(8)
        Bit 0: busy; 1: done; 2: failed; 7: configured.
    """

    def __init__(self, facts: Ecp5Facts, network: Network, *, divisor: int):
        self._facts, self._network, self._divisor = facts, network, divisor
        super().__init__(
            {name: In(1) for name in (facts.clock, facts.button, facts.receives)}
            | {facts.sends: Out(1), facts.leds: Out(LEDS)}
            | {name: Out(1) for name in facts.high}
        )

    def elaborate(self, platform):
        m = Module()
        facts = self._facts
        clock, leds = getattr(self, facts.clock), getattr(self, facts.leds)
        m.domains.sync = ClockDomain()
        # The domain that counts the reset cannot itself be reset.
        m.domains.start = ClockDomain(reset_less=True)
        m.d.comb += [
            ClockSignal("sync").eq(clock),
            ClockSignal("start").eq(clock),
        ]
        pressed, waited = Signal(), Signal(range(RESET_CYCLES + 1), name="waited")
        button = getattr(self, facts.button)
        m.submodules.button = FFSynchronizer(button, pressed, o_domain="start")
        m.d.comb += ResetSignal("sync").eq(waited != RESET_CYCLES)
        with m.If(pressed):
            m.d.start += waited.eq(0)
        with m.Elif(waited != RESET_CYCLES):
            m.d.start += waited.eq(waited + 1)

        m.submodules.standalone = inner = Standalone(self._network, divisor=self._divisor)
        m.d.comb += [
            inner.rx.eq(getattr(self, facts.receives)),
            getattr(self, facts.sends).eq(inner.tx),
            leds[0].eq(inner.busy),
            leds[1].eq(inner.done),
            leds[2].eq(inner.failed),
            # Lit as soon as the device is configured.
            leds[7].eq(1),
        ]
        m.d.comb += [getattr(self, name).eq(1) for name in facts.high]
        return m
