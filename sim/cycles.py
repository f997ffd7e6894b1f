"""Cycle model of a run: engines, instruction fetch, tokens, a memory of fixed latency and rate.

Next-event simulation: each part says when it can act next, the earliest acts. Latencies are
``hw.spec.timing``'s. Several cores share the memory's data paths as ``arbiter.sv`` says. Two things
are left out: writes of the load engine that wait for one of the epilogue on the same side of the
banks, and reads of the store engine that wait for either in a bank.
"""

from collections import deque
from dataclasses import dataclass, field
from functools import partial

from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.header import INSTRUCTION_BITS, Op
from hw.spec.timing import (
    DISPATCH_LATENCY,
    END_LATENCY,
    FETCH_BUFFER_BEATS,
    FETCH_BURST_BEATS,
    FETCH_LATENCY,
    FINISH_LATENCY,
    INSTRUCTION_GAP,
    INSTRUCTION_LEAST,
    ISSUE_LATENCY,
    LOAD_ADDRESS_LATENCY,
    LOAD_WORD_LATENCY,
    MAX_BURST_BEATS,
    QUEUE_DEPTH,
    READS_OUTSTANDING,
    RUN_GAP,
    STORE_ADDRESS_LATENCY,
    STORE_BEAT_LATENCY,
    TOKEN_LATENCY,
    TRANSFERS_IN_FLIGHT,
    WRITE_REUSE_LATENCY,
    WRITES_OUTSTANDING,
    write_latency,
)
from qnn.compiler.disassemble import instructions
from qnn.compiler.program import ENGINES, NAMES
from sim.dram import Channel
from sim.paths import Paths
from sim.spent import Spent, spent

NEVER = 1 << 62
WRITE_DATA_LATENCY = 2  # of `memory.sv`: from a write's address to its first beat


@dataclass(frozen=True)
class LayerTiming:
    """One layer of one image: cycles of its first step and of its last write, and what it cost."""

    name: str
    image: int
    issue_cycle: int
    last_write_cycle: int
    macs: int
    spent: Spent  # from the last step of the layer before to its own

    @property
    def cycles(self) -> int:
        """From the first step to the last write."""
        return self.last_write_cycle - self.issue_cycle


@dataclass(frozen=True)
class Timing:
    """One run, in cycles from the write of START.

    ``busy_cycles`` and ``stall_cycles`` are by engine: it works, or holds an instruction that
    waits for a token.
    """

    cycles: int
    layers: tuple[LayerTiming, ...]
    busy_cycles: dict[str, int]
    stall_cycles: dict[str, int]
    array_utilisation: float


def simulate_cycles(image: Image, latency: int = 32, bytes_per_cycle: int | None = None) -> Timing:
    """The timing of one run on one core; see ``simulate_cores``."""
    return simulate_cores(image, 1, latency, bytes_per_cycle)[0]


def simulate_cores(
    image: Image,
    cores: int,
    latency: int = 32,
    bytes_per_cycle: int | None = None,
    *,
    paths: int = 1,
) -> tuple[Timing, ...]:
    """The timing of a run on each of ``cores``, which start in one cycle.

    Parameters
    ----------
    latency : of the memory, from an address to its first beat
    bytes_per_cycle : that each core's port moves in each direction; None for the width of the bus
    paths : ports that move beats at a time, each way; the rest wait for their turn
    """
    rate = bytes_per_cycle or image.config.bus_bytes
    models = [_Model(image, latency, rate) for _ in range(cores)]
    _run(models, Paths(cores, paths), Paths(cores, paths))
    return tuple(_timing(image, model) for model in models)


def _timing(image, model):
    layers = _layers(image, model.layers, model.spent)
    config = image.config
    capacity = config.lanes * config.rows * config.columns * model.done
    return Timing(
        cycles=model.done,
        layers=layers,
        busy_cycles={name: model.engines[name].busy_cycles() for name in NAMES},
        stall_cycles={name: model.engines[name].stalled for name in NAMES},
        array_utilisation=sum(layer.macs for layer in image.layers) / capacity,
    )


