"""Networks that make an accelerator do all that its instructions can say, by configuration."""

from collections.abc import Iterator
from dataclasses import replace

from hw.spec.config import SvpeConfig
from qnn.compiler import compile_graph
from qnn.errors import CompileError
from qnn.ir.graph import Graph
from qnn.ir.window import Window
from sim.exercise_net import Exercise

# A map larger than this takes an RTL simulation minutes.
MOST_STRIP_WORDS = 1 << 15
# Of a loop: half of what a coordinate, which is signed, can count.
MOST_TURNS = 1 << 10


def exercises(config: SvpeConfig, seed: int) -> Iterator[tuple[str, Graph, int]]:
    """Name, graph and batch of each network; the same for the same seed.

    One lies on chip and has a layer of each kind; another is larger than the feature buffer, so
    that it goes through memory in strips; the last two have loops of many turns, and of as many as
    the buffers hold. What an unusual configuration has no room for is left out.
    """
    made = (
        ("of every kind", _kinds, 2),
        ("in strips", _strips, 1),
        ("of long loops", _loops, 1),
        ("of the longest loops", _longest, 1),
    )
    for name, make, batch in made:
        graph = make(config, seed)
        if graph is not None and _compiles(graph, config, batch):
            yield name, graph, batch


def _compiles(graph, config, batch):
    try:
        compile_graph(graph, config, batch)
    # Buffers of a few words hold no layer of these sizes.
    except CompileError:
        return False
    return True


def _kinds(config, seed):
    """Layers of every kind, on small maps of odd sizes."""
    net, lanes, rows = Exercise(config, seed), config.lanes, config.rows
    # One column more than a row of tiles, so that the last one is cut.
    height, width = 5, max(3, min(config.columns, 8) + 1)
    x = net.input("x", (3, 2 * height, 2 * width), signed=False, pixels=True)
    # Padding of it is stored with every bit that other padding has not.
    low_bits = (1 << config.activation_bits - 1) - 1
    y = net.input("y", (lanes, height, width), signed=True, zero_point=low_bits)
    halving = Window(kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1))
    same = Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    point = Window(kernel=(1, 1))
    first = net.conv("first", x, lanes + rows, halving, relu=True)
    around = net.conv("around", y, 1, same)
    # More channels than a word has, in several terms, and a skip operand.
    terms = net.conv("terms", first, lanes, same, terms=3, skip=y, signed=True)
    skip = net.conv("skip", terms, lanes, point, skip=terms, terms=2)
    depthwise = net.conv(
        "depthwise",
        skip,
        lanes,
        Window(kernel=(3, 2), padding=(2, 2, 1, 0), dilation=(2, 1), groups=lanes),
        signed=True,
    )
    groups = Window(kernel=(2, 3), padding=(0, 1, 2, 2), dilation=(1, 2), groups=2)
    grouped = net.conv("grouped", depthwise, lanes, groups, relu=True)
    unsigned = net.pool("unsigned", skip, Window(kernel=(3, 3), padding=(1, 1, 1, 1)))
    both = net.concat("both", grouped, unsigned)
    wide = net.conv("wide", both, lanes + 1, Window(kernel=(1, 3), stride=(1, 3)), signed=True)
    small = net.pool("signed", wide, Window(kernel=(3, 2), stride=(2, 1), padding=(1, 0, 1, 0)))
    size = small.shape[1:]
    sums = net.conv("sums", small, rows + 1, Window(kernel=size), rounded=False)
    # Pooling and a residual add into every other column.
    # One with a table before one without.
    function = net.conv("function", skip, lanes, point, skip=terms, terms=2, tables=1)
    slopes = net.conv("slopes", function, lanes, point, signed=True, tables=lanes)
    plain = net.conv("plain", slopes, rows, point)
    odd = net.pool("odd", skip, same)
    even = net.conv("even", skip, lanes, point, skip=terms)
    woven = net.interleave("woven", (1, 2), even, odd)
    halved = net.conv("halved", woven, 1, halving)
    # One value for each channel, added to a map and, where there are products, multiplied by.
    gate = net.conv("gate", terms, lanes, Window(kernel=terms.shape[1:]))
    # And one for each pixel, which all blocks of channels read.
    mask = net.conv("mask", terms, 1, point)
    product = _products(net, terms, skip, gate, mask) if config.multiplies else terms
    added = net.conv("added", product, lanes, point, skip=gate)
    shared = net.conv("shared", added, lanes + 1, point, skip=mask)
    outputs = (sums, wide, halved, plain, shared, around)
    if config.neighbours:
        # Every tap of a row in one step, and in two of a layer that halves.
        row = replace(same, groups=lanes)
        beside = net.conv("beside", skip, lanes, row, skip=terms, terms=2)
        outputs += (net.conv("half", beside, lanes, replace(row, stride=(2, 2)), signed=True),)
    return net.graph(*outputs)


def _products(net, signed, unsigned, gate, mask):
    """Products of factors of either sign, a square, and some by what is spread."""
    one = net.multiply("one", signed, unsigned, signed=True)
    other = net.multiply("other", unsigned, one)
    square = net.multiply("square", other, other, signed=True)
    last = net.multiply("last", square, signed, signed=True)
    return net.multiply("gated", net.multiply("masked", last, mask), gate)


