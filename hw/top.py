"""The whole accelerator: the shell around the compute core."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.axi import AxiLiteSignature, AxiSignature
from hw.compute import Compute
from hw.load import PORTS
from hw.resets import same_clock
from hw.shell import Shell
from hw.spec.config import SvpeConfig

# What the core says beside its streams.
_SAID = ("finished", "finished_signals", "sides", "store_valid", "store_data", "busy", "tag")


class Accelerator(wiring.Component):
    """The accelerator that runs ``qnn`` images.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    s_axi : In(AxiLiteSignature())
        Registers: ``hw.spec.registers``.
    m_axi : Out(AxiSignature(bus_bits))
        Memory: program, weights, inputs and outputs.
    irq : Out(1)
    """

    def __init__(self, config: SvpeConfig):
        self._config = config
        super().__init__(
            {
                "s_axi": In(AxiLiteSignature()),
                "m_axi": Out(AxiSignature(config.bus_bits)),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.shell = shell = Shell(self._config)
        compute = Compute(self._config)
        # The core forgets everything between runs, as the shell's engines do.
        same_clock(m, "core", reset=shell.compute.clear)
        m.submodules.compute = DomainRenamer("core")(compute)

        connect(m, flipped(self.s_axi), shell.s_axi)
        connect(m, shell.m_axi, flipped(self.m_axi))
        m.d.comb += self.irq.eq(shell.irq)
        self._connect_compute(m, shell.compute, compute)

        return m

    def _connect_compute(self, m, ports, compute):
        loads = (f"load_{name}" for name in PORTS)
        for name in ("i", *loads, "store_request"):
            connect(m, getattr(ports, name), getattr(compute, name))
        for name in _SAID:
            m.d.comb += getattr(ports, name).eq(getattr(compute, name))