def _run(models, reads: Paths, writes: Paths):
    """Let the earliest of all parts act until none can."""

    def serve(paths, ask, take, when):
        start, port = paths.next([ask(model) for model in models])
        if when is None:
            return start
        paths.take(port, start, take(models[port], start))
        return None

    actions = [
        partial(serve, reads, _Model.read_ask, _Model.serve_read),
        partial(serve, writes, _Model.write_ask, _Model.serve_write),
        *(action for model in models for action in model.actions()),
    ]
    while True:
        times = [action(None) for action in actions]
        when = min(times)
        if when == NEVER:
            break
        actions[times.index(when)](when)


def _layers(image, spans, spent):
    """Each layer of each image, all its parts together."""
    parts: dict[tuple[str, int], list] = {}
    for layer in image.layers:
        if layer.tag in spans:
            parts.setdefault((layer.name, layer.image), []).append(layer)
    return tuple(
        LayerTiming(
            *key,
            issue_cycle=min(spans[part.tag][0] for part in own),
            last_write_cycle=max(spans[part.tag][1] for part in own),
            macs=sum(part.macs for part in own),
            spent=sum((spent[part.tag] for part in own), Spent()),
        )
        for key, own in parts.items()
    )


@dataclass
class _Burst:
    """A read burst under way, for the instruction ``index``; the fetch has None."""

    beats: int
    due: int
    index: int | None
    last: bool


@dataclass
class _Engine:
    """An engine's queue, and the instructions that it has taken."""

    queue: deque = field(default_factory=deque)  # (index, cycle of the offer)
    taken: list = field(default_factory=list)  # cycles
    spans: list = field(default_factory=list)  # (taken, finished)
    stalled: int = 0
    last_offer: int = 0

    def busy_cycles(self):
        """Cycles covered by any span."""
        total, end = 0, 0
        for start, stop in sorted(self.spans):
            total += max(0, stop - max(start, end))
            end = max(end, stop)
        return total


