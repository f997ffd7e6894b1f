"""The Zynq UltraScale+ devices of the boards here, with their cells."""

from boards.cell_kinds import EIGHTH, HALF, CellKind
from hw.spec.resources import Device

# Keys are those of Yosys's counts, of our estimates and of Vivado's reports.
KINDS = (
    CellKind(
        "CLB LUTs", dict.fromkeys(("lut", "lut_shift_registers", "lut_memories"), 1), {"lut": 1}
    ),
    CellKind("LUTs as logic", {"lut_logic": 1}, {"lut_logic": 1}),
    CellKind("LUTs as logic, packed (Yosys's estimate)", {"lut_packed": 1}, estimated=True),
    CellKind("LUTs as shift registers", {"lut_shift_registers": 1}),
    CellKind("LUTs as memory", {"lut_memories": 1, "lut_memory": 1}, {"lut_memory": 1}),
    CellKind("CLB registers", {"ff": 1}, {"ff": 1}),
    # Yosys counts halves of a CARRY8. A CLB has one of these, and eight LUTs.
    CellKind("CARRY8", {"carry4": HALF}, {"lut": EIGHTH}),
    # A tile is two memories of 18 Kbit.
    CellKind(
        "Block RAM tiles",
        {"bram18": HALF, "bram36": 1},
        {"bram18": HALF, "bram36": 1},
        part=HALF,
    ),
    CellKind("UltraRAM", {"uram": 1}, {"uram": 1}),
    CellKind("DSP48E2", {"dsp": 1}, {"dsp": 1}),
)

XCZU9EG = Device(
    name="XCZU9EG",
    lut=274_080,
    ff=548_160,
    bram18=1_824,
    dsp=2_520,
    source='AMD DS891, "Zynq UltraScale+ MPSoC Data Sheet: Overview"',
)

# DS891 and DS987 themselves were not readable for the two below. The counts are those of the column
# Available in tables that Vivado wrote for these devices, which public projects hold.
XCZU7EV = Device(
    name="XCZU7EV",
    lut=230_400,
    ff=460_800,
    bram18=624,
    dsp=1_728,
    source="Vivado's utilization for xczu7ev: 230400 LUT, 460800 FF, 312 BRAM, 1728 DSP",
)
XCK26 = Device(
    name="XCK26",
    lut=117_120,
    ff=234_240,
    bram18=288,
    dsp=1_248,
    source="Vivado's utilization for xck26: 117120 LUT, 234240 FF, 288 RAMB18, 1248 DSP "
    "(vic9112/PQC_Falcon)",
)
