"""Instructions to the queue of the engine that executes them, in program order."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.queue import Queue
from hw.spec.isa.header import HEADER, INSTRUCTION_BITS, Engine, Op
from hw.spec.timing import QUEUE_DEPTH
from hw.tokens import INSTRUCTION_OF, WAITS


class Dispatch(wiring.Component):
    """Route each instruction by its operation code, one per cycle, until END.

    An instruction for a full queue holds those behind it. That cannot lock up: the oldest
    instruction that is not finished is always in an engine, or next in its queue.

    Members
    -------
    i : In(stream.Signature(INSTRUCTION_BITS))
    exhausted : In(1)
        The program has no more instructions.
    load, compute, store : Out(stream.Signature(INSTRUCTION_OF[engine]))
    ended : Out(1)
        END was met; nothing more is taken.
    empty : Out(1)
        No instruction waits in a queue.
    error : Out(1)
        The next instruction does not exist: its code is unknown, or the program has no END. It
        is told a cycle later.
    """

    def __init__(self):
        super().__init__(
            {"i": In(stream.Signature(INSTRUCTION_BITS)), "exhausted": In(1)}
            | {e.word: Out(stream.Signature(INSTRUCTION_OF[e])) for e in Engine}
            | {"ended": Out(1), "empty": Out(1), "error": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        # Whether the next instruction may start is decided by the tokens that it waits for.
        queues = {e: Queue(shape=INSTRUCTION_OF[e], depth=QUEUE_DEPTH, early=WAITS) for e in Engine}
        for engine, queue in queues.items():
            m.submodules[f"{engine.word}_queue"] = queue
            m.d.comb += Value.cast(queue.i.payload).eq(self.i.payload)  # fields are the low bits
            wiring.connect(m, queue.o, wiring.flipped(getattr(self, engine.word)))

        # END is remembered, so that whatever bytes follow the program are never taken as one.
        op = self.i.payload[: HEADER[0].bits]
        open_ = self.i.valid & ~self.ended
        wrong = Signal(name="wrong")
        m.d.sync += self.error.eq(wrong)
        m.d.comb += self.empty.eq(~Cat(queue.o.valid for queue in queues.values()).any())
        with m.Switch(op):
            for code in (code for code in Op if code.engine is not None):
                with m.Case(code):
                    m.d.comb += queues[code.engine].i.valid.eq(open_)
                    m.d.comb += self.i.ready.eq(queues[code.engine].i.ready & ~self.ended)
            with m.Case(Op.END):
                m.d.comb += self.i.ready.eq(~self.ended)
                m.d.sync += self.ended.eq(self.ended | open_)
            with m.Default():
                m.d.comb += wrong.eq(open_)
        # A program that ends without END would leave its engines waiting for ever.
        with m.If(self.exhausted & ~self.ended):
            m.d.comb += wrong.eq(1)

        return m