class _Model:
    def __init__(self, image, latency, rate):
        self.image, self.latency = image, latency
        self.program = instructions(image)
        self.engines = {name: _Engine() for name in NAMES}
        self.tokens = {(a, b): deque() for a in NAMES for b in NAMES}
        self.bus = _ReadBus(Channel(image.config.bus_bytes, rate))
        self.writes = _WriteBus(Channel(image.config.bus_bytes, rate), latency)
        self.layers: dict[int, tuple[int, int]] = {}
        self.spent: dict[int, Spent] = {}
        self.came: dict[str, int] = {}  # when an instruction and its tokens came, of the newest
        self._fetch_setup()
        self.array = _Array(image.config)
        self.load_asks: deque = deque()  # (cycle, beats, index, last)
        self.load_free = 0  # the run generator takes the next instruction
        self.open_loads: dict[int, int] = {}
        self.ends = 0

    def _fetch_setup(self):
        config = self.image.config
        self.beats_each = INSTRUCTION_BITS // config.bus_bits
        self.fetch_left = len(self.program) * self.beats_each
        self.fetch_address = 0
        self.fetch_room = FETCH_BUFFER_BEATS
        self.fetch_next = FETCH_LATENCY
        self.arrived: list[int] = []  # cycle of each instruction's last beat
        self.partial = 0
        self.assembled = 0  # instructions that have left the fetch's buffer for its register
        self.assembled_at = 0
        self.dispatched = 0
        self.last_dispatch = -NEVER

    def actions(self):
        """The parts of one core, which act on nothing of another."""
        return (self._grant, self._assemble, self._dispatch, *self._takers())

    @property
    def done(self):
        return self.ends + END_LATENCY - 1  # the counter's first cycle follows START's

    def _takers(self):
        take = {"load": self._take_load, "compute": self._take_compute, "store": self._take_store}
        return [lambda when, n=name, t=take[name]: self._take(n, t, when) for name in NAMES]

    # The bus: address grants, then beats.

    def _fetch_ask(self):
        if not self.fetch_left:
            return NEVER, 0
        beats = min(FETCH_BURST_BEATS, self.fetch_left)
        return (self.fetch_next, beats) if beats <= self.fetch_room else (NEVER, 0)

    def _grant(self, when):
        fetch, beats = self._fetch_ask()
        fetch = self.bus.earliest("fetch", fetch)
        load = self.bus.earliest("load", self.load_asks[0][0] if self.load_asks else NEVER)
        if when is None:
            return min(fetch, load)
        if fetch <= load:
            self.bus.grant("fetch", when, _Burst(beats, when + self.latency, None, False))
            self.fetch_left -= beats
            self.fetch_room -= beats
            self.fetch_next = when + 1
        else:
            _, beats, index, last = self.load_asks.popleft()
            self.bus.grant("load", when, _Burst(beats, when + self.latency, index, last))
        return None

    def read_ask(self):
        """When the port has a burst of beats to give."""
        return self.bus.next_service()

    def serve_read(self, first):
        """Give that burst's beats from cycle ``first`` on; for how many cycles."""
        reader, burst, beats = self.bus.serve(first)
        if reader == "fetch":
            self._fetched(beats)
        elif burst.last:
            self._finish("load", burst.index, beats[-1] + LOAD_WORD_LATENCY)
        return beats[-1] + 1 - first

    def write_ask(self):
        """When the store engine has a burst of beats."""
        return self.writes.next_service()

    def serve_write(self, first):
        """Take that burst's beats from cycle ``first`` on; for how many cycles."""
        index, last = self.writes.asks[0][3:]
        beats = self.writes.serve(first)
        if last:
            self._finish("store", index, self.writes.answers[-1])
        return beats[-1] + 1 - first

    def _fetched(self, beats):
        for cycle in beats:
            self.partial += 1
            if self.partial == self.beats_each:
                self.arrived.append(cycle)
                self.partial = 0

    # Instructions to queues to engines.

    def _assemble(self, when):
        """Beats leave the buffer, one a cycle, once the instruction before is out of their way."""
        if self.assembled > self.dispatched or self.assembled == len(self.arrived):
            return NEVER
        there = self.arrived[self.assembled] + DISPATCH_LATENCY - 1
        ready = max(there, self.last_dispatch + self.beats_each)
        if when is None:
            return ready
        self.assembled += 1
        self.assembled_at = when
        self.fetch_room += self.beats_each
        self.fetch_next = max(self.fetch_next, when + 1)
        return None

    def _dispatch(self, when):
        if self.dispatched == self.assembled:
            return NEVER
        fields = self.program[self.dispatched]
        ready = self.assembled_at
        if fields["op"] is not Op.END:
            engine = self.engines[ENGINES[fields["op"]]]
            if len(engine.queue) >= QUEUE_DEPTH:
                return NEVER
            if len(engine.queue) == QUEUE_DEPTH - 1 and engine.taken:
                ready = max(ready, engine.taken[-1] + 1)
        if when is None:
            return ready
        if fields["op"] is Op.END:
            self.ends = max(self.ends, when)
        else:
            engine.queue.append((self.dispatched, when + 1))
        self.dispatched += 1
        self.last_dispatch = when
        return None

    def _take(self, name, take, when):
        """The head of a queue passes when its tokens are there and its engine is free."""
        engine = self.engines[name]
        if not engine.queue:
            return NEVER
        index, offered = engine.queue[0]
        fields = self.program[index]
        waits = {o: self.tokens[o, name] for o in NAMES if fields[f"wait_{o}"]}
        if not all(waits.values()):
            return NEVER
        head = max(offered, engine.taken[-1] + 1 if engine.taken else 0)
        came = {"fetch": head} | {o: tokens[0] + TOKEN_LATENCY for o, tokens in waits.items()}
        ready = max(came.values())
        free = take(index, fields, None)
        if free == NEVER or when is None:
            return max(ready, free)
        for tokens in waits.values():
            tokens.popleft()
        engine.stalled += ready - head
        self.came = came
        engine.queue.popleft()
        engine.taken.append(when)
        take(index, fields, when)
        return None

    def _finish(self, name, index, when):
        fields = self.program[index]
        for other in NAMES:
            if fields[f"signal_{other}"]:
                self.tokens[name, other].append(when)
        engine = self.engines[name]
        engine.spans.append((engine.taken[len(engine.spans)], when + 1))
        self.ends = max(self.ends, when)

    def _room(self, name):
        """When the engine can take one more instruction behind those in flight."""
        engine = self.engines[name]
        if len(engine.taken) < TRANSFERS_IN_FLIGHT:
            return 0
        oldest = len(engine.taken) - TRANSFERS_IN_FLIGHT
        return engine.spans[oldest][1] if oldest < len(engine.spans) else NEVER

    def _take_load(self, index, fields, when):
        if when is None:
            return max(self._room("load"), self.load_free if not self.load_asks else NEVER)
        cycle = when + LOAD_ADDRESS_LATENCY
        for number, beats in enumerate(bursts := self._bursts(fields)):
            self.load_asks.append((cycle, beats, index, number == len(bursts) - 1))
            cycle += 1 if beats == MAX_BURST_BEATS else RUN_GAP
        self.load_free = when + 2
        return None

    def _bursts(self, fields):
        """Beats of every burst of a transfer: runs are cut at multiples of the longest burst."""
        config = self.image.config
        bits = {
            Buffer.FEATURES: config.feature_bits,
            Buffer.WEIGHTS: config.weight_word_bits,
            Buffer.PARAMETERS: config.rows * config.parameter_bits,
        }[Buffer(fields["buffer"])]
        result = []
        for row in range(fields["rows"]):
            beat = (fields["offset"] + row * fields["offset_step"]) // config.bus_bytes
            left = fields["words"] * config.beats(bits)
            while left:
                beats = min(left, MAX_BURST_BEATS - beat % MAX_BURST_BEATS)
                result.append(beats)
                beat, left = beat + beats, left - beats
        return result

    def _take_store(self, index, fields, when):
        if when is None:
            return self._room("store")
        address, beat = when + STORE_ADDRESS_LATENCY, when + STORE_BEAT_LATENCY
        for number, beats in enumerate(bursts := self._bursts(fields)):
            self.writes.asks.append((address, beat, beats, index, number == len(bursts) - 1))
        return None

    def _take_compute(self, index, fields, when):
        if when is None:
            return self.array.free
        tag = fields["tag"]
        issue, last_write, finish = self.array.issue(fields, when)
        self.layers[tag] = (self.layers.get(tag, (issue, 0))[0], last_write)
        self.spent[tag] = self.spent.get(tag, Spent()) + self.array.spent(self.came)
        self._finish("compute", index, finish)
        return None


