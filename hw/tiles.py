"""From a tile's last step to its elements: one turn per cycle, when its sums are there."""

from amaranth import *
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.delay import delay, register
from hw.element import Arrival, Destination, Element, Limits, Operand
from hw.layouts import TILES_STRUCT
from hw.ports import read_port
from hw.spec.config import ADDRESS_BITS
from hw.spec.isa.header import Op
from hw.spec.timing import PRODUCT_STAGES, hold_latency
from hw.step import POSITION, Offsets, Step
from hw.tile_walk import ONES, Turns, Walk, by_width, narrower_than, ones

# Fields of the instruction that the results need, after the next instruction has begun.
_KEPT = (
    *("columns", "passes", "pass_step", "tile_width", "output_step", "output_pitch"),
    *("output_width", "output_height", "output_part", "parameter_address"),
    *("low", "high", "multiply", "table", "table_address", "tag"),
    *("op", "signal_load", "signal_compute", "signal_store"),
)
# What brings a tile's operands, which those of a product need before the rest is needed.
_OPERANDS = ("columns", "passes", "skip", "skip_part", "sum_unsigned", "skip_unsigned")
_FIELDS = {name: TILES_STRUCT[name].shape for name in _OPERANDS}
OPERANDS = data.StructLayout(_FIELDS | dict.fromkeys(ONES, 1))
_WALKED = ("columns", "passes", "tile_width", "pass_step", *ONES)
# The two adders of the first pixel's address, and of the distances of a turn's other columns.
RECORD_STAGES = 2
WALK_STAGES = 2  # from a record's read to its first element
ELEMENT_LEAD = 2  # from row 0's element to the cycle in which the column's sum arrives


class TileRecord(data.StructLayout):
    """What is remembered of a tile until its results are there."""

    def __init__(self, config):
        super().__init__(
            {
                "address": ADDRESS_BITS,  # of the tile's first pixel
                # From the first column of a turn to each other one.
                "apart": data.ArrayLayout(ADDRESS_BITS, config.epilogue_words - 1),
                "x": POSITION,
                "y": POSITION,
                "final": 1,  # the last tile of its instruction
                **{name: TILES_STRUCT[name].shape for name in _KEPT},
                **dict.fromkeys(ONES, 1),
            }
        )


class BypassRead(data.Struct):
    """The request of an element to the bypass: which turn's words, and whether they are added."""

    turn: TILES_STRUCT["columns"].shape
    last: 1  # of its tile
    valid: 1
    skip: 1
    part: TILES_STRUCT["skip_part"].shape


