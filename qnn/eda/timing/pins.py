"""What a net begins and ends at: the kinds of pins that its delay depends on."""

import re
from dataclasses import dataclass
from enum import IntEnum, auto


class PinKind(IntEnum):
    """A kind of pin of the device."""

    # Where nets begin.
    LUT_O6 = auto()
    LUT_O5 = auto()
    FF_Q = auto()
    CARRY_OUT = auto()
    MUX_OUT = auto()
    CASCADE = auto()  # of a DSP block or a block RAM, to the next one in its column
    # Where nets end. Inputs of a LUT are alike: which one it is explains nothing of a net.
    LUT = auto()
    FF_D = auto()
    FF_CE = auto()
    FF_SR = auto()
    CARRY_CI = auto()
    CARRY_S = auto()
    CARRY_DI = auto()
    MUX_IN = auto()
    MUX_SELECT = auto()
    RAM_IN = auto()  # data, address or enable of a LUT that stores
    # Either.
    DSP = auto()
    BLOCK_RAM = auto()
    OTHER = auto()


# What a site without wires of the fabric joins: same slice, and where ``True`` same letter.
DIRECT = {
    (PinKind.CARRY_OUT, PinKind.FF_D): True,
    (PinKind.LUT_O6, PinKind.FF_D): True,
    (PinKind.LUT_O5, PinKind.FF_D): True,
    (PinKind.LUT_O6, PinKind.CARRY_S): True,
    (PinKind.LUT_O5, PinKind.CARRY_DI): True,
    (PinKind.MUX_OUT, PinKind.FF_D): True,
    (PinKind.LUT_O6, PinKind.MUX_IN): False,
    (PinKind.MUX_OUT, PinKind.MUX_IN): False,
    (PinKind.DSP, PinKind.DSP): False,  # between the parts of one block
}
# And what a column joins with wires of its own, from one site to the next.
CHAINS = {
    (PinKind.CARRY_OUT, PinKind.CARRY_CI),
    (PinKind.CASCADE, PinKind.DSP),
    (PinKind.CASCADE, PinKind.BLOCK_RAM),
}


@dataclass(frozen=True)
class ArcEnd:
    """A pin of an arc: its kind, and the letter of the LUT or register in the slice, or none."""

    pin: PinKind
    letter: str = ""


CASCADED = r"PCOUT|[AB]COUT|CARRYCASCOUT|MULTSIGNOUT|CAS_?D?OUT\w*"
OUTPUTS = (
    (r"Prop_([A-H])6LUT_\w+_O", PinKind.LUT_O6),
    (r"Prop_([A-H])5LUT_\w+_O", PinKind.LUT_O5),
    (r"Prop_([A-H])FF2?_\w+_C_Q", PinKind.FF_Q),
    (r"Prop_CARRY[48]_\w+?_\S+_C?O\[(\d)\]", PinKind.CARRY_OUT),
    (r"Prop_F[789]MUX_\w*?()_?\w+_O", PinKind.MUX_OUT),
    (rf"Prop_(?:DSP|RAMB|URAM)()\S+?_(?:{CASCADED})(?:\[\d+\])?", PinKind.CASCADE),
    (r"Prop_DSP()\S+", PinKind.DSP),
    (r"Prop_(?:RAMB|FIFO|URAM)()\S+", PinKind.BLOCK_RAM),
    # ECP5, by nextpnr's names.
    (r"Prop_TRELLIS_COMB_\w+_F()", PinKind.LUT_O6),
    (r"Prop_TRELLIS_COMB_\w+_OFX()", PinKind.MUX_OUT),
    (r"Prop_TRELLIS_COMB_\w+_FCO()", PinKind.CARRY_OUT),
    (r"Prop_TRELLIS_FF_CLK_Q()", PinKind.FF_Q),
    (r"Prop_MULT()\S+", PinKind.DSP),
    (r"Prop_P?DPW?16KD()\S+", PinKind.BLOCK_RAM),
)
INPUTS = (
    (r"Prop_([A-H])[56]LUT_\w+_O", PinKind.LUT),
    (r"Prop_CARRY[48]_\w+?_CI()_\S+", PinKind.CARRY_CI),
    (r"Prop_CARRY[48]_\w+?_S\[(\d)\]_\S+", PinKind.CARRY_S),
    (r"Prop_CARRY[48]_\w+?_(?:DI\[(\d)\]|[A-H]X|CYINIT|CI_TOP)_\S+", PinKind.CARRY_DI),
    (r"Prop_F[789]MUX_\w+_S_O()", PinKind.MUX_SELECT),
    (r"Prop_F[789]MUX_\w+_I\d_O()", PinKind.MUX_IN),
    (r"\w+_([A-H])FF2?_SLICE\w_C_D", PinKind.FF_D),
    (r"\w+_([A-H])FF2?_SLICE\w_C_CE", PinKind.FF_CE),
    (r"\w+_([A-H])FF2?_SLICE\w_C_(?:R|S|CLR|PRE)", PinKind.FF_SR),
    (r"\w+_([A-H])[56]LUT_SLICEM_CLK_\S+", PinKind.RAM_IN),
    (r"\w+_DSP()\S+", PinKind.DSP),
    (r"\w+_(?:RAMB|FIFO|URAM)()\S+", PinKind.BLOCK_RAM),
    (r"Prop_TRELLIS_COMB_[A-D]_\w+()", PinKind.LUT),
    (r"Prop_TRELLIS_COMB_FCI_\w+()", PinKind.CARRY_CI),
    (r"Prop_TRELLIS_COMB_F(?:1|XA|XB)_\w+()", PinKind.MUX_IN),
    # One wire of the slice, whether a multiplexer or a register takes it.
    (r"(?:Prop_TRELLIS_COMB_M_OFX|Setup_TRELLIS_FF_CLK_M)()", PinKind.MUX_SELECT),
    (r"Setup_TRELLIS_FF_CLK_DI()", PinKind.FF_D),
    (r"Setup_TRELLIS_FF_CLK_CE()", PinKind.FF_CE),
    (r"Setup_TRELLIS_FF_CLK_LSR()", PinKind.FF_SR),
    (r"\w+?_MULT()\S+", PinKind.DSP),
    (r"\w+?_P?DPW?16KD()\S+", PinKind.BLOCK_RAM),
)


def output(arc: str) -> ArcEnd:
    """Where an arc, named as a report names it, ends and a net begins."""
    return _find(OUTPUTS, arc)


def entry(arc: str) -> ArcEnd:
    """Where a net ends and an arc begins; also of an arc that checks set-up."""
    return _find(INPUTS, arc)


def _find(patterns, arc):
    for pattern, pin in patterns:
        if found := re.fullmatch(pattern, arc):
            letter = found[1] or ""
            return ArcEnd(pin, "ABCDEFGH"[int(letter)] if letter.isdigit() else letter)
    return ArcEnd(PinKind.OTHER)