class _ReadBus:
    """Grants of one burst a cycle, and its beats, in the order of the grants."""

    def __init__(self, channel):
        self.channel = channel
        self.open = {"load": deque(), "fetch": deque()}
        self.next_grant = 0
        self.free = 0  # the data channel
        self.released = {"load": 0, "fetch": 0}

    def earliest(self, reader, ask):
        """When a burst asked for at ``ask`` can be granted."""
        if ask == NEVER or len(self.open[reader]) >= READS_OUTSTANDING:
            return NEVER
        if len(self.open[reader]) == READS_OUTSTANDING - 1:
            ask = max(ask, self.released[reader] + 1)
        return max(ask, self.next_grant)

    def grant(self, reader, when, burst):
        self.open[reader].append(burst)
        self.next_grant = when + 1

    def next_service(self):
        due = [queue[0].due for queue in self.open.values() if queue]
        return max(self.free, self.channel.free, min(due)) if due else NEVER

    def serve(self, first):
        """Give the burst that waits, from cycle ``first`` on: reader, burst, its beats' cycles."""
        asked = [name for name, queue in self.open.items() if queue]
        reader = min(asked, key=lambda name: self.open[name][0].due)
        burst = self.open[reader].popleft()
        beats = self.channel.send(first, burst.beats)
        self.free = self.released[reader] = beats[-1] + 1
        return reader, burst, beats


