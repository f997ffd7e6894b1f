"""The ECP5 devices of the boards here, with their cells."""

from boards.cell_kinds import CellKind
from hw.spec.resources import Device

KINDS = (
    # Bits of carry chains take LUTs, too.
    CellKind("LUT4", {"lut4": 1}, {"lut4": 1}),
    CellKind("FF", {"ff": 1}, {"ff": 1}),
    CellKind("DP16KD", {"block_ram": 1}, {"block_ram": 1}),
    CellKind("MULT18X18D", {"dsp": 1}, {"dsp": 1}),
)

# A TRELLIS_COMB is a LUT4 or a bit of a carry chain, so carries count as LUTs here.
LFE5U_85F = Device(
    name="LFE5U-85F",
    lut=83_640,
    ff=83_640,
    bram18=208,
    dsp=156,
    source="nextpnr's own database of the chip, which its reports print as available: "
    "TRELLIS_COMB, TRELLIS_FF, DP16KD, MULT18X18D",
)
