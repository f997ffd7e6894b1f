"""One core of the cycle model: its fetch, queues, tokens and engines, and the buses' two ends."""

from collections import deque
from collections.abc import Callable
from functools import partial

from hw.spec.image import Image
from hw.spec.isa.end import End
from hw.spec.isa.header import Engine
from hw.spec.isa.tiles import Tiles
from hw.spec.timing import (
    END_LATENCY,
    INSTRUCTION_GAP,
    LOAD_ADDRESS_LATENCY,
    STORE_ADDRESS_LATENCY,
    TOKEN_LATENCY,
)
from sim.cycles.array import Array
from sim.cycles.buses import ReadBurst, ReadBus, WriteBus
from sim.cycles.engine import EngineState
from sim.cycles.fetch import FetchModel
from sim.cycles.never import NEVER
from sim.cycles.runs import Runs
from sim.cycles.store import StoreWords
from sim.cycles.words import LoadWords
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
        self.array = Array(config)
        self.loaded = LoadWords(config, self.array, partial(self._finish, Engine.LOAD))
        self.stored = StoreWords(config, self.array.meets)
        self.loads = Runs(config, LOAD_ADDRESS_LATENCY)
        self.stores = Runs(config, STORE_ADDRESS_LATENCY)
        self.reads = ReadBus(Channel(config.bus_bytes, rate), self.loaded.room)
        self.writes = WriteBus(Channel(config.bus_bytes, rate), latency, self.stored)
        self.layers: dict[int, tuple[int, int]] = {}
        self.spent: dict[int, SpentCycles] = {}
        self.came: dict[str, int] = {}  # when an instruction and its tokens came, of the newest
        self.ends = self.moved_bytes = 0

    def actions(self) -> tuple[Callable, ...]:
        """The parts of one core, which act on nothing of another."""
        take = {
            Engine.LOAD: self._take_load,
            Engine.COMPUTE: self._take_compute,
            Engine.STORE: self._take_store,
        }
        takers = [lambda when, e=engine, t=take[engine]: self._take(e, t, when) for engine in take]
        words = (self._write_loaded, self._read_stored)
        return (self._grant, self._send, self.fetch.assemble, self._dispatch, *words, *takers)

    @property
    def done(self) -> int:
        """The cycles of the whole run."""
        return self.ends + END_LATENCY - 1  # the counter's first cycle follows START's

    # The buses: address grants, then beats, and the words of both engines.

    def _grant(self, when):
        fetch, beats = self.fetch.ask()
        fetch = self.reads.earliest("fetch", fetch)
        load = self.reads.earliest("load", self.loads.ask())
        if when is None:
            return min(fetch, load)
        # The fetch goes first, as in hw.read_channel.
        if fetch <= load:
            self.reads.grant(when, ReadBurst("fetch", beats, when + self.latency))
            self.fetch.granted(when, beats)
        else:
            beats = self.loads.grant(when).beats
            self.reads.grant(when, ReadBurst("load", beats, when + self.latency))
        return None

    def _send(self, when):
        if when is None:
            return self.writes.earliest(self.stores.ask())
        self.writes.send(when, self.stores.grant(when))
        return None

    def read(self, now: int) -> int | None:
        """Take beats of a burst from the cycle ``now`` on; gives the cycle after its last one.

        None where it is not settled yet when the next beat has room.
        """
        beat = now
        while beat != NEVER:
            reader, ends = self.reads.take(beat)
            self.moved_bytes += self.config.bus_bytes
            if reader == "fetch":
                self.fetch.came(beat)
            else:
                self.loaded.take(beat, now)
            if ends:
                return beat + 1
            beat = self.reads.next_beat()
        return None

    def write(self, now: int) -> int | None:
        """Send beats of a burst from the cycle ``now`` on; gives the cycle after its last one.

        None where it is not settled yet when the next word is read.
        """
        beat = now
        while beat != NEVER:
            burst, ends = self.writes.take(beat)
            self.moved_bytes += self.config.bus_bytes
            self._read_stored(now)
            if ends:
                if burst.ends is not None:
                    self._finish(Engine.STORE, burst.ends, beat + self.latency)
                return beat + 1
            beat = self.writes.next_beat()
        return None

    def _write_loaded(self, when):
        if when is None:
            return self.loaded.next_offer()
        self.loaded.settle(when)
        return None

    def _read_stored(self, when):
        if when is None:
            return self.stored.next_request()
        # No burst that is not granted yet has a beat before its latency.
        beat = self.reads.next_beat() if self.reads.open else when + self.latency
        self.stored.settle(min(self.array.settled(when), self.loaded.settled(max(when, beat))))
        return None

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
        self.loads.take(index, load, when)
        self.loaded.expect(index, load)
        return None

    def _take_store(self, index, store, when):
        if when is None:
            return max(self.engines[Engine.STORE].next_take(), self.stores.next_take())
        self.stores.take(index, store, when)
        self.stored.take(store, when)
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
