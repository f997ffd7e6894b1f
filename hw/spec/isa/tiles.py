"""Computation tile by tile: one block of output channels over a whole feature map.

It is longer than other files because all fields of an instruction stand beside their rules.

Loops, outermost first: tile_y, tile_x, term, kernel_y, kernel_x, block; then, if ``skip``, one step
that reads the skip operand. Every term reads the same features. The first step of each term but the
first moves the sum so far left by ``SvpeConfig.term_shift`` before it adds to it.

With ``multiply``, the skip operand is not added to the sum but multiplies it: the sum's low
``activation_bits`` are a stored activation, and both factors are the integers that are stored.

Addresses count feature words and wrap at 2**ADDRESS_BITS. Column c
of the array adds, for each bit b that is set in c, ``column_address[b]``, ``column_x[b]`` and
``column_y[b]`` to the address, x and y of column 0.

With ``table``, a rounded and clamped value is the index of an entry of its row's table, which is
written in its place, ``late`` cycles later than the value itself would be. Entry i, a signed
index of ``SvpeConfig.table_bits``, is word i mod 2**table_bits of the table.

With ``neighbours``, row r of column c multiplies, beside lane r of its own word, lane r of the
words of the next columns: its code at lane r - n (modulo the lanes) is for column c + n. Its codes
at all other lanes must be zero. Columns that have fewer neighbours are read, but their results are
not written.
"""

from dataclasses import dataclass
from typing import ClassVar

from hw.spec.config import (
    ADDRESS_BITS,
    COLUMN_STEPS,
    COORDINATE_BITS,
    POSITION_BITS,
    TABLE_BITS,
    SvpeConfig,
)
from hw.spec.isa.buffers import Buffer, Span
from hw.spec.isa.checks import require_inside, require_most, require_positive, require_product
from hw.spec.isa.codes import MOST_FACTOR_BITS
from hw.spec.isa.header import Header, Op
from hw.spec.isa.members import number, numbers
from hw.spec.timing import PRODUCT_STAGES, TABLE_STAGES, write_latency

# All ones in the field: more cycles of writes than ever remain.
NO_FENCE = (1 << COORDINATE_BITS) - 1
ADDRESS_MASK = (1 << ADDRESS_BITS) - 1
MOST_PIXELS = 1 << POSITION_BITS - 1  # of all tiles, across or down, also outside of the output
COUNTS = (
    "terms",
    "blocks",
    "kernel_x",
    "kernel_y",
    "tiles_x",
    "tiles_y",
    "kernel_y_stride",
    "input_width",
    "input_height",
    "columns",
    "passes",
    "tile_width",
    "tile_height",
    "output_width",
    "output_height",
    "output_step",
)  # that are 1 or more
Four = tuple[int, int, int, int]  # what each bit of a column's number adds


