"""The parameters of one accelerator: what the compiler targets and what ``hw`` elaborates.

It is longer than other files because every parameter stands beside its meaning and its rules.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from math import ceil

from hw.spec.isa import codes
from hw.spec.widths import accumulator_bits

BUS_BITS = (64, 128)
EPILOGUE_WORDS = (1, 2, 4)
MOST_NEIGHBOURS = 2  # columns beside each whose values an element takes, too
ADDRESS_BITS = 20  # of a feature-buffer word, in an instruction
COORDINATE_BITS = 12  # of a signed row or column, in an instruction
# Of a sum of them in hardware: a tile's, a kernel's and a column's never wrap into a map.
POSITION_BITS = COORDINATE_BITS + 2
PES = ("shift", "multiply", "multiply_lut")
TABLE_BITS = 6  # of the number of a table, in an instruction
MOST_INDEX_BITS = 12  # of a table: one of 4,096 entries of 16 bits is 2 block RAMs of each row
COLUMN_STEPS = 4  # log2 of the most columns that an instruction can place
SHIFT_BITS = 6  # of the widest shift amount of the epilogue


@dataclass(frozen=True, kw_only=True)
class SvpeConfig:
    """Sizes of the array and of its buffers.

    Parameters
    ----------
    lanes : int
        Products that one processing element sums in a cycle; activations in one feature word.
    rows : int
        Output channels at a time. Divides ``lanes``.
    columns : int
        Output pixels at a time.
    weight_bits, activation_bits : int
        Widths of a weight code (``hw.spec.isa.codes.BITS``; of a multiplier's 2 to 16) and of a
        stored activation (4 to 16).
    accumulator_bits, result_bits : int
        Widths of a processing element's sum (24 to 48; by default of one in which
        ``hw.spec.widths.LONGEST_SUM`` products cannot overflow), and of what the epilogue makes of
        it before it rounds: no less, by default at least 32.
    feature_words, weight_words, parameter_words : int
        Depths of the on-chip buffers, in words of ``lanes`` activations, of ``rows * lanes``
        codes, and of ``rows`` channels' epilogue parameters.
    table_bits : int
        Width of the index of a table (2 to 12; by default that of an activation, if it is no more).
    table_words : int
        Depth of each row's memory of tables, in activations: 0, which is a configuration without
        tables, or a power of two; by default four tables of ``2**table_bits`` entries.
    bus_bits : int
        Width of the AXI4 data bus: 64 or 128.
    epilogue_words : int
        Feature words that the epilogue writes per cycle, each of another column: 1, 2 or 4, and at
        most ``columns``. A tile takes at least ``columns / epilogue_words`` cycles.
    neighbours : int
        Columns to the right of each whose values an element takes beside its own where layers are
        depthwise, so that a step is as many more taps of the kernel's row: 0 or 2. With 2, ``rows``
        is ``lanes``, 4 or more, ``columns`` 4 or more, and ``epilogue_words`` 2 or more.
    pe : str
        How a processing element makes its products: ``shift``, the product, or for comparison
        ``multiply`` (in DSP blocks) and ``multiply_lut`` (in LUTs, by Booth's recoding), whose
        weight codes are integers in two's complement.

    Raises
    ------
    ValueError
        A size is outside its range; the text names it, the range and the value.
    """

    lanes: int = 16
    rows: int = 16
    columns: int = 8
    weight_bits: int = 3
    activation_bits: int = 8
    accumulator_bits: int | None = None
    result_bits: int | None = None
    feature_words: int = 16384
    weight_words: int = 2048
    parameter_words: int = 256
    table_bits: int | None = None
    table_words: int | None = None
    bus_bits: int = 128
    pe: str = "shift"
    epilogue_words: int = 1
    neighbours: int = 0

    def __post_init__(self):
        for name, least, most in (
            ("lanes", 2, 64),
            ("rows", 1, 64),
            ("columns", 1, 1 << COLUMN_STEPS),
            ("feature_words", 64, 1 << ADDRESS_BITS),
            ("weight_words", 16, 1 << 16),
            ("parameter_words", 4, 1 << 12),
        ):
            value = getattr(self, name)
            if not least <= value <= most or value & (value - 1):
                raise ValueError(
                    f"SvpeConfig {name} must be a power of two from {least} to {most}, not {value}"
                )
        if self.pe not in PES:
            raise ValueError(f"SvpeConfig pe must be one of {', '.join(PES)}, not '{self.pe}'")
        self._check("weight_bits", codes.LEAST_BITS, codes.MOST_BITS if self.pe == "shift" else 16)
        self._check("activation_bits", 4, 16)
        if self.accumulator_bits is None:
            bits = accumulator_bits(self.pe, self.weight_bits, self.activation_bits)
            object.__setattr__(self, "accumulator_bits", bits)
        self._check("accumulator_bits", 24, 48)
        if self.result_bits is None:
            object.__setattr__(self, "result_bits", max(32, self.accumulator_bits))
        self._check("result_bits", self.accumulator_bits, 48)
        self._check_tables()
        if self.lanes % self.rows:
            raise ValueError(
                f"SvpeConfig rows must divide lanes, so that one word holds whole groups of output "
                f"channels; {self.rows} does not divide {self.lanes}"
            )
        if self.bus_bits not in BUS_BITS:
            raise ValueError(f"SvpeConfig bus_bits must be 64 or 128, not {self.bus_bits}")
        if self.epilogue_words not in EPILOGUE_WORDS or self.epilogue_words > self.columns:
            raise ValueError(
                f"SvpeConfig epilogue_words must be 1, 2 or 4 and at most the {self.columns} "
                f"columns, not {self.epilogue_words}"
            )
        self._check_neighbours()

    def _check(self, name, least, most):
        value = getattr(self, name)
        if not least <= value <= most:
            raise ValueError(f"SvpeConfig {name} must be from {least} to {most}, not {value}")

    def _check_neighbours(self):
        if self.neighbours not in (0, MOST_NEIGHBOURS):
            raise ValueError(
                f"SvpeConfig neighbours must be 0 or {MOST_NEIGHBOURS}, not {self.neighbours}"
            )
        if self.neighbours and (
            self.rows < self.lanes or min(self.lanes, self.columns) < 4 or self.epilogue_words < 2
        ):
            raise ValueError(
                f"SvpeConfig neighbours={self.neighbours} needs as many rows as lanes, 4 or more "
                f"lanes and columns, and epilogue_words of 2 or more, not rows={self.rows}, "
                f"lanes={self.lanes}, columns={self.columns}, epilogue_words={self.epilogue_words}"
            )

    def _check_tables(self):
        if self.table_bits is None:
            object.__setattr__(self, "table_bits", min(self.activation_bits, MOST_INDEX_BITS))
        self._check("table_bits", 2, MOST_INDEX_BITS)
        entries = 1 << self.table_bits
        if self.table_words is None:
            object.__setattr__(self, "table_words", 4 * entries)
        value, most = self.table_words, entries << TABLE_BITS
        if value and (not entries <= value <= most or value & (value - 1)):
            raise ValueError(
                f"SvpeConfig table_words must be 0, or a power of two from {entries} to {most}, "
                f"not {value}"
            )

    @property
    def term_shift(self) -> int:
        """Places that a sum moves by between two terms of its weights.

        Multipliers take a weight of any terms as one integer.
        """
        return codes.term_shift(self.weight_bits) if self.pe == "shift" else 0

    @property
    def multiplies(self) -> bool:
        """Whether rows multiply two tensors, from a table of squares that grows fourfold a bit."""
        return self.activation_bits <= codes.MOST_FACTOR_BITS

    @property
    def square_words(self) -> int:
        """Words of a row's table of squares: one for each sum and difference of two factors."""
        return 1 << (self.activation_bits + 2)

    @property
    def square_bits(self) -> int:
        """Bits of a word of a row's table of squares."""
        return 2 * self.activation_bits

    @property
    def turns(self) -> int:
        """Cycles in which the sums of all columns leave the array, ``epilogue_words`` in each."""
        return self.columns // self.epilogue_words

    @property
    def banks(self) -> int:
        """Feature banks: twice the columns, so that stride 2 meets no conflict."""
        return 2 * self.columns

    @property
    def sides(self) -> int:
        """Groups of feature banks, bank b in group b % sides, that are written independently.

        A bank has a port for results, loads and stores together. Results at every second word, as
        interleaves write them, leave the loads of consecutive words seven cycles of eight with
        eight sides, and half of them with two.
        """
        return max(2, self.columns)

    @property
    def parts(self) -> int:
        """Groups of ``rows`` channels in one feature word."""
        return self.lanes // self.rows

    @property
    def passes(self) -> int:
        """Feature words that one unrounded result takes, ``activation_bits`` at a time."""
        return ceil(self.result_bits / self.activation_bits)

    @property
    def tables(self) -> int:
        """Tables that each row holds at a time."""
        return self.table_words >> self.table_bits

    @property
    def clamp_bits(self) -> int:
        """Width of what the epilogue clamps: an activation, or the index of a table."""
        return max(self.activation_bits, self.table_bits) if self.tables else self.activation_bits

    @property
    def feature_bits(self) -> int:
        """Width of a feature word."""
        return self.lanes * self.activation_bits

    @property
    def weight_word_bits(self) -> int:
        """Width of a weight word: lane 0 of row 0 lowest, then its lanes, then the rows."""
        return self.rows * self.lanes * self.weight_bits

    @property
    def shift_bits(self) -> int:
        """Width of each shift amount of the epilogue, which is less than ``result_bits``."""
        return (self.result_bits - 1).bit_length()

    @property
    def parameter_bits(self) -> int:
        """Width of one row's parameters (see ``hw.spec.isa.parameters``)."""
        return self.result_bits + 3 * self.shift_bits

    @property
    def bus_bytes(self) -> int:
        """Bytes of one beat."""
        return self.bus_bits // 8

    def beats(self, word_bits: int) -> int:
        """Beats that one buffer word of ``word_bits`` takes in memory, padding included."""
        return ceil(word_bits / self.bus_bits)

    @property
    def fields(self) -> dict[str, int | str]:
        """The sizes by name, as files have them.

        What older configurations did not have is left out at its default, so that their
        accelerators and images keep fitting each other.
        """
        fields = asdict(self)
        for name, before in (("epilogue_words", 1), ("neighbours", 0)):
            if fields[name] == before:
                del fields[name]
        return fields

    @property
    def fingerprint(self) -> int:
        """64 bits that differ for any two configurations: hardware and image carry it."""
        text = json.dumps(self.fields, sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    def __str__(self) -> str:
        return (
            f"{self.lanes}x{self.rows}x{self.columns} (lanes x rows x columns), "
            f"{self.weight_bits}-bit weights, {self.activation_bits}-bit activations"
            + ("" if self.pe == "shift" else f", pe={self.pe}")
            + ("" if self.epilogue_words == 1 else f", epilogue_words={self.epilogue_words}")
            + (f", neighbours={self.neighbours}" if self.neighbours else "")
        )


_SIZES = {
    "test": {
        "lanes": 8,
        "rows": 4,
        "columns": 2,
        "feature_words": 2048,
        "weight_words": 512,
        "parameter_words": 64,
        "bus_bits": 64,
    },
    "small": {
        "lanes": 8,
        "rows": 8,
        "columns": 4,
        "feature_words": 4096,
        "weight_words": 1024,
        "parameter_words": 128,
    },
    "reference": {},
    "zcu102": {},
}
CONFIGS = {name: SvpeConfig(**sizes) for name, sizes in _SIZES.items()}


def named_config(name: str, **changes: int) -> SvpeConfig:
    """The configuration called ``name``, with some of its sizes changed.

    Raises
    ------
    ValueError
        No configuration has that name.
    """
    if name not in _SIZES:
        raise ValueError(f"config must be one of {', '.join(_SIZES)}, not '{name}'")
    return SvpeConfig(**(_SIZES[name] | changes))
