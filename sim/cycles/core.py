"""One core of the cycle model: its fetch, queues, tokens and engines, and the buses' two ends."""

from collections import deque
from collections.abc import Callable

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.end import End
from hw.spec.isa.header import Engine
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer
from hw.spec.timing import (
    END_LATENCY,
    INSTRUCTION_GAP,
    LOAD_BEAT_LATENCY,
    LOAD_BUFFER_BEATS,
    LOAD_ROOM_LATENCY,
    LOAD_WORD_LATENCY,
    MAX_BURST_BEATS,
    RUN_GAP,
    STORE_ADDRESS_LATENCY,
    STORE_BEAT_LATENCY,
    TOKEN_LATENCY,
)
from sim.cycles.array import Array
from sim.cycles.buses import Burst, ReadBus, WriteBus
from sim.cycles.engine import EngineState
from sim.cycles.fetch import FetchModel
from sim.cycles.load import LoadRuns
from sim.cycles.never import NEVER
from sim.cycles.store import StoreReader
from sim.dram import Channel
from sim.spent import SpentCycles


class CoreModel:
    """A run of ``image`` on a memory of ``latency`` cycles and ``rate`` bytes per cycle.

    The methods that take ``when`` are parts that act: called with None, each says when it can act
    next; called with that cycle, it acts.
    """

    def __init__(self, image: Image, latency: int, rate: int):
        config = image.config
        self.config, self.latency = config, latency
        self.program = image.program.instructions
        self.fetch = FetchModel(config, len(self.program))
        self.engines = {engine: EngineState() for engine in Engine}
        self.tokens = {(a, b): deque() for a in Engine for b in Engine}
        self.bus = ReadBus(Channel(config.bus_bytes, rate))
        self.writes = WriteBus(Channel(config.bus_bytes, rate), latency)
        self.array = Array(config)
        self.stored = StoreReader(config, self.array.meets)
        self.delivered: dict[int, int] = {}  # beats of each load
        self.loaded = 0  # cycle in which the newest word was written
        # Cycles in which the newest beats left the load engine's buffer for their words.
        self.left = deque([-NEVER] * LOAD_BUFFER_BEATS, maxlen=LOAD_BUFFER_BEATS)
        self.layers: dict[int, tuple[int, int]] = {}
        self.spent: dict[int, SpentCycles] = {}
        self.came: dict[str, int] = {}  # when an instruction and its tokens came, of the newest
        self.loads = LoadRuns()
        self.ends = self.moved_bytes = 0

    def actions(self) -> tuple[Callable, ...]:
        """The parts of one core, which act on nothing of another."""
        take = {
            Engine.LOAD: self._take_load,
            Engine.COMPUTE: self._take_compute,
            Engine.STORE: self._take_store,
        }
        takers = [lambda when, e=engine, t=take[engine]: self._take(e, t, when) for engine in take]
        return (self._grant, self.fetch.assemble, self._dispatch, *takers)

    @property
    def done(self) -> int:
        """The cycles of the whole run."""
        return self.ends + END_LATENCY - 1  # the counter's first cycle follows START's

    # The bus: address grants, then beats.

    def _grant(self, when):
        fetch, beats = self.fetch.ask()
        fetch = self.bus.earliest("fetch", fetch)
        load = self.bus.earliest("load", self.loads.ask())
        if when is None:
            return min(fetch, load)
        # The fetch goes first, as in hw.read_channel.
        if fetch <= load:
            self.bus.grant("fetch", when, Burst(beats, when + self.latency, None, False))
            self.fetch.granted(when, beats)
        else:
            beats, index, last = self.loads.grant(when)
            self.bus.grant("load", when, Burst(beats, when + self.latency, index, last))
        return None

    def read_ask(self) -> int:
        """When the port has a burst of beats to give."""
        return self.bus.next_service()

    def serve_read(self, first: int) -> int:
        """Give that burst's beats from cycle ``first`` on; returns for how many cycles."""
        reader, burst, beats = self.bus.serve(first, self._taken)
        if reader == "fetch":
            self.fetch.came(beats)
        elif burst.last:
            self._finish(Engine.LOAD, burst.index, self.loaded)
        self.moved_bytes += len(beats) * self.config.bus_bytes
        return beats[-1] + 1 - first

    def _taken(self, burst, beat):
        """When a beat that the memory has in the cycle ``beat`` is taken.

        A feature word waits for writes of the epilogue on its side of the banks; beats wait behind
        it, of which there is room for ``LOAD_BUFFER_BEATS``, and behind them those of the fetch.
        Writes of an instruction that starts after the burst's first beat are not known yet.
        """
        taken = max(beat, self.left[0] + LOAD_ROOM_LATENCY)
        if burst.index is None:
            return taken
        load = self.program[burst.index]
        each = load.buffer.word_beats(self.config)
        done = self.delivered[burst.index] = self.delivered.get(burst.index, 0) + 1
        # One word is put together at a time, a beat per cycle.
        left = max(taken + LOAD_BEAT_LATENCY, self.left[-1] + 1, self.loaded)
        self.left.append(left)
        if done % each == 0:
            self.loaded = left + LOAD_WORD_LATENCY - LOAD_BEAT_LATENCY
            if load.buffer is Buffer.FEATURES:
                row, word = divmod(done // each - 1, load.words)
                address = load.address + row * load.address_step + word
                self.loaded = self.array.load(self.loaded, address)
        return taken

    def write_ask(self) -> int:
        """When the store engine has a burst of beats."""
        return self.writes.next_service()

    def serve_write(self, first: int) -> int:
        """Take that burst's beats from cycle ``first`` on; returns for how many cycles."""
        index, last = self.writes.asks[0][3:]
        beats = self.writes.serve(first, self.stored)
        if last:
            self._finish(Engine.STORE, index, self.writes.answers[-1])
        self.moved_bytes += len(beats) * self.config.bus_bytes
        return beats[-1] + 1 - first

    # Instructions to queues to engines.

    def _dispatch(self, when):
        ready = self.fetch.ready()
        if ready == NEVER:
            return NEVER
        index = self.fetch.dispatched
        instruction = self.program[index]
        over = isinstance(instruction, End)
        if not over:
            ready = max(ready, self.engines[instruction.engine].queue_ready())
        if when is None or ready == NEVER:
            return ready
        if over:
            self.ends = max(self.ends, when)
        else:
            self.engines[instruction.engine].queue.append((index, when + 1))
        self.fetch.dispatch(when)
        return None

    def _take(self, engine, take, when):
        """The head of a queue passes when its tokens are there and its engine is free."""
        state = self.engines[engine]
        if not state.queue:
            return NEVER
        index = state.queue[0][0]
        instruction = self.program[index]
        waits = {other: self.tokens[other, engine] for other in instruction.waits}
        if not all(waits.values()):
            return NEVER
        head = state.head()
        came = {"fetch": head}
        came |= {other.word: tokens[0] + TOKEN_LATENCY for other, tokens in waits.items()}
        ready = max(came.values())
        # None asks the engine when it could take the instruction.
        free = take(index, instruction, None)
        if free == NEVER or when is None:
            return max(ready, free)
        for tokens in waits.values():
            tokens.popleft()
        self.came = came
        state.take(when, ready - head)
        take(index, instruction, when)
        return None

    def _finish(self, engine, index, when):
        # Tokens are given when the last write has landed, not when the instruction was taken.
        for other in self.program[index].signals:
            self.tokens[engine, other].append(when)
        self.engines[engine].finish(when)
        self.ends = max(self.ends, when)

    def _take_load(self, index, load, when):
        if when is None:
            return max(self.engines[Engine.LOAD].next_take(), self.loads.next_take())
        self.loads.take(_runs(load, self.config), index, when)
        return None

    def _take_store(self, index, store, when):
        if when is None:
            return self.engines[Engine.STORE].next_take()
        self.stored.take(store, when)
        address, beat = when + STORE_ADDRESS_LATENCY, when + STORE_BEAT_LATENCY
        runs = _runs(store, self.config)
        for bursts in runs:
            for number, beats in enumerate(bursts, 1):
                last = bursts is runs[-1] and number == len(bursts)
                self.writes.asks.append((address, beat, beats, index, last))
                # Bursts of one run follow each other; the next run starts after a gap.
                address += RUN_GAP if number == len(bursts) else 1
        return None

    def _take_compute(self, index, tiles: Tiles, when):
        if when is None:
            return self.array.free
        tag = tiles.tag
        issue, last_write, finish = self.array.issue(tiles, when)
        # Until it starts it stands in its queue, where it takes another one's place.
        self.engines[Engine.COMPUTE].taken[-1] = self.array.start - INSTRUCTION_GAP
        self.layers[tag] = (self.layers.get(tag, (issue, 0))[0], last_write)
        self.spent[tag] = self.spent.get(tag, SpentCycles()) + self.array.spent(self.came)
        self._finish(Engine.COMPUTE, index, finish)
        return None


def _runs(transfer: Transfer, config: SvpeConfig) -> list[list[int]]:
    """Beats of every burst of each run of a transfer, cut at multiples of the longest burst."""
    result: list[list[int]] = []
    for row in range(transfer.rows):
        beat = (transfer.offset + row * transfer.offset_step) // config.bus_bytes
        left = transfer.run_beats(config)
        result.append([])
        while left:
            beats = min(left, MAX_BURST_BEATS - beat % MAX_BURST_BEATS)
            result[-1].append(beats)
            beat, left = beat + beats, left - beats
    return result
