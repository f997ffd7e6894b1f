"""The whole design on the board: its pins, its clock, and the accelerator between them."""

from amaranth import ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from hw.standalone import Network, Standalone

RESET_CYCLES = 15  # after configuration, which ends at no edge of the clock


class Ulx3sTop(wiring.Component):
    """A network that answers on the USB connector.

    Parameters
    ----------
    network : Network
    divisor : int
        Cycles of a bit of the serial line.

    Members
    -------
    clk_25mhz, btn_fire1, ftdi_txd : In(1)
        The button starts over. Names of serial pins are those of the FTDI chip: it sends on
        ``txd``.
    ftdi_rxd, wifi_gpio0 : Out(1)
    led : Out(8)
        Bit 0: busy; 1: done; 2: failed; 7: configured.
    """

    def __init__(self, network: Network, *, divisor: int):
        self._network, self._divisor = network, divisor
        super().__init__(
            {name: In(1) for name in ("clk_25mhz", "btn_fire1", "ftdi_txd")}
            | {"ftdi_rxd": Out(1), "led": Out(8), "wifi_gpio0": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.domains.start = ClockDomain(reset_less=True)
        m.d.comb += [
            ClockSignal("sync").eq(self.clk_25mhz),
            ClockSignal("start").eq(self.clk_25mhz),
        ]
        pressed, waited = Signal(), Signal(range(RESET_CYCLES + 1))
        m.submodules.button = FFSynchronizer(self.btn_fire1, pressed, o_domain="start")
        m.d.comb += ResetSignal("sync").eq(waited != RESET_CYCLES)
        with m.If(pressed):
            m.d.start += waited.eq(0)
        with m.Elif(waited != RESET_CYCLES):
            m.d.start += waited.eq(waited + 1)

        m.submodules.standalone = inner = Standalone(self._network, divisor=self._divisor)
        m.d.comb += [
            inner.rx.eq(self.ftdi_txd),
            self.ftdi_rxd.eq(inner.tx),
            self.led[0].eq(inner.busy),
            self.led[1].eq(inner.done),
            self.led[2].eq(inner.failed),
            self.led[7].eq(1),
            self.wifi_gpio0.eq(1),
        ]
        return m
