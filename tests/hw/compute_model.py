"""The compute core in plain integers: what TILES instructions write, where, and in which cycle."""

from dataclasses import dataclass
from itertools import product

from hw.spec import timing
from hw.spec.config import COLUMN_STEPS, SvpeConfig
from hw.spec.isa import codes
from hw.spec.isa.header import Op


def wrap(value, bits):
    """``value`` in ``bits``-bit two's complement."""
    value &= (1 << bits) - 1
    return value - (value >> (bits - 1) << bits)


@dataclass
class State:
    """The buffers: lanes of each feature word, codes by row of each weight word, parameters,
    and the rows' entries of each word of the tables.
    """

    config: SvpeConfig
    features: list
    weights: list
    parameters: list
    tables: list


@dataclass(frozen=True)
class Written:
    """One word that the epilogue writes; ``lanes`` are those that it holds."""

    cycle: int
    tag: int
    address: int
    part: int
    whole: bool
    number: int
    lanes: tuple


@dataclass
class Clock:
    """When steps issue: the rules at the top of ``hw.spec.timing``."""

    config: SvpeConfig
    first: int | None = None  # when the newest instruction started
    last: int | None = None  # step of the newest tile
    interval: int = 0
    late: int = 0  # of the newest instruction

    def begin(self, instruction, offered):
        """The cycle in which an instruction starts."""
        at = offered + timing.ISSUE_LATENCY
        if self.first is not None:
            drained = self.last + timing.write_latency(self.config) + self.late + self.interval
            at = max(
                at,
                self.last + timing.INSTRUCTION_GAP,
                self.first + timing.INSTRUCTION_LEAST,
                drained - instruction["fence"],
            )
        self.first, self.late = at, lateness(instruction)
        return at

    def end_tile(self, at, instruction):
        """The cycle of a tile's last step that could issue in cycle ``at``."""
        if self.last is not None:
            at = max(at, self.last + max(1, self.interval))
        self.last, self.interval = at, instruction["interval"]
        return at


def lateness(instruction):
    """Cycles by which an instruction's writes come later."""
    tabled = timing.TABLE_STAGES * instruction.get("table", 0)
    return tabled + timing.PRODUCT_STAGES * instruction.get("multiply", 0)


def execute(state, instruction, clock, offered):
    """Run one instruction on ``state``; returns its first step's cycle, and what it wrote."""
    begins, written = None, []
    at = clock.begin(instruction, offered)
    for tile_y, tile_x in product(range(instruction["tiles_y"]), range(instruction["tiles_x"])):
        steps = list(steps_of(instruction))
        total = len(steps) + instruction["skip"]
        if begins is None and total > 1:
            begins = at
        last = clock.end_tile(at + total - 1, instruction)
        if begins is None:
            begins = last
        at = last + 1
        results = _tile(state, instruction, steps, tile_y, tile_x)
        due = last + timing.write_latency(state.config) + lateness(instruction)
        written += [Written(due + n, instruction["tag"], *rest) for n, rest in results]
    for one in written:
        _store(state, one)
    writes = instruction["passes"] * turns(state.config, instruction)
    finished = due + writes - 1 + timing.FINISH_LATENCY
    return begins, written, finished