class _WriteBus:
    """Bursts of the store engine in order, and their responses."""

    def __init__(self, channel, latency):
        self.channel, self.latency = channel, latency
        self.asks: deque = deque()  # (cycles of address and beat at least, beats, index, last)
        self.address = 0  # cycle from which on AW is free
        self.free = 0  # the data channel
        self.answers: deque = deque(maxlen=WRITES_OUTSTANDING)

    def next_service(self):
        if not self.asks:
            return NEVER
        beat = max(self.asks[0][1], self._address() + WRITE_DATA_LATENCY)
        return max(beat, self.free, self.channel.free)

    def serve(self, first):
        """Take the burst that waits, from cycle ``first`` on: each beat's cycle."""
        self.address = self._address() + 1
        beats = self.channel.send(first, self.asks.popleft()[2])
        self.free = beats[-1] + 1
        self.answers.append(beats[-1] + self.latency)
        return beats

    def _address(self):
        """When the address of the burst that waits is taken."""
        at = max(self.asks[0][0], self.address)
        if len(self.answers) == WRITES_OUTSTANDING:
            at = max(at, self.answers[0] + WRITE_REUSE_LATENCY)
        return at


class _Array:
    """The sequencer: see ``hw.spec.timing`` for the rule."""

    def __init__(self, config):
        self.latency = write_latency(config)
        self.free = 0  # from when on one instruction can wait at the sequencer
        self.first = self.last = -NEVER
        self.interval = 0

    def issue(self, fields, offered):
        """Cycles of the first step, the last write and the ``finished`` pulse."""
        drained = self.last + self.latency + self.interval - fields["fence"]
        self.before = max(0, self.last + INSTRUCTION_GAP)
        self.let = max(drained, self.first + INSTRUCTION_LEAST, self.free + ISSUE_LATENCY)
        self.start = first = max(offered + ISSUE_LATENCY, self.before, self.let)
        steps = fields["kernel_x"] * fields["kernel_y"] * fields["blocks"] * fields["terms"]
        steps += fields["skip"]
        tiles = fields["tiles_x"] * fields["tiles_y"]
        last = max(first + steps - 1, self.last + self.interval)
        if steps == 1:
            first = last
        last += (tiles - 1) * max(steps, fields["interval"])
        self.first, self.last, self.interval = first, last, fields["interval"]
        self.free, self.steps = first, tiles * steps
        writes = fields["passes"] * fields["columns"]
        finish = last + self.latency + writes - 1 + FINISH_LATENCY
        return first, last + self.latency + _last_write(fields), finish

    def spent(self, came):
        """Of the newest instruction, which came with its tokens at the times ``came``."""
        ready = {cause: when + ISSUE_LATENCY for cause, when in came.items()}
        return spent(
            before=self.before,
            ready={**ready, "dependence": self.let},
            start=self.start,
            last=self.last,
            steps=self.steps,
        )


def _last_write(fields):
    """Cycles from a last tile's first write to its last one that is inside the output."""
    x = fields["output_width"] - (fields["tiles_x"] - 1) * fields["tile_width"]
    y = fields["output_height"] - (fields["tiles_y"] - 1) * fields["tile_height"]
    column = (min(y, fields["tile_height"]) - 1) * fields["tile_width"]
    column += min(x, fields["tile_width"]) - 1
    return (fields["passes"] - 1) * fields["columns"] + column
