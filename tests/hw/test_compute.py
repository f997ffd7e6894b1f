"""The whole compute core in Verilator against plain integers: values, places and cycles."""

import json
import random
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import pytest

from hw.compute import Compute
from hw.spec import timing
from hw.spec.config import COLUMN_STEPS, SvpeConfig, named_config
from hw.spec.isa.encoding import TILES
from hw.spec.isa.header import Op
from hw.spec.isa.parameters import parameters
from hw.verilog import files
from sim.runner import build, run
from tests.hw.compute_model import (
    Clock,
    State,
    execute,
    lateness,
    requests,
    steps_of,
    turns,
    wrap,
    written,
)

pytestmark = pytest.mark.rtl
MOST_TAPS = 110  # of an instruction that is drawn
# Of weights for one neighbour, and as many for each further one: at a buffer's start.
BESIDE_WORDS = 128


def random_state(config, rng):
    """Every buffer full of anything that it can hold."""
    half = 1 << (config.activation_bits - 1)
    features = [
        [rng.randint(-half, half - 1) for _ in range(config.lanes)]
        for _ in range(config.feature_words)
    ]
    weights = [
        [
            [rng.getrandbits(config.weight_bits) for _ in range(config.lanes)]
            for _ in range(config.rows)
        ]
        for _ in range(config.weight_words)
    ]
    for address in range(0, config.neighbours * BESIDE_WORDS):
        _leave_neighbours(config, weights[address], 1 + address // BESIDE_WORDS)
    bias = 1 << (config.result_bits - 2)
    most = config.result_bits - 1  # places of a shift
    channels = [
        [
            {
                "bias": rng.randint(-bias, bias - 1) >> rng.randint(0, 20),
                "left": rng.choice((0, 0, rng.randint(0, most))),
                "skip_left": rng.choice((0, rng.randint(0, most))),
                "right": rng.choice((0, 4, 6, rng.randint(0, most))),
            }
            for _ in range(config.rows)
        ]
        for _ in range(config.parameter_words)
    ]
    tables = [
        [rng.randint(-half, half - 1) for _ in range(config.rows)]
        for _ in range(config.table_words)
    ]
    return State(config, features, weights, channels, tables)


def _leave_neighbours(config, word, count):
    """Make all codes zero but those of a row's own lane and of ``count`` neighbours."""
    for row, codes in enumerate(word):
        for lane in range(config.lanes):
            if (row - lane) % config.lanes > count:
                codes[lane] = 0


def packed(values, bits):
    return sum((value & ((1 << bits) - 1)) << (n * bits) for n, value in enumerate(values))


def write(address, address_bits, data):
    """A loaded word as its stream takes it."""
    return address | data << address_bits


@dataclass(frozen=True)
class Traffic:
    """Feature words that are loaded (address, lanes), and addresses stored, during a program."""

    loads: tuple = ()
    stores: tuple = ()


def random_traffic(config, rng, count):
    """Loads to one part of what no instruction touches, and stores of the other."""
    first, half = config.feature_words * 7 // 8, 1 << (config.activation_bits - 1)
    middle = (first + config.feature_words) // 2
    words = [[rng.randrange(-half, half) for _ in range(config.lanes)] for _ in range(count)]
    return Traffic(
        tuple((rng.randrange(middle, config.feature_words), word) for word in words),
        tuple(rng.randrange(first, middle) for _ in range(count)),
    )


def script(state, programs, traffic):
    """What the bench needs to fill the buffers, run ``programs`` and read the features back."""
    config = state.config
    layout = parameters(config)
    return {
        "features": [
            write(n, 20, packed(word, config.activation_bits))
            for n, word in enumerate(state.features)
        ],
        "weights": [
            write(n, 16, packed([c for row in word for c in row], config.weight_bits))
            for n, word in enumerate(state.weights)
        ],
        "parameters": [
            write(n, 12, packed([layout.encode(**row) for row in word], config.parameter_bits))
            for n, word in enumerate(state.parameters)
        ],
        "tables": [
            write(n, 20, packed(word, config.activation_bits))
            for n, word in enumerate(state.tables)
        ],
        "programs": [[TILES.encode(**one) for one in program] for program in programs],
        "traffic": {
            "load_features": [
                write(n, 20, packed(word, config.activation_bits)) for n, word in traffic.loads
            ],
            "store_request": traffic.stores,
        },
        "traffic_stores": len(traffic.stores),
        "stored": config.feature_words,
    }


def random_program(config, rng, count, *, depends, end=None):
    """Small layers, none of which writes before the one before it has."""
    program = [random_instruction(config, rng, n, depends=depends, end=end) for n in range(count)]
    for before, own in pairwise(program):
        if lateness(own) < lateness(before):
            steps = len(list(steps_of(own))) + own["skip"]
            most = timing.write_latency(config) + lateness(own) + steps - 1
            own["fence"] = min(own["fence"], most)
    return program


def random_instruction(config, rng, tag, *, depends, end=None):
    """A small layer that reads the lower half of the buffer, or all of it if it ``depends``.

    It writes below word ``end``, or anywhere in the upper half.
    """
    while True:
        instruction = _draw(config, rng, tag, depends=depends)
        if _highest_write(instruction) >= (end or config.feature_words):
            continue
        if _legal(config, instruction, lower_half=not depends):
            return instruction


def _draw(config, rng, tag, *, depends):
    columns = rng.choice([1 << n for n in range(config.columns.bit_length())])
    across = rng.choice([1 << n for n in range(columns.bit_length())])  # columns side by side
    tile_width, tile_height = across, columns // across
    stride, dilation = rng.choice((1, 1, 2)), rng.choice((1, 1, 2))
    kernel_y, kernel_x = rng.randint(1, 3), rng.randint(1, 3)
    width, height = rng.randint(1, 9), rng.randint(1, 7)
    pitch = width + rng.randint(0, 2 * config.banks)
    padding = rng.randint(0, 2)
    out_width, out_height = rng.randint(1, 7), rng.randint(1, 5)
    passes = rng.choice((1, 1, 1, config.passes))
    maximum = rng.random() < 0.3
    neighbours = 0
    if config.neighbours and not maximum and rng.random() < 0.5:
        neighbours = rng.randint(0, min(config.neighbours, columns - 1))
    if neighbours:
        across, tile_width, tile_height = columns, columns - neighbours, 1
    skip = int(not maximum and rng.random() < 0.5)
    multiply = int(skip and config.multiplies and rng.random() < 0.5)
    shared = skip and rng.random() < 0.3  # one word of the skip operand for all pixels
    out_pitch = out_width + rng.randint(0, 2)
    out_step = rng.choice((1, 1, 2, 3))
    # Words of a row of results, between which others may lie.
    row = (out_width - 1) * out_step + 1 + rng.randint(0, 2)
    half = 1 << (config.activation_bits - 1)
    table = int(not maximum and passes == 1 and config.tables and rng.random() < 0.4)
    least = -1 << (config.table_bits - 1) if table else -half
    low, high = sorted(rng.randint(least, -1 - least) for _ in range(2))
    upper = config.feature_words // 2
    weight_step = rng.randint(0, 1)
    tile_x_stride, tile_y_stride = stride * tile_width, stride * tile_height
    instruction = {
        "op": Op.MAXPOOL if maximum else Op.CONV,
        "tag": tag,
        "fence": rng.randint(0, timing.dependent_fence(config))
        if depends
        else rng.choice((0, timing.dependent_fence(config), rng.randint(0, 200), 4095)),
        **{f"signal_{name}": rng.randint(0, 1) for name in ("load", "compute", "store")},
        "terms": 1 if maximum else rng.choice((1, 1, 2, 3, 4)),
        "blocks": 1 if maximum else rng.randint(1, 3),
        "kernel_x": kernel_x,
        "kernel_y": kernel_y,
        "tiles_x": -(-out_width // tile_width),
        "tiles_y": -(-out_height // tile_height),
        "block_step": rng.randint(0, 40),
        "input_address": rng.randint(0, config.feature_words // 8),
        "kernel_y_step": pitch * dilation,
        "tile_y_step": pitch * tile_y_stride,
        "input_x": -padding,
        "input_y": -padding,
        "kernel_x_stride": dilation,
        "kernel_y_stride": dilation,
        "tile_x_stride": tile_x_stride,
        "tile_y_stride": tile_y_stride,
        "input_width": width,
        "input_height": height,
        "pad_value": -half if maximum else rng.randint(-half, half - 1),
        "columns": columns,
        "neighbours": neighbours,
        "weight_address": rng.randint(0, config.weight_words - MOST_TAPS)
        if not neighbours
        else (neighbours - 1) * BESIDE_WORDS + rng.randint(0, BESIDE_WORDS - MOST_TAPS),
        "weight_step": weight_step,
        "parameter_address": rng.randrange(config.parameter_words),
        "skip": skip,
        "skip_part": rng.randrange(config.parts),
        "skip_address": rng.randint(0, config.feature_words // 4),
        "skip_tile_x_step": 0 if shared else tile_width,
        "skip_tile_y_step": 0 if shared else out_pitch * tile_height,
        "multiply": multiply,
        "sum_unsigned": rng.randint(0, 1),
        "skip_unsigned": rng.randint(0, 1),
        "interval": 0,
        "passes": 1 if maximum else passes,
        "pass_step": rng.randint(0, 100),
        "output_part": 0 if maximum else rng.randrange(config.parts),
        "output_address": upper + rng.randint(0, upper // 2),
        "tile_width": tile_width,
        "tile_height": tile_height,
        "output_step": out_step,
        "output_tile_x_step": out_step * tile_width,
        "output_pitch": row,
        "output_tile_y_step": row * tile_height,
        "output_width": out_width,
        "output_height": out_height,
        "low": low,
        "high": high,
        "table": table,
        "table_address": rng.randrange(config.tables) if table else 0,
    }
    least = max(turns(config, instruction) * passes, config.turns)
    instruction["interval"] = least + rng.choice((0, 0, rng.randint(0, 20)))
    for bit in range(COLUMN_STEPS):
        right, down = 1 << bit, 0
        if right >= across:
            right, down = 0, right // across
        instruction[f"column_x_{bit}"] = right * stride
        instruction[f"column_y_{bit}"] = down * stride
        instruction[f"column_address_{bit}"] = right * stride + down * stride * pitch
        instruction[f"skip_column_{bit}"] = 0 if shared else right + down * out_pitch
    return instruction


def _legal(config, instruction, *, lower_half):
    """No two reads of a step in one bank, no two writes of a turn on a side; reads in place."""
    if not _sides_differ(config, instruction):
        return False
    steps = [*steps_of(instruction), *([None] * instruction["skip"])]
    for tile_y in range(instruction["tiles_y"]):
        for tile_x in range(instruction["tiles_x"]):
            for step in steps:
                reads = list(requests(config, instruction, step, tile_y, tile_x))
                inside = [address for address, within in reads if within]
                if step is None and not instruction["skip_tile_x_step"]:
                    inside = inside[:1]  # all columns read one word, and so one bank
                if len({address % config.banks for address in inside}) < len(inside):
                    return False
                if lower_half and any(a >= config.feature_words // 2 for a in inside):
                    return False
    return True


def _sides_differ(config, instruction):
    places = [
        divmod(n, instruction["tile_width"])
        for n in range(min(config.epilogue_words, written(instruction)))
    ]
    pitch, step = instruction["output_pitch"], instruction["output_step"]
    return len({(y * pitch + x * step) % config.sides for y, x in places}) == len(places)


def _highest_write(instruction):
    lines = instruction["tiles_y"] * instruction["tile_height"]
    return (
        instruction["output_address"]
        + (instruction["passes"] - 1) * instruction["pass_step"]
        + lines * instruction["output_pitch"]
        + instruction["tiles_x"] * instruction["output_tile_x_step"]
    )


def check(config, folder, seed, *, instructions, depends=False):
    """Run random instructions on both, and compare every trace and every word."""
    rng = random.Random(seed)
    state = random_state(config, rng)
    program = random_program(config, rng, instructions, depends=depends)
    log = simulate(state, [program], Traffic(), folder, seed)
    _compare(config, state, [program], log)


@cache
def model(config):
    """The core of ``config``, elaborated once for all tests of a process."""
    return build(files(Compute(config), "qnn_compute"), "qnn_compute")


def simulate(state, programs, traffic, folder, seed):
    """What the bench recorded of the core."""
    config = state.config
    (folder / "script.json").write_text(json.dumps(script(state, programs, traffic)))
    run(
        model(config),
        "tests.hw.cocotb.compute",
        environment={"QNN_SCRIPT": str(folder)},
        seed=seed,
        work=folder,
    )
    return json.loads((folder / "log.json").read_text())


def _compare(config, state, programs, log):
    issues, writes, finishes = [], [], []
    for program, start in zip(programs, log["starts"], strict=True):
        clock, offered = Clock(config), start
        for instruction in program:
            issued, written, finished = execute(state, instruction, clock, offered)
            offered = clock.first + timing.INSTRUCTION_LEAST - timing.ISSUE_LATENCY
            issues.append([issued, instruction["tag"]])
            writes += written
            finishes.append([finished, instruction])
    assert log["issue"] == issues
    assert len(log["write_valid"]) == len(writes)
    for got, expected in zip(log["write_valid"], writes, strict=True):
        cycle, tag, address, part, whole, number, data = got
        first = 0 if whole else part * config.rows
        lanes = tuple(
            wrap(data >> ((first + n) * config.activation_bits), config.activation_bits)
            for n in range(len(expected.lanes))
        )
        assert (cycle, tag, address, part, bool(whole), number, lanes) == (
            expected.cycle,
            expected.tag,
            expected.address,
            expected.part,
            expected.whole,
            expected.number,
            expected.lanes,
        )
    signals = [
        sum(one[f"signal_{name}"] << n for n, name in enumerate(("load", "compute", "store")))
        for _, one in finishes
    ]
    assert [entry[:2] for entry in log["finished"]] == [
        [cycle, given] for (cycle, _), given in zip(finishes, signals, strict=True)
    ]
    words = [word for _, word in log["store_valid"]]
    assert words == [packed(word, config.activation_bits) for word in state.features]


SMALL = {"feature_words": 1024, "weight_words": 128, "parameter_words": 8, "bus_bits": 64}
CONFIGS = {
    "test": named_config("test"),
    "one row, one column": SvpeConfig(
        lanes=2, rows=1, columns=1, weight_bits=2, table_words=0, **SMALL
    ),
    "four bits of everything": SvpeConfig(
        lanes=4, rows=4, columns=4, weight_bits=4, activation_bits=4, table_bits=7, **SMALL
    ),
    "wide": SvpeConfig(
        lanes=4,
        rows=2,
        columns=8,
        weight_bits=5,
        activation_bits=16,
        accumulator_bits=48,
        table_bits=6,
        table_words=64,
        **SMALL,
    ),
    "sixteen columns, odd widths": SvpeConfig(
        lanes=8,
        rows=2,
        columns=16,
        activation_bits=5,
        accumulator_bits=25,
        **SMALL,
    ),
    "two words": named_config("test", epilogue_words=2),
    "four words of sixteen columns": SvpeConfig(
        lanes=8, rows=4, columns=16, weight_bits=2, epilogue_words=4, **SMALL
    ),
    "neighbours": SvpeConfig(
        lanes=4,
        rows=4,
        columns=8,
        epilogue_words=2,
        neighbours=2,
        **(SMALL | {"weight_words": 512}),
    ),
    "neighbours of four words": SvpeConfig(
        lanes=8,
        rows=8,
        columns=4,
        epilogue_words=4,
        neighbours=2,
        **(SMALL | {"weight_words": 512}),
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_independent_instructions_write_what_integers_do_in_the_cycles_promised(name, tmp_path):
    check(CONFIGS[name], tmp_path, seed=1, instructions=60)


@pytest.mark.parametrize("name", CONFIGS)
def test_dependent_instructions_read_what_was_just_written(name, tmp_path):
    check(CONFIGS[name], tmp_path, seed=2, instructions=60, depends=True)


def test_loads_and_stores_beside_the_instructions_delay_nothing_and_lose_nothing(tmp_path):
    config, rng = CONFIGS["test"], random.Random(3)
    state, traffic = random_state(config, rng), random_traffic(config, rng, 4000)
    end = config.feature_words * 7 // 8
    program = random_program(config, rng, 30, depends=False, end=end)
    log = simulate(state, [program], traffic, tmp_path, seed=3)

    stored = [log["store_valid"].pop(0)[1] for _ in traffic.stores]
    words = [state.features[address] for address in traffic.stores]
    assert stored == [packed(word, config.activation_bits) for word in words]
    for address, word in traffic.loads:
        state.features[address] = word
    _compare(config, state, [program], log)
    assert all(waits > 0 for waits in log["waits"].values())
