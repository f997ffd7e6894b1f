"""AXI4 and AXI4-Lite signatures, as the manager drives them, and the bits that never change."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

# Zynq UltraScale+ has physical addresses of 40 bits.
ADDRESS_BITS = 40  # of memory, in bytes
# One bit of identity tells the two readers apart; see hw.read_channel.Reader.
ID_BITS = 1
# A window of 4 KiB, the least that Vivado's address editor gives a block.
REGISTER_ADDRESS_BITS = 12
REGISTER_BITS = 32

INCREMENT = 1  # xBURST
BUFFERABLE = 0b0011  # xCACHE: normal memory, not cacheable, bufferable; what PL masters use


def is_error(response):
    """Whether a response is SLVERR or DECERR."""
    # OKAY is 0b00, EXOKAY 0b01, SLVERR 0b10, DECERR 0b11: the high bit says it.
    return response[1]


# Names and widths are those of AXI4; unused signals stay, so that tools see whole channels.
def _address_channel(prefix):
    return {
        f"{prefix}id": Out(ID_BITS),
        f"{prefix}addr": Out(ADDRESS_BITS),
        f"{prefix}len": Out(8),
        f"{prefix}size": Out(3),
        f"{prefix}burst": Out(2),
        f"{prefix}lock": Out(1),
        f"{prefix}cache": Out(4),
        f"{prefix}prot": Out(3),
        f"{prefix}qos": Out(4),
        f"{prefix}valid": Out(1),
        f"{prefix}ready": In(1),
    }


class AxiReadSignature(wiring.Signature):
    """The AR and R channels of an AXI4 bus of ``bus_bits`` data bits."""

    def __init__(self, bus_bits):
        super().__init__(
            {
                **_address_channel("ar"),
                "rid": In(ID_BITS),
                "rdata": In(bus_bits),
                "rresp": In(2),
                "rlast": In(1),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiWriteSignature(wiring.Signature):
    """The AW, W and B channels of an AXI4 bus of ``bus_bits`` data bits."""

    def __init__(self, bus_bits):
        super().__init__(
            {
                **_address_channel("aw"),
                "wdata": Out(bus_bits),
                "wstrb": Out(bus_bits // 8),
                "wlast": Out(1),
                "wvalid": Out(1),
                "wready": In(1),
                "bid": In(ID_BITS),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
            }
        )


class AxiSignature(wiring.Signature):
    """All five channels of an AXI4 bus of ``bus_bits`` data bits."""

    def __init__(self, bus_bits):
        halves = (AxiReadSignature(bus_bits), AxiWriteSignature(bus_bits))
        super().__init__({name: flow for half in halves for name, flow in half.members.items()})


def attach(m, half, bus):
    """Drive the channels of ``half``, a manager's reads or writes, on the whole ``bus``."""
    for name, member in half.signature.members.items():
        source, target = (half, bus) if member.flow == Out else (bus, half)
        m.d.comb += getattr(target, name).eq(getattr(source, name))


class AxiLiteSignature(wiring.Signature):
    """All five channels of the AXI4-Lite bus that reaches the registers."""

    def __init__(self):
        super().__init__(
            {
                "awaddr": Out(REGISTER_ADDRESS_BITS),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(REGISTER_BITS),
                "wstrb": Out(REGISTER_BITS // 8),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(REGISTER_ADDRESS_BITS),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(REGISTER_BITS),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )
