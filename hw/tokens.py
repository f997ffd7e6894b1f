"""Dependency tokens: hold each engine's instructions until the engines that they name are done."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import struct
from hw.spec.isa.encoding import LAYOUTS
from hw.spec.isa.header import HEADER, TOKEN_BITS, Engine, Op

INSTRUCTION_OF = {
    Engine.LOAD: struct(LAYOUTS[Op.LOAD]),
    Engine.COMPUTE: struct(LAYOUTS[Op.CONV]),
    Engine.STORE: struct(LAYOUTS[Op.STORE]),
}
WAITS = slice(HEADER[0].bits, HEADER[0].bits + len(Engine))  # bits of the tokens it waits for
SIGNALS = data.ArrayLayout(1, len(Engine))  # to whom an instruction gives a token, by Engine


def signals_of(instruction):
    """The tokens that an instruction gives, in a value of ``SIGNALS``'s bits."""
    return Cat(instruction[f"signal_{engine.word}"] for engine in Engine)


class TokenGates(wiring.Component):
    """Let an instruction pass once each engine that it waits for has given it a token.

    There is one counter for each ordered pair of engines. A token can be taken ``TOKEN_LATENCY``
    cycles after it was given. The bits of an instruction about its own engine mean nothing, because
    an engine keeps its own order.

    Members
    -------
    i, o : In, Out(stream.Signature(INSTRUCTION_OF[engine])).array(3), by ``Engine``: as members
        ``load_i``, ``load_o``, ``compute_i`` and so on. An engine must be ready only for an
        instruction that it is offered.
    finished : In(1).array(3)
        For one cycle, that an engine finished an instruction ...
    signals : In(SIGNALS).array(3)
        ... and what tokens it gives.
    stalled : Out(1).array(3)
        An instruction waits for a token.
    """

    def __init__(self):
        super().__init__(
            {f"{e.word}_i": In(stream.Signature(INSTRUCTION_OF[e])) for e in Engine}
            | {f"{e.word}_o": Out(stream.Signature(INSTRUCTION_OF[e])) for e in Engine}
            | {
                "finished": In(1).array(len(Engine)),
                "signals": In(SIGNALS).array(len(Engine)),
                "stalled": Out(1).array(len(Engine)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        for engine in Engine:
            i, o = getattr(self, f"{engine.word}_i"), getattr(self, f"{engine.word}_o")
            missing = [
                self._counter(m, giver, engine, i, taken=o.ready)
                for giver in Engine
                if giver != engine
            ]
            held = Signal(name=f"held_{engine.word}")
            m.d.comb += [
                # All tokens are taken at the same time as the instruction, never one by one.
                held.eq(Cat(missing).any()),
                o.payload.eq(i.payload),
                o.valid.eq(i.valid & ~held),
                i.ready.eq(o.ready),
                self.stalled[engine].eq(i.valid & held),
            ]

        return m

    def _counter(self, m, giver, taker, i, taken):
        name = f"{giver.word}_to_{taker.word}"
        tokens, some = Signal(TOKEN_BITS, name=name), Signal(name=f"{name}_some")
        given, gave, had = (Signal(name=f"{name}_{event}") for event in ("given", "gave", "had"))
        waits = i.p[f"wait_{giver.word}"]
        # Registers for what is given, and for whether there is any: both are far from here. What
        # was given and taken is counted a cycle later, as whether one is taken is known late.
        counted = Signal(TOKEN_BITS, name=f"{name}_counted")
        last = Signal(name=f"{name}_last")  # no other token is left once it is taken
        m.d.comb += [counted.eq(tokens + gave - had), last.eq(waits & (counted == 1))]
        m.d.sync += [
            given.eq(self.finished[giver] & self.signals[giver][taker]),
            gave.eq(given),
            had.eq(taken & waits),
            tokens.eq(counted),
            # By gates, not by If: a register whose enable is a gate waits for its net, too.
            some.eq(given | (some & ~(taken & last))),
        ]
        return waits & ~some
