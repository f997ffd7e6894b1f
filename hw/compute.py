"""The compute core: instructions in, results in the feature buffer."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from hw.array import SvpeArray
from hw.bypass import Bypass, EdgeStep
from hw.columns import Columns
from hw.crossbar import Crossbar
from hw.delay import delay
from hw.epilogue import Epilogue
from hw.features import Features
from hw.layouts import TILES_STRUCT
from hw.load import word_writes
from hw.origin import Origin
from hw.sequencer import Sequencer
from hw.skew import Skew
from hw.skid import Skid
from hw.spec.config import ADDRESS_BITS
from hw.spec.timing import (
    FINISH_LATENCY,
    SIDES_LEAD,
    TABLE_STAGES,
    edge_latency,
    hold_latency,
    write_latency,
)
from hw.tables import Landing, Tables
from hw.tiles import ELEMENT_LEAD, Tiles
from hw.weights import WEIGHT_STAGES, Weights, WeightStep

# More instructions than can begin before the last write of the oldest one has landed.
IN_FLIGHT_BITS = 8  # of the count of instructions that have begun and not finished
TAG = TILES_STRUCT["tag"].shape
assert SIDES_LEAD == TABLE_STAGES
_DESTINATION_LEAD = ELEMENT_LEAD - 1  # a destination comes one cycle after its element


class Compute(wiring.Component):
    """Execute CONV and MAXPOOL: sequencer, buffers, array and epilogue. No step stalls after issue.

    ``hw.spec.timing`` says what happens in which cycle.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    i : In(stream.Signature(TILES_STRUCT))
        CONV and MAXPOOL instructions, once their tokens are there.
    finished : Out(1), finished_signals : Out(3)
        For one cycle, in order: an instruction's last write has landed; it gives these tokens
        (bit 0 load, 1 compute, 2 store).
    load_features, load_weights, load_parameters, load_tables : In, see ``hw.load.word_writes``
    sides : Out(sides)
        The sides of the feature banks that results are written to ``SIDES_LEAD`` cycles later; no
        word may come for one of them then.
    store_request : In(stream.Signature(ADDRESS_BITS)), store_valid : Out(1), store_data : Out
        Feature words to read; each comes ``STORE_LATENCY`` cycles after its request, or later if
        its bank was taken.
    busy : Out(1), tag : Out(16)
        An instruction has begun and not finished; tag of the newest.
    issue : Out(1), issue_tag : Out(16)
        For traces: the first step of an instruction issues.
    write_valid, write_address, write_part, write_all, write_data, write_pass, write_tag : Out
        For traces: the epilogue writes words, or their lanes ``[part * rows, (part + 1) * rows)``;
        a part's lanes stand in every part of ``write_data``. Of ``epilogue_words`` words side by
        side, ``write_valid`` has a bit for each.
    """

    def __init__(self, config):
        self._config, words = config, config.epilogue_words
        super().__init__(
            {
                "i": In(stream.Signature(TILES_STRUCT)),
                "finished": Out(1),
                "finished_signals": Out(3),
                **{f"load_{name}": In(port) for name, port in word_writes(config).items()},
                "sides": Out(config.sides),
                "store_request": In(stream.Signature(ADDRESS_BITS)),
                "store_valid": Out(1),
                "store_data": Out(config.feature_bits),
                "busy": Out(1),
                "tag": Out(TAG),
                "issue": Out(1),
                "issue_tag": Out(TAG),
                "write_valid": Out(words),
                "write_address": Out(words * ADDRESS_BITS),
                "write_part": Out(TILES_STRUCT["output_part"].shape),
                "write_all": Out(1),
                "write_data": Out(words * config.feature_bits),
                "write_pass": Out(TILES_STRUCT["passes"].shape),
                "write_tag": Out(TAG),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.sequencer = sequencer = Sequencer(write_latency=write_latency(config))
        m.submodules.origin = origin = Origin()
        m.submodules.columns = columns = Columns(config)
        m.submodules.crossbar = crossbar = Crossbar(config)
        m.submodules.features = features = Features(config)
        m.submodules.skew = skew = Skew(
            shape=config.feature_bits, count=config.columns, together=config.epilogue_words
        )
        m.submodules.weights = weights = Weights(config)
        m.submodules.array = array = SvpeArray(config)
        m.submodules.bypass = bypass = Bypass(config)
        m.submodules.tiles = tiles = Tiles(config)
        m.submodules.epilogue = epilogue = Epilogue(config)

        self._connect_instructions(m, sequencer)
        self._connect_reads(m, sequencer, origin, columns, crossbar, features)
        self._connect_array(m, sequencer, crossbar, skew, weights, array, bypass)
        self._connect_results(m, sequencer, array, bypass, tiles, epilogue)
        self._connect_writes(m, features, bypass, tiles, epilogue)
        self._connect_memory(m, features, weights, epilogue)

        return m

    def _connect_instructions(self, m, sequencer):
        connect(m, flipped(self.i), sequencer.i)
        # The core is busy until the last write of the newest instruction has landed.
        in_flight = Signal(IN_FLIGHT_BITS)
        begins = sequencer.i.ready  # which it says of an instruction that is there
        m.d.sync += [
            in_flight.eq(in_flight + begins - self.finished),
            # Whether there will be any: a register, as the run's end looks at all engines.
            self.busy.eq((in_flight != self.finished) | begins),
        ]
        m.d.comb += [
            self.tag.eq(sequencer.instruction.tag),
            self.issue.eq(sequencer.step.valid & sequencer.begins),
            self.issue_tag.eq(sequencer.instruction.tag),
        ]

    def _connect_reads(self, m, sequencer, origin, columns, crossbar, features):
        m.d.comb += [
            origin.valid.eq(sequencer.step.valid),
            origin.skip.eq(sequencer.step.skip),
            origin.offsets.eq(sequencer.offsets),
            origin.instruction.eq(sequencer.instruction),
            columns.place.eq(origin.place),
            columns.steps.eq(origin.steps),
            columns.frame.eq(origin.frame),
            crossbar.pad_value.eq(columns.pad_value),
        ]
        m.d.comb += _each(crossbar.requests, columns.requests)
        m.d.comb += _each(features.rows, crossbar.rows)
        m.d.comb += _each(crossbar.words, features.words)

    def _connect_array(self, m, sequencer, crossbar, skew, weights, array, bypass):
        """Bring a step's weights and its last column's word to the array in the same cycle."""
        step = sequencer.step
        weight_step, edge_step = Signal(WeightStep), Signal(EdgeStep, name="edge_step")
        edge = edge_latency(self._config)
        m.d.comb += [
            weight_step.address.eq(step.weight_address),
            weight_step.control.enable.eq(step.valid & ~step.skip),
            weight_step.control.first.eq(step.first),
            weight_step.control.shift.eq(step.term),
            weight_step.control.last.eq(step.valid & step.last),
            weights.step.eq(delay(m, weight_step, edge - WEIGHT_STAGES, name="weight_step")),
            # The skip step's word replaces the maximum, so that one buffer serves residuals and
            # pooling.
            edge_step.load.eq(step.first | step.skip),
            edge_step.last.eq(step.valid & step.last),
            # The bypass counts its words, so that a reset must forget those on their way.
            bypass.step.eq(delay(m, edge_step, edge, name="edge_step", reset_less=False)),
        ]
        m.d.comb += _each(skew.i, crossbar.column_words)
        m.d.comb += _each(array.words, skew.o)
        if self._config.neighbours:
            beside = sequencer.instruction.neighbours.any()
            m.d.comb += array.beside.eq(delay(m, beside, edge, name="beside"))
        m.d.comb += _each(bypass.words, skew.o)
        m.d.comb += _each(array.weights, weights.weights)
        m.d.comb += _each(array.controls, weights.controls)

    def _connect_results(self, m, sequencer, array, bypass, tiles, epilogue):
        m.d.comb += [
            tiles.step.eq(sequencer.step),
            tiles.offsets.eq(sequencer.offsets),
            tiles.instruction.eq(sequencer.instruction),
            bypass.read.eq(tiles.bypass),
            epilogue.arrival.eq(tiles.arrival),
            epilogue.operand.eq(tiles.operand),
            epilogue.element.eq(tiles.element),
            epilogue.limits.eq(tiles.limits),
        ]
        for number in range(self._config.epilogue_words):
            m.d.comb += _each(epilogue.skips[number], bypass.skips[number])
            m.d.comb += _each(epilogue.sums[number], array.sums[number])

    def _connect_writes(self, m, features, bypass, tiles, epilogue):
        """Results and maxima meet in one register; their destinations have waited for them."""
        config = self._config
        landing, results, coming = self._landing(m, tiles, epilogue)
        to = landing.destination
        # With a reset, unlike data: a write that was under way must not land in the next run.
        valid = delay(m, landing.write, 1, name="valid", reset_less=False)
        # In every part of the word: the bank writes the one that the destination names.
        words = [
            Mux(to.all, maximum, result.replicate(config.parts))
            for maximum, result in zip(bypass.maxima, results, strict=True)
        ]
        for port, value in (
            (self.write_address, Cat(to.addresses)),
            (self.write_part, to.part),
            (self.write_all, to.all),
            (self.write_data, Cat(words)),
            (self.write_pass, to.number),
            (self.write_tag, to.tag),
        ):
            m.d.comb += port.eq(delay(m, value, 1, name=port.name))
        signals = delay(m, to.signals, 1 + FINISH_LATENCY, name="signals")
        m.d.comb += [
            self.write_valid.eq(valid),
            features.write.valid.eq(valid),
            features.write.addresses.eq(self.write_address),
            features.write.part.eq(self.write_part),
            features.write.all.eq(self.write_all),
            features.write.data.eq(self.write_data),
            features.write.sides.eq(delay(m, Cat(coming), 1 + SIDES_LEAD, name="sides")),
            self.sides.eq(delay(m, Cat(each.any() for each in coming), 1, name="taken")),
            self.finished.eq(
                delay(m, landing.final, 1 + FINISH_LATENCY, name="finish", reset_less=False)
            ),
            self.finished_signals.eq(signals),
        ]

    def _landing(self, m, tiles, epilogue):
        """The element that is written next, and its results or its entries of the rows' tables.

        The third value is of the element that lands ``SIDES_LEAD`` cycles later: its words on each
        side of the feature banks.
        """
        config = self._config
        wait = write_latency(config) - hold_latency(config) + _DESTINATION_LEAD - 1
        landing = Landing(config).create()
        early = delay(m, tiles.write, wait - SIDES_LEAD, name="early", reset_less=False)
        waited = delay(m, tiles.destination, wait - 1, name="destination")
        m.d.comb += [
            landing.write.eq(delay(m, early, SIDES_LEAD, name="write", reset_less=False)),
            landing.final.eq(delay(m, tiles.final, wait, name="final", reset_less=False)),
            # The last register is one by itself, as the way out of a shift register is slow.
            landing.destination.eq(delay(m, waited, 1, name="lands_at", reset_less=False)),
        ]
        at = delay(m, self._place(tiles.destination), wait - SIDES_LEAD, name="place")
        coming = self._on_sides(early, at, 0)
        if not config.tables:
            return landing, epilogue.results, coming
        # What goes through a table is known as early as it goes in.
        late = self._on_sides(landing.write, self._place(landing.destination), 1)
        coming = [one | other for one, other in zip(coming, late, strict=True)]
        m.submodules.tables = tables = Tables(config)
        connect(m, flipped(self.load_tables), tables.load)
        connect(m, landing, tables.i)
        m.d.comb += _each(tables.clamped, epilogue.results)
        return tables.o, tables.results, coming

    def _place(self, destination):
        """Whether an element goes through a table, and each of its words' sides."""
        bits = exact_log2(self._config.sides)
        return Cat(destination.table, *(address[:bits] for address in destination.addresses))

    def _on_sides(self, valid, place, table):
        """Of each side, the valid words on it of an element that has a ``table`` or has none."""
        bits = exact_log2(self._config.sides)
        own = [place[1:].word_select(n, bits) for n in range(len(valid))]
        return [
            Cat(
                word & (at == side) & (place[0] == table)
                for word, at in zip(valid, own, strict=True)
            )
            for side in range(self._config.sides)
        ]

    def _connect_memory(self, m, features, weights, epilogue):
        connect(m, flipped(self.load_features), features.load)
        connect(m, flipped(self.load_weights), weights.load)
        connect(m, flipped(self.load_parameters), epilogue.load)
        # Between the store engine and the banks, which tell late whether they can be read.
        m.submodules.requests = requests = Skid(shape=ADDRESS_BITS)
        connect(m, flipped(self.store_request), requests.i)
        connect(m, requests.o, features.store_request)
        m.d.comb += [
            self.store_valid.eq(features.store_valid),
            self.store_data.eq(features.store_data),
        ]


def _each(targets, values):
    """Assignments of ``values`` to ``targets``, one by one."""
    return [target.eq(value) for target, value in zip(targets, values, strict=True)]