def turns(config, instruction):
    """Cycles in which one pass over a tile is written."""
    return -(-written(instruction) // config.epilogue_words)


def written(instruction):
    """Columns whose results are written."""
    return instruction["columns"] - instruction["neighbours"]


def requests(config, instruction, step, tile_y, tile_x):
    """(address, inside) of each column in one step; ``step`` is None for the skip step."""
    for column in range(instruction["columns"]):
        bits = [b for b in range(COLUMN_STEPS) if column >> b & 1]
        if step is None:
            address = (
                instruction["skip_address"]
                + tile_y * instruction["skip_tile_y_step"]
                + tile_x * instruction["skip_tile_x_step"]
                + sum(instruction[f"skip_column_{b}"] for b in bits)
            )
            yield address % config.feature_words, True
            continue
        _, kernel_y, kernel_x, block = step
        across = kernel_x * instruction["kernel_x_stride"] + tile_x * instruction["tile_x_stride"]
        down = kernel_y * instruction["kernel_y_stride"] + tile_y * instruction["tile_y_stride"]
        x = instruction["input_x"] + across + sum(instruction[f"column_x_{b}"] for b in bits)
        y = instruction["input_y"] + down + sum(instruction[f"column_y_{b}"] for b in bits)
        address = (
            instruction["input_address"]
            + block * instruction["block_step"]
            + kernel_y * instruction["kernel_y_step"]
            + tile_y * instruction["tile_y_step"]
            + across
            + sum(instruction[f"column_address_{b}"] for b in bits)
        )
        inside = 0 <= x < instruction["input_width"] and 0 <= y < instruction["input_height"]
        yield address % config.feature_words, inside


def steps_of(instruction):
    """(term, kernel_y, kernel_x, block) of each step of a tile, without the skip step."""
    return product(
        *(range(instruction[name]) for name in ("terms", "kernel_y", "kernel_x", "blocks"))
    )


def _tile(state, instruction, steps, tile_y, tile_x):
    """(cycles after the first write, address, part, whole, pass, lanes) of each write."""
    config = state.config
    words = [_words(state, instruction, step, tile_y, tile_x) for step in steps]
    skips = [[0] * config.lanes] * instruction["columns"]
    if instruction["skip"]:
        skips = _words(state, instruction, None, tile_y, tile_x)
    for number, column in product(range(instruction["passes"]), range(written(instruction))):
        right, down = column % instruction["tile_width"], column // instruction["tile_width"]
        x = tile_x * instruction["tile_width"] + right
        y = tile_y * instruction["tile_height"] + down
        if x >= instruction["output_width"] or y >= instruction["output_height"]:
            continue
        address = (
            instruction["output_address"]
            + tile_y * instruction["output_tile_y_step"]
            + tile_x * instruction["output_tile_x_step"]
            + right * instruction["output_step"]
            + down * instruction["output_pitch"]
            + number * instruction["pass_step"]
        ) % (1 << 20)
        own = range(column, column + 1 + instruction["neighbours"])
        window = [[step[n] for n in own] for step in words]
        if instruction["op"] == Op.MAXPOOL:
            values = [step[0] for step in window]
            lanes, whole = tuple(max(lane) for lane in zip(*values, strict=True)), True
        else:
            lanes = tuple(
                _channel(state, instruction, window, skips[column], row, number)
                for row in range(config.rows)
            )
            whole = False
        order = number * turns(config, instruction) + column // config.epilogue_words
        yield order, (address, instruction["output_part"], whole, number, lanes)


def _words(state, instruction, step, tile_y, tile_x):
    pad = [wrap(instruction["pad_value"], state.config.activation_bits)] * state.config.lanes
    return [
        state.features[address] if inside else pad
        for address, inside in requests(state.config, instruction, step, tile_y, tile_x)
    ]


def _channel(state, instruction, window, skip, row, number):
    config = state.config
    acc, term_steps = 0, len(window) // instruction["terms"]
    for n, near in enumerate(window):
        if n % term_steps == 0:
            acc <<= config.term_shift
        address = instruction["weight_address"] + n * instruction["weight_step"]
        for lane, code in enumerate(state.weights[address][row]):
            activation = _activation(config, near, row, lane)
            acc += activation * codes.integer(codes.decode(code, config.weight_bits))
    own = state.parameters[instruction["parameter_address"]][row]
    acc = wrap(acc, config.accumulator_bits)
    skip_value = 0
    if instruction["skip"]:
        skip_value = skip[instruction["skip_part"] * config.rows + row]
    if instruction["multiply"]:
        acc = _factor(config, acc, instruction["sum_unsigned"]) * (
            _factor(config, skip_value, instruction["skip_unsigned"])
        )
        skip_value = 0
    value = wrap(
        (acc << own["left"]) + own["bias"] + (skip_value << own["skip_left"]), config.result_bits
    )
    if instruction["passes"] > 1:
        return wrap(value >> (number * config.activation_bits), config.activation_bits)
    clamped = min(max(value >> own["right"], instruction["low"]), instruction["high"])
    if not instruction["table"]:
        return clamped
    entries = 1 << config.table_bits
    return state.tables[instruction["table_address"] * entries + clamped % entries][row]


def _activation(config, near, row, lane):
    """What a row multiplies at a lane: a value of its own word, or of a neighbour's."""
    number = (row - lane) % config.lanes
    return near[number][row] if 0 < number < len(near) else near[0][lane]


def _factor(config, stored, is_unsigned):
    bits = config.activation_bits
    return wrap(stored, bits) + (is_unsigned << (bits - 1))


def _store(state, one):
    word = state.features[one.address % state.config.feature_words]
    first = 0 if one.whole else one.part * state.config.rows
    word[first : first + len(one.lanes)] = one.lanes
