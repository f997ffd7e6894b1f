"""AXI4-Lite from cocotb: Python runs for the few cycles of each access and then sleeps."""

from itertools import cycle

from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

# Of a host that is slow: cycles between what it could do at once, in turn.
WAITS = (0, 3, 1, 0, 2, 5)


class Registers:
    """The accelerator's registers behind the ``s_axi_*`` pins of ``dut``.

    Pins change at the falling edge, half a cycle away from where anyone samples them.

    Parameters
    ----------
    slow : whether address, data and the room for an answer come some cycles after each other
    """

    def __init__(self, dut, *, slow: bool = False):
        self._dut = dut
        self._waits = cycle(WAITS if slow else (0,))
        for pin in ("awvalid", "wvalid", "bready", "arvalid", "rready", "awprot", "arprot"):
            self._pin(pin).value = 0
        self._pin("wstrb").value = 0xF

    async def write(self, address: int, value: int) -> None:
        """Write a 32-bit register."""
        await FallingEdge(self._dut.clk)
        self._pin("awaddr").value = address
        self._pin("wdata").value = value
        # Address and data go out together; each is dropped when its own partner has taken it.
        waiting = {"awvalid": "awready", "wvalid": "wready", "bready": "bvalid"}
        await self._finish(waiting)
        if self._response("bresp"):
            raise AssertionError(f"the write of register {address:#x} was refused")

    async def read(self, address: int, words: int = 1) -> int:
        """Read a register of ``words`` 32-bit words, low word first."""
        value = 0
        for index in range(words):
            await FallingEdge(self._dut.clk)
            self._pin("araddr").value = address + 4 * index
            await self._finish({"arvalid": "arready", "rready": "rvalid"})
            if self._response("rresp"):
                raise AssertionError(f"the read of register {address + 4 * index:#x} was refused")
            value |= self._taken["rdata"] << (32 * index)
        return value

    async def _finish(self, waiting):
        """Raise each of our pins (keys), and drop it after the edge at which its partner was set.

        What an answer says when it comes it must say until it is taken.
        """
        self._taken = {}
        due = {ours: next(self._waits) for ours in waiting}
        # More than any access takes; without it a hung register would hang the simulation.
        for number in range(1000):
            for ours, wait in due.items():
                if number == wait:
                    self._pin(ours).value = 1
            # Values of this cycle are settled only then.
            await ReadOnly()
            self._note()
            done = [
                ours
                for ours, theirs in waiting.items()
                if number >= due[ours] and self._pin(theirs).value == 1
            ]
            await RisingEdge(self._dut.clk)
            await FallingEdge(self._dut.clk)
            for ours in done:
                self._pin(ours).value = 0
                del waiting[ours]
            if not waiting:
                return
        raise AssertionError(f"no answer on AXI4-Lite: {', '.join(waiting.values())} stays 0")

    def _note(self):
        for pin in ("bresp", "rresp", "rdata"):
            if self._pin(f"{pin[0]}valid").value == 1:
                value = int(self._pin(pin).value)
                first = self._taken.setdefault(pin, value)
                assert value == first, (
                    f"{pin} changed from {first:#x} to {value:#x} while it waited"
                )

    def _response(self, name):
        return self._taken.get(name, 0)

    def _pin(self, name):
        return getattr(self._dut, f"s_axi_{name}")