def _strips(config, seed):
    """A map that the feature buffer does not hold, and enough layers that one goes to memory."""
    if config.feature_words > MOST_STRIP_WORDS:
        return None
    net, lanes = Exercise(config, seed), config.lanes
    width = min(2 * config.columns + 1, max(3, config.feature_words // 32))
    height = config.feature_words // width + 2
    x = net.input("x", (lanes, height, width), signed=False)
    same = Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    point = Window(kernel=(1, 1))
    one = net.conv("one", x, lanes, same, skip=x)
    two = net.conv("two", one, lanes, point, terms=2, signed=True)
    pooled = net.pool("pooled", two, Window(kernel=(3, 3), stride=(1, 1), padding=(1, 1, 1, 1)))
    three = net.conv("three", pooled, lanes, point, skip=one, relu=True)
    # An operand of a concatenation has gaps in memory, and is loaded row by row.
    both = net.concat("both", one, three)
    last = net.conv("last", both, 1, Window(kernel=(2, 2), stride=(2, 2)))
    return net.graph(last)


def _loops(config, seed):
    """Loops one turn longer than powers of two, where a count that lacks a bit ends too early."""
    net, lanes = Exercise(config, seed), config.lanes
    wide = net.input("wide", (lanes, 17, 33 * config.columns), signed=True)
    tall = net.input("tall", (lanes, 33, config.columns), signed=False)
    deep = net.input("deep", (17 * lanes, 3, 3), signed=False)
    point = Window(kernel=(1, 1))
    # Tiles, and then a map so small that kernels of many taps take few cycles.
    across = net.conv("across", wide, lanes, point)
    down = net.conv("down", tall, 1, point, signed=True)
    small = net.pool("small", across, Window(kernel=(3, 3), stride=(4, 4 * config.columns)))
    # Rows of 63 pixels in the configuration `test`: every bit of the width is a one.
    found = [down, net.conv("ones", across, 1, Window(kernel=(3, 4)))]
    for size in ((17, 3), (9, 5), (5, 9), (3, 17)):
        high, width = (taps // 2 for taps in size)
        window = Window(kernel=size, padding=(high, high, width, width))
        found.append(net.conv(f"kernel{size[0]}", small, lanes, window, signed=high > width))
    found.append(net.pool("most", small, Window(kernel=(3, 5), padding=(1, 1, 2, 2))))
    # Blocks of channels: as many as the layer before has words of.
    for words in (9, 5, 3):
        deep = net.conv(f"blocks{words}", deep, words * lanes, point, relu=True)
    return net.graph(*found, net.conv("blocks", deep, 1, point, signed=True))


def _longest(config, seed):
    """Each loop alone, with as many turns as the buffers hold: counts reach their upper bits.

    Also one turn less and one more than a power of two: the number of the last turn is then odd or
    even, and has all bits or one.
    """
    net, lanes, layers = Exercise(config, seed), config.lanes, []

    def add(name, blocks, size, kernel, **options):
        # Unsigned, so that padding is stored as another number than zero: a turn behind the end of
        # a row or column then shows.
        source = net.input(f"{name}_of", (lanes * blocks, *size), signed=False)
        layers.append((name, source, Window(kernel=kernel), options))

    # Of tiles with a pixel for every column, as the buffer holds operand and result.
    tiles = min(config.feature_words // 4, MOST_TURNS) // config.columns
    for turns in (tiles - 1, tiles, tiles + 1):
        add(f"across_{turns}", 1, (1, turns * config.columns), (1, 1))
    for turns in (tiles // 2 - 1, tiles // 2, tiles // 2 + 1):
        add(f"down_{turns}", 1, (turns * config.columns, 1), (1, 1))
    # Of taps and blocks, with a word of weights for each, and then with one word for all. Sums are
    # not rounded: a turn too many or too few would hardly show in a result of few bits.
    some = min(config.weight_words // 2, config.feature_words // 2, MOST_TURNS // 4)
    most = min(config.feature_words // 2, MOST_TURNS)
    for turns in (some, most - 1, most, most + 1):
        options = {"equal": turns != some, "rounded": False}
        add(f"kernel_x_{turns}", 1, (1, turns), (1, turns), **options)
        add(f"kernel_y_{turns}", 1, (turns, 1), (turns, 1), **options)
        add(f"blocks_{turns}", turns, (1, 1), (1, 1), **options)
    # Inputs stand before all that is computed.
    made = {name: net.conv(name, x, 1, window, **options) for name, x, window, options in layers}
    for name in [name for name in made if name.startswith("down")]:
        # Not strip by strip, as what lies on chip has no transfer to wait for; and with an odd
        # number of cycles a tile, as what changes with each cycle is as it was after two.
        window = Window(kernel=(1, 3), padding=(0, 0, 1, 1))
        again = net.conv(f"{name}_again", made[name], 1, window)
        made[name] = net.conv(f"{name}_sum", again, 1, Window(kernel=again.shape[1:]), equal=True)
    return net.graph(*made.values())
