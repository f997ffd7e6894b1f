"""AXI4-Lite from cocotb: Python runs for the few cycles of each access and then sleeps."""

from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge


class Registers:
    """The accelerator's registers behind the ``s_axi_*`` pins of ``dut``.

    Pins change at the falling edge, half a cycle away from where anyone samples them.
    """

    def __init__(self, dut):
        self._dut = dut
        for pin in ("awvalid", "wvalid", "bready", "arvalid", "rready", "awprot", "arprot"):
            self._pin(pin).value = 0
        self._pin("wstrb").value = 0xF

    async def write(self, address: int, value: int) -> None:
        """Write a 32-bit register."""
        await FallingEdge(self._dut.clk)
        self._pin("awaddr").value = address
        self._pin("wdata").value = value
        self._pin("bready").value = 1
        # Address and data go out together; each is dropped when its own partner has taken it.
        waiting = {"awvalid": "awready", "wvalid": "wready", "bready": "bvalid"}
        self._pin("awvalid").value = self._pin("wvalid").value = 1
        await self._finish(waiting)
        if self._response("bresp"):
            raise AssertionError(f"the write of register {address:#x} was refused")

    async def read(self, address: int, words: int = 1) -> int:
        """Read a register of ``words`` 32-bit words, low word first."""
        value = 0
        for index in range(words):
            await FallingEdge(self._dut.clk)
            self._pin("araddr").value = address + 4 * index
            self._pin("arvalid").value = self._pin("rready").value = 1
            await self._finish({"arvalid": "arready", "rready": "rvalid"})
            if self._response("rresp"):
                raise AssertionError(f"the read of register {address + 4 * index:#x} was refused")
            value |= self._taken["rdata"] << (32 * index)
        return value

    async def _finish(self, waiting):
        """Drop each of our pins (keys) after the edge at which its partner (value) was set."""
        self._taken = {}
        # More than any access takes; without it a hung register would hang the simulation.
        for _ in range(1000):
            # Values of this cycle are settled only then.
            await ReadOnly()
            for pin in ("bresp", "rresp", "rdata"):
                if self._pin(f"{pin[0]}valid").value == 1:
                    self._taken.setdefault(pin, int(self._pin(pin).value))
            done = [ours for ours, theirs in waiting.items() if self._pin(theirs).value == 1]
            await RisingEdge(self._dut.clk)
            await FallingEdge(self._dut.clk)
            for ours in done:
                self._pin(ours).value = 0
                del waiting[ours]
            if not waiting:
                return
        raise AssertionError(f"no answer on AXI4-Lite: {', '.join(waiting.values())} stays 0")

    def _response(self, name):
        return self._taken.get(name, 0)

    def _pin(self, name):
        return getattr(self._dut, f"s_axi_{name}")