class Tiles(wiring.Component):
    """Remember each tile, and walk through its passes and the turns of its columns.

    The first operand comes ``hold_latency - ELEMENT_LEAD`` cycles after the tile's last step, and
    then one turn's per cycle. Elements come with their operands, or ``PRODUCT_STAGES`` later where
    they multiply; the fence keeps those of a next instruction behind them. The destination of an
    element comes one cycle after it. The sums of all columns arrive from ``hold_latency`` on. Tiles
    must end at least as many cycles apart (``interval``) as they have elements and as the array has
    turns.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    step : In(Step), offsets : In(Offsets), instruction : In(TILES_STRUCT)
        As the sequencer gives them.
    arrival : Out(Arrival)
        The arrival of row 0's sums.
    operand : Out(Operand), bypass : Out(BypassRead)
    element : Out(Element), limits : Out(Limits)
    write : Out(1), final : Out(1), destination : Out(Destination)
        ``write``: of each column of the element, its pixel lies inside the output. ``final``: the
        element is the last of its instruction.
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "step": In(Step),
                "offsets": In(Offsets),
                "instruction": In(TILES_STRUCT),
                "arrival": Out(Arrival),
                "operand": Out(Operand),
                "element": Out(Element),
                "limits": Out(Limits),
                "bypass": Out(BypassRead),
                "write": Out(config.epilogue_words),
                "final": Out(1),
                "destination": Out(Destination(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # A short tile may end while earlier ones are still on their way, so records queue up.
        wait = hold_latency(self._config) - ELEMENT_LEAD - WALK_STAGES
        ends = delay(
            m, self.step.valid & self.step.last, RECORD_STAGES, name="ends", reset_less=False
        )
        record = self._record(m)
        plain, late = (
            delay(m, ends & chosen, wait - RECORD_STAGES, name=name, reset_less=False)
            for name, chosen in (("plain", ~record.multiply), ("late", record.multiply))
        )
        self._bring(m, ends, plain | late, depth=1 << wait.bit_length())
        self._arrive(m, plain | late)
        # All the rest of a product waits for it, and so for nothing where there is none.
        late = delay(m, late, PRODUCT_STAGES, name="later", reset_less=False)
        begin = plain | late
        depth = 1 << (wait + PRODUCT_STAGES).bit_length()
        tile = self._remember(m, "records", ends, record, begin, depth=depth)
        m.submodules.walk = walk = Walk(
            slice_bits=self._config.activation_bits, words=self._config.epilogue_words
        )

        m.d.comb += [
            walk.begin.eq(begin),
            walk.step.eq(tile.output_step),
            walk.pitch.eq(tile.output_pitch),
            *(getattr(walk, name).eq(tile[name]) for name in _WALKED),
        ]
        element = register(m, self.element, name="held_element")
        limits = register(m, self.limits, name="held_limits")
        m.d.sync += [
            element.multiply.eq(tile.multiply),
            element.parameter_address.eq(tile.parameter_address),
            element.raw.eq(tile.passes != 1),
            element.slice_shift.eq(walk.slice_shift),
            limits.raw.eq(tile.passes != 1),
            limits.low.eq(tile.low),
            limits.high.eq(tile.high),
        ]
        self._place(m, tile, walk)

        return m

    def _bring(self, m, ends, begin, *, depth):
        """Ask for the operands of each of a tile's elements, when its sums are there."""
        given = Signal(OPERANDS, name="given")
        m.d.comb += [given[name].eq(self.instruction[name]) for name in _OPERANDS]
        m.d.comb += given.columns.eq(self._written())
        m.d.comb += [given[name].eq(one) for name, one in self._ones().items()]
        record = delay(m, given, RECORD_STAGES, name="given")
        tile = self._remember(m, "operands", ends, record, begin, depth=depth)
        m.submodules.turns = turns = Turns(words=self._config.epilogue_words)
        m.d.comb += [
            turns.begin.eq(begin),
            turns.columns.eq(tile.columns),
            turns.passes.eq(tile.passes),
            turns.one_turn.eq(tile.one_turn),
            turns.one_pass.eq(tile.one_pass),
        ]
        operand = register(m, self.operand, name="held_operand")
        m.d.sync += [
            operand.turn.eq(turns.turn),
            operand.sum_unsigned.eq(tile.sum_unsigned),
            operand.skip_unsigned.eq(tile.skip_unsigned),
            self.bypass.valid.eq(turns.valid),
            self.bypass.turn.eq(turns.turn),
            self.bypass.last.eq(turns.last),
            self.bypass.skip.eq(tile.skip),
            self.bypass.part.eq(tile.skip_part),
        ]

    def _arrive(self, m, begin):
        """Count the turns from the cycle in which column 0's sum arrives."""
        wait = ELEMENT_LEAD + WALK_STAGES - 1
        starts = delay(m, begin, wait, name="arrives", reset_less=False)
        arrival = self.arrival
        m.d.sync += arrival.turn.eq(arrival.turn + 1)
        with m.If(starts):
            m.d.sync += [arrival.valid.eq(1), arrival.turn.eq(0)]
        with m.Elif(arrival.turn == self._config.turns - 1):
            m.d.sync += arrival.valid.eq(0)

    def _record(self, m):
        """The record of the tile whose step was ``RECORD_STAGES`` cycles ago."""
        offsets, instruction = self.offsets, self.instruction
        layout = TileRecord(self._config)
        kept = Signal(layout, name="kept")
        m.d.comb += [kept[name].eq(instruction[name]) for name in _KEPT]
        m.d.comb += [
            kept.columns.eq(self._written()),
            *(kept[name].eq(one) for name, one in self._ones().items()),
            kept.final.eq(self.step.final),
            kept.x.eq(offsets.output_column),
            kept.y.eq(offsets.output_row),
        ]
        origin = delay(m, instruction.output_address, 1, name="origin")
        offset = Signal(ADDRESS_BITS, reset_less=True)
        address = Signal(ADDRESS_BITS, reset_less=True)
        m.d.sync += [
            offset.eq(offsets.output_tile_x + offsets.output_tile_y),
            address.eq(offset + origin),
        ]
        record = Signal(layout)
        m.d.comb += [
            record.eq(delay(m, kept, RECORD_STAGES, name="kept")),
            record.address.eq(address),
        ]
        for number, apart in enumerate(self._apart(m), 1):
            m.d.comb += record.apart[number - 1].eq(apart)
        return record

    def _written(self):
        """Columns whose results are written: those that have their neighbours."""
        columns = self.instruction.columns
        return columns - self.instruction.neighbours if self._config.neighbours else columns

    def _ones(self):
        """Which counts of the tile's walk are one."""
        width, passes = self.instruction.tile_width, self.instruction.passes
        return ones(self._written(), width, passes, self._config.epilogue_words)

    def _apart(self, m):
        """Words from the first column of a turn to each other one, ``RECORD_STAGES`` cycles later.

        Each bit of a column's number in the turn is a step across the tile, or down in one that is
        narrower.
        """
        instruction = self.instruction
        steps = []
        for bit in range(exact_log2(self._config.epilogue_words)):
            narrower = narrower_than(bit + 1, instruction.tile_width)
            down = [instruction.output_pitch << bit - n for n in range(bit + 1)]
            step = Signal(ADDRESS_BITS, name=f"step_{bit}", reset_less=True)
            m.d.sync += step.eq(by_width(narrower, down, instruction.output_step << bit))
            steps.append(step)
        for number in range(1, self._config.epilogue_words):
            apart = Signal(ADDRESS_BITS, name=f"apart_{number}", reset_less=True)
            own = [step for bit, step in enumerate(steps) if number >> bit & 1]
            m.d.sync += apart.eq(sum(own[1:], own[0]))
            yield apart

    def _remember(self, m, name, ends, record, begin, *, depth):
        """Write a record at each tile's end, and read it when the walk through the tile begins."""
        records = memory.Memory(shape=record.shape(), depth=depth, init=[])
        m.submodules[name] = records
        write, read = records.write_port(), read_port(records, "read")
        m.d.comb += [write.en.eq(ends), write.data.eq(record), read.en.eq(begin)]
        m.d.sync += [write.addr.eq(write.addr + ends), read.addr.eq(read.addr + begin)]
        return read.data

    def _place(self, m, tile, walk):
        """Addresses and coordinates of the element's pixels, in two stages."""
        line, start = (Signal(ADDRESS_BITS, name=n, reset_less=True) for n in ("line", "start"))
        m.d.sync += [
            line.eq(walk.line_offset + walk.x_offset),
            start.eq(tile.address + walk.pass_offset),
        ]
        late = delay(m, tile, 1, name="late")
        destination = register(m, self.destination, name="held_destination")
        for number, address in enumerate(destination.addresses):
            apart = late.apart[number - 1] if number else 0
            m.d.sync += address.eq(line + start + apart)
            self._pixel(m, tile, walk, late, number)
        signals = Cat(late.signal_load, late.signal_compute, late.signal_store)
        m.d.sync += [
            self.final.eq(delay(m, walk.last & tile.final, 1, name="last", reset_less=False)),
            destination.part.eq(late.output_part),
            # A maximum is written to all lanes at once, since pooling works on whole words.
            destination.all.eq(late.op == Op.MAXPOOL),
            destination.number.eq(delay(m, walk.number, 1, name="number")),
            destination.tag.eq(late.tag),
            destination.table.eq(late.table),
            destination.table_address.eq(late.table_address),
            destination.signals.eq(signals),
        ]

    def _pixel(self, m, tile, walk, late, number):
        """Whether the pixel of a column of the element is written."""
        bits = exact_log2(self._config.epilogue_words)
        narrower = narrower_than(bits, tile.tile_width)
        right = by_width(narrower, [number % (1 << n) for n in range(bits)], number)
        below = by_width(narrower, [number >> n for n in range(bits)], 0)
        x, y = (Signal(POSITION, name=f"{n}_{number}", reset_less=True) for n in ("x", "y"))
        # What a turn begins at has zeros where its columns have their numbers.
        m.d.sync += [x.eq(tile.x + (walk.x | right)), y.eq(tile.y + (walk.y | below))]
        # The last turn may have fewer columns, but has one.
        used = Cat(C(number, bits), walk.turn) < tile.columns if number else C(1)
        valid = delay(m, walk.valid & used, 1, name=f"valid_{number}", reset_less=False)
        # Tiles at the right and lower border reach beyond the output; those pixels are not written.
        inside = (x < late.output_width) & (y < late.output_height)
        m.d.sync += self.write[number].eq(valid & inside)
