"""A serial line: bytes with one start bit, no parity and one stop bit, lowest bit first."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

FRAME = 10  # start bit, byte, stop bit
LEAST_DIVISOR = 4  # cycles of a bit: the receiver needs two before it sees a change


def check_divisor(who, divisor):
    """Raise a ValueError where a bit is too short for the receiver."""
    if divisor < LEAST_DIVISOR:
        raise ValueError(
            f"{who} divisor must be at least {LEAST_DIVISOR} cycles of a bit, not {divisor}"
        )


class Receiver(wiring.Component):
    """Take bytes from ``rx``; one whose stop bit is missing is dropped.

    Each bit is sampled in its middle. A byte is out for one cycle, in the middle of its stop bit.

    Parameters
    ----------
    divisor : int
        Cycles that one bit takes.

    Members
    -------
    rx : In(1)
        The line; it may change at any time.
    o : Out(stream.Signature(8, always_ready=True))
    """

    def __init__(self, *, divisor):
        check_divisor("Receiver", divisor)
        self._divisor = divisor
        super().__init__({"rx": In(1), "o": Out(stream.Signature(8, always_ready=True))})

    def elaborate(self, platform):
        m = Module()
        level = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, level, init=1)

        timer = Signal(range(self._divisor))
        left = Signal(range(FRAME + 1))
        with m.If(left == 0):
            # Half a bit after the edge is the middle of the start bit; whole bits follow from
            # there.
            m.d.sync += timer.eq(self._divisor // 2)
            with m.If(~level):
                m.d.sync += left.eq(FRAME)
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += timer.eq(self._divisor - 1)
            m.d.sync += left.eq(left - 1)
            m.d.sync += self.o.payload.eq(Cat(self.o.payload[1:], level))
            with m.If((left == FRAME) & level):  # a spike, no start bit
                m.d.sync += left.eq(0)
            with m.If(left == 1):
                m.d.sync += self.o.payload.eq(self.o.payload)
                m.d.comb += self.o.valid.eq(level)

        return m


class Transmitter(wiring.Component):
    """Send bytes on ``tx``, without a pause between bytes that wait.

    Parameters
    ----------
    divisor : int
        Cycles of a bit.

    Members
    -------
    i : In(stream.Signature(8))
    tx : Out(1)
    """

    def __init__(self, *, divisor):
        check_divisor("Transmitter", divisor)
        self._divisor = divisor
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        frame = Signal(FRAME, init=-1)
        timer = Signal(range(self._divisor))
        left = Signal(range(FRAME + 1))

        m.d.comb += [self.i.ready.eq(left == 0), self.tx.eq(frame[0])]
        with m.If(left == 0):
            with m.If(self.i.valid):
                m.d.sync += frame.eq(Cat(C(0, 1), self.i.payload, C(1, 1)))
                m.d.sync += [left.eq(FRAME), timer.eq(self._divisor - 1)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += timer.eq(self._divisor - 1)
            m.d.sync += [left.eq(left - 1), frame.eq(Cat(frame[1:], C(1, 1)))]

        return m