@dataclass(frozen=True, kw_only=True)
class Tiles(Header):
    """CONV or MAXPOOL. The members are in the order of the word; comments say what each is."""

    OPS: ClassVar[tuple[Op, ...]] = (Op.CONV, Op.MAXPOOL)

    fence: int = number(COORDINATE_BITS)  # start when at most so many cycles of writes remain
    # Counts, each at least 1.
    terms: int = number(3)
    blocks: int = number(COORDINATE_BITS)
    kernel_x: int = number(COORDINATE_BITS)
    kernel_y: int = number(COORDINATE_BITS)
    tiles_x: int = number(COORDINATE_BITS)
    tiles_y: int = number(COORDINATE_BITS)
    # Input: address and coordinates of column 0 at the first step, and their steps.
    input_address: int = number(ADDRESS_BITS)
    block_step: int = number(ADDRESS_BITS)
    kernel_y_step: int = number(ADDRESS_BITS)
    tile_y_step: int = number(ADDRESS_BITS)
    input_x: int = number(COORDINATE_BITS, signed=True)
    input_y: int = number(COORDINATE_BITS, signed=True)
    kernel_x_stride: int = number(COORDINATE_BITS, signed=True)  # of address and x
    kernel_y_stride: int = number(COORDINATE_BITS, signed=True)  # of y
    tile_x_stride: int = number(COORDINATE_BITS, signed=True)  # of address and x
    tile_y_stride: int = number(COORDINATE_BITS, signed=True)  # of y
    # A read is inside if 0 <= x < width and 0 <= y < height.
    input_width: int = number(COORDINATE_BITS, signed=True)
    input_height: int = number(COORDINATE_BITS, signed=True)
    # What a read outside gives, in every lane; of a maximum no more than any word that is read, as
    # it meets a step that waits, too.
    pad_value: int = number(16, signed=True)
    columns: int = number(COLUMN_STEPS + 1)  # in use, from column 0
    column_address: Four = numbers(ADDRESS_BITS, COLUMN_STEPS)
    column_x: Four = numbers(COORDINATE_BITS, COLUMN_STEPS, signed=True)
    column_y: Four = numbers(COORDINATE_BITS, COLUMN_STEPS, signed=True)
    # Weights: one word per step, from the same address again for each tile.
    weight_address: int = number(16)
    weight_step: int = number(1)  # 0: one word for all steps
    parameter_address: int = number(12)
    # Skip operand, read for all columns at once.
    skip: bool = number(1, kind=bool)
    skip_part: int = number(6)  # which group of `rows` lanes
    skip_address: int = number(ADDRESS_BITS)
    # From tile to tile in x: tile_width, or 0 where one word serves all pixels.
    skip_tile_x_step: int = number(COLUMN_STEPS + 1)
    skip_tile_y_step: int = number(ADDRESS_BITS)
    skip_column: Four = numbers(ADDRESS_BITS, COLUMN_STEPS)
    multiply: bool = number(1, kind=bool)  # by the skip operand
    sum_unsigned: bool = number(1, kind=bool)  # the first factor is stored less half its range
    skip_unsigned: bool = number(1, kind=bool)  # and so is the second
    # Output: tiles of tile_width x tile_height pixels, one word (or part) a pixel. Pixels that lie
    # apart leave room for those of other instructions between them.
    interval: int = number(10)  # cycles from a tile's last step to the next's
    passes: int = number(4)  # 1: rounded; more: the whole sum, low bits first, a word a pass
    pass_step: int = number(ADDRESS_BITS)
    output_part: int = number(6)
    output_address: int = number(ADDRESS_BITS)
    tile_width: int = number(COLUMN_STEPS + 1)
    tile_height: int = number(COLUMN_STEPS + 1)
    output_step: int = number(8, default=1)  # from pixel to pixel in x
    output_tile_x_step: int = number(ADDRESS_BITS)
    output_pitch: int = number(ADDRESS_BITS)  # from row to row
    output_tile_y_step: int = number(ADDRESS_BITS)
    output_width: int = number(COORDINATE_BITS, signed=True)  # pixels outside are not written
    output_height: int = number(COORDINATE_BITS, signed=True)
    low: int = number(16, signed=True)  # clamp of a rounded value, as stored
    high: int = number(16, signed=True)
    # A function of the clamped value, whose bounds are then those of its table's index.
    table: bool = number(1, kind=bool)
    table_address: int = number(TABLE_BITS)  # which table
    # Columns to the right of each whose values it multiplies in the same step.
    neighbours: int = number(2)

    @property
    def written(self) -> int:
        """Columns whose results are written: those that have all of their neighbours."""
        return self.columns - self.neighbours

    @property
    def taps(self) -> int:
        """Steps of a tile that multiply, or compare: those of the loops, without the skip step."""
        return self.kernel_x * self.kernel_y * self.blocks * self.terms

    @property
    def steps(self) -> int:
        """Steps of a tile, each of one cycle."""
        return self.taps + self.skip

    @property
    def tiles(self) -> int:
        """Tiles of the whole map."""
        return self.tiles_x * self.tiles_y

    @property
    def tile_cycles(self) -> int:
        """Least cycles from a tile's last step to the next's: steps, or writes where those last."""
        return max(self.steps, self.interval)

    @property
    def cycles(self) -> int:
        """Least cycles of all tiles."""
        return self.tiles * self.tile_cycles

    @property
    def last_step(self) -> int:
        """Least cycles from the first step of the first tile to the last step of the last."""
        return self.steps - 1 + (self.tiles - 1) * self.tile_cycles

    @property
    def weight_words(self) -> int:
        """Weight words that a convolution reads."""
        if self.op is Op.MAXPOOL:
            return 0
        return self.taps if self.weight_step else 1

    @property
    def input_pitch(self) -> int:
        """Words from row to row of the input."""
        return self.kernel_y_step // self.kernel_y_stride

    @property
    def skip_pitch(self) -> int:
        """Words from row to row of the skip operand."""
        return self.skip_tile_y_step // self.tile_height

    def late(self, config: SvpeConfig) -> int:
        """Cycles by which its writes come later than ``hw.spec.timing.write_latency`` says."""
        return PRODUCT_STAGES * self.multiply + TABLE_STAGES * self.table

    def turns(self, config: SvpeConfig) -> int:
        """Cycles of each pass of the epilogue over a tile, ``epilogue_words`` columns in each."""
        return -(-self.written // config.epilogue_words)

    def write_cycles(self, config: SvpeConfig) -> int:
        """Cycles in which the epilogue writes the results of one tile."""
        return self.passes * self.turns(config)

    def least_interval(self, config: SvpeConfig) -> int:
        """The least ``interval``: results take their turns, and all columns' sums leave theirs."""
        return max(self.write_cycles(config), config.turns)

    def order_fence(self, before: "Tiles", config: SvpeConfig) -> int:
        """The largest fence with which all its results come after those of ``before``, everywhere.

        Products come later to the epilogue than sums, and entries of tables later out of it: a
        result must meet no other in either place.

        ``before`` is the computation that is issued just before it. See ``hw.spec.timing``.
        """
        first = write_latency(config) + self.steps - 1
        fences = [NO_FENCE]
        if self.late(config) < before.late(config):
            fences.append(first + self.late(config))
        if self.multiply < before.multiply:
            fences.append(first + TABLE_STAGES * before.table)
        return min(fences)

    def reads(self, config: SvpeConfig) -> tuple[Span, ...]:
        """What the instruction reads: the input's blocks, skip operand, weights, parameters, table.

        Between rows and between blocks may lie words that it does not read.
        """
        spans = [self._input()]
        if self.skip:
            across = self.output_width if self.skip_tile_x_step else 1
            size = (self.output_height - 1) * self.skip_pitch + across
            spans.append(Span(Buffer.FEATURES, self.skip_address, self.skip_address + size))
        if self.op is Op.CONV:
            spans += [self._weights(), self._parameters()]
        if self.table:
            spans.append(self._table(config))
        return tuple(spans)

    def writes(self, config: SvpeConfig) -> tuple[Span, ...]:
        """What the instruction writes: the output's block, once for each pass."""
        last = (self.output_width - 1) * self.output_step
        size = (self.output_height - 1) * self.output_pitch + last + 1
        starts = (self.output_address + n * self.pass_step for n in range(self.passes))
        return tuple(Span(Buffer.FEATURES, start, start + size) for start in starts)

    def _input(self):
        # The first step of column 0 may lie in the padding, so before the map's first word.
        first = self.input_address - self.input_y * self.input_pitch - self.input_x & ADDRESS_MASK
        last = first + (self.blocks - 1) * self.block_step
        stop = last + (self.input_height - 1) * self.input_pitch + self.input_width
        return Span(Buffer.FEATURES, first, stop)

    def _weights(self):
        return Span(Buffer.WEIGHTS, self.weight_address, self.weight_address + self.weight_words)

    def _parameters(self):
        return Span(Buffer.PARAMETERS, self.parameter_address, self.parameter_address + 1)

    def _table(self, config):
        start = self.table_address << config.table_bits
        return Span(Buffer.TABLES, start, start + (1 << config.table_bits))

    def _check_product(self, config):
        if self.op is not Op.CONV or not self.skip:
            raise ValueError("Tiles multiply must be 0 without a CONV and its skip operand")
        if not config.multiplies:
            raise ValueError(
                f"Tiles multiply must be 0 with activations of more than {MOST_FACTOR_BITS} bits, "
                f"not {config.activation_bits}"
            )

    def check(self, config: SvpeConfig) -> None:
        """Return if an accelerator of ``config`` executes the instruction as it says.

        Raises
        ------
        ValueError
            A field is wrong for it; the text names the field.
        """
        require_positive(self, COUNTS)
        require_most(self, "columns", config.columns)
        taken = config.neighbours if self.op is Op.CONV else 0
        require_most(self, "neighbours", min(taken, self.columns - 1))
        require_most(self, "passes", config.passes)
        require_most(self, "output_part", config.parts - 1)
        require_most(self, "skip_part", config.parts - 1)
        least = self.least_interval(config)
        if self.interval < least:
            raise ValueError(f"Tiles interval must be at least {least}, not {self.interval}")
        self._check_turn(config)
        across = self.tile_width * self.output_step
        if self.output_tile_x_step != across:
            raise ValueError(
                f"Tiles output_tile_x_step must be tile_width times output_step, {across}, not "
                f"{self.output_tile_x_step}"
            )
        require_product(self, ("tiles_x", "tile_width"), MOST_PIXELS)
        require_product(self, ("tiles_y", "tile_height"), MOST_PIXELS)
        if self.kernel_y_step % self.kernel_y_stride:
            raise ValueError(
                f"Tiles kernel_y_step must be whole rows, a multiple of the kernel_y_stride "
                f"{self.kernel_y_stride}, not {self.kernel_y_step}"
            )
        require_inside(self, "input_address", self._input(), config)
        for span in self.writes(config):
            require_inside(self, "output_address", span, config)
        if self.skip:
            require_inside(self, "skip_address", self.reads(config)[1], config)
            if self.skip_tile_x_step not in (0, self.tile_width):
                raise ValueError(
                    f"Tiles skip_tile_x_step must be 0 or the tile_width {self.tile_width}, not "
                    f"{self.skip_tile_x_step}"
                )
        if self.multiply:
            self._check_product(config)
        if self.op is Op.CONV:
            require_inside(self, "weight_address", self._weights(), config)
            require_inside(self, "parameter_address", self._parameters(), config)
        if self.table:
            self._check_table(config)

    def _check_turn(self, config):
        """Check that no two words of a turn have one side of the feature banks."""
        words, width = min(config.epilogue_words, self.written), self.tile_width
        # A single line may have any width.
        several = self.written > width
        if several and config.epilogue_words % width and width % config.epilogue_words:
            raise ValueError(
                f"Tiles tile_width must divide the {config.epilogue_words} columns of a turn, or "
                f"be a multiple of them, not {self.tile_width}"
            )
        places = (divmod(column, width) for column in range(words))
        sides = {(y * self.output_pitch + x * self.output_step) % config.sides for y, x in places}
        if len(sides) < words:
            raise ValueError(
                f"Tiles output_step {self.output_step} and output_pitch {self.output_pitch} must "
                f"bring the {words} columns of a turn to different sides of {config.sides}"
            )

    def _check_table(self, config):
        if self.op is not Op.CONV or self.passes > 1:
            raise ValueError("Tiles table must be 0 where the result is a maximum or not rounded")
        require_inside(self, "table_address", self._table(config), config)
        most = 1 << config.table_bits - 1
        if not -most <= self.low <= self.high < most:
            raise ValueError(
                f"Tiles low and high must be an index within {-most} to {most - 1}, not "
                f"{self.low} to {self.high}"
            )
