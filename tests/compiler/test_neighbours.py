from dataclasses import replace
from itertools import product

import pytest

import qnn
from hw.spec.config import named_config
from hw.spec.isa.tiles import Tiles
from qnn.compiler.neighbours import neighbours_of, steps_of_row, stride_of_row
from qnn.compiler.storage import places
from qnn.ir.window import Window
from sim.cycles import simulate_cycles
from sim.exercise_net import Exercise
from sim.verify import verify
from tests.graphs import images

CONFIG = named_config("small", columns=8, epilogue_words=2, neighbours=2, weight_bits=4)


def layer(window, config=CONFIG, channels=11, size=(9, 17), skip=False):
    """A depthwise convolution, with ``skip`` of its own operand."""
    net = Exercise(config, 1)
    x = net.input("x", (channels, *size), signed=True)
    own = replace(window, groups=channels)
    return net.graph(net.conv("c", x, channels, own, skip=x if skip else None, terms=2))


def neighbours(window, **options):
    graph = layer(window, **options)
    return _neighbours(graph, "c")


def _neighbours(graph, name):
    place = places(graph, CONFIG)
    own = (place[each].segments for each in (graph[name].inputs[0], name))
    return neighbours_of(graph[name], *own, CONFIG)


@pytest.mark.parametrize(("width", "stride"), [*product(range(1, 9), range(1, 5))])
def test_each_tap_of_a_row_belongs_to_one_step_and_lies_at_its_neighbour(width, stride):
    window = Window(kernel=(1, width), stride=(1, stride))
    for count in {0, neighbours(window)}:
        steps = steps_of_row(window, count)
        assert sorted(tap for taps in steps for tap in taps) == list(range(width))
        assert max(map(len, steps)) == 1 + count
        jump = stride_of_row(window, count)
        assert all(
            tap == step * jump + number * stride
            for step, taps in enumerate(steps)
            for number, tap in enumerate(taps)
        )


@pytest.mark.parametrize(
    ("window", "count", "steps"),
    [
        (Window(kernel=(3, 3)), 2, 1),
        (Window(kernel=(1, 2)), 1, 1),
        (Window(kernel=(5, 5)), 2, 2),
        (Window(kernel=(3, 3), stride=(2, 2)), 1, 2),
        (Window(kernel=(5, 5), stride=(2, 2)), 2, 2),
        # Too wide for two neighbours, apart from each other, and not side by side.
        (Window(kernel=(7, 7), stride=(2, 2)), 0, 7),
        (Window(kernel=(2, 2), stride=(2, 2)), 0, 2),
        (Window(kernel=(1, 1)), 0, 1),
        (Window(kernel=(3, 3), dilation=(2, 2)), 0, 3),
        (Window(kernel=(3, 3), dilation=(2, 1)), 2, 1),
    ],
)
def test_columns_take_the_values_of_as_many_neighbours_as_taps_need(window, count, steps):
    assert neighbours(window) == count
    assert len(steps_of_row(window, count)) == steps


def test_only_layers_of_one_channel_each_take_neighbours_values():
    net = Exercise(CONFIG, 1)
    x = net.input("x", (16, 9, 17), signed=True)
    window = Window(kernel=(3, 3))
    names = [
        net.conv("all", x, 16, window),
        net.conv("pairs", x, 16, replace(window, groups=8)),
        net.pool("pool", x, window),
    ]
    graph = net.graph(*names)
    assert [_neighbours(graph, each.name) for each in names] == [0, 0, 0]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("width", [1, 3, 6, 7, 8, 17, 19])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 5), (3, 2)])
def test_every_width_of_a_map_equals_the_reference(kernel, width, skip):
    down, across = (size // 2 for size in kernel)
    below, right = (size - 1 - before for size, before in zip(kernel, (down, across), strict=True))
    window = Window(kernel=kernel, padding=(down, below, across, right))
    graph = layer(window, size=(5, width), skip=skip)
    # Of narrow maps a tile may have more pixels below each other.
    check(graph, least=width > 8)


@pytest.mark.parametrize(("kernel", "stride"), [((3, 3), 2), ((5, 5), 2), ((3, 5), 3)])
@pytest.mark.parametrize("width", [5, 13, 14, 29])
def test_every_stride_equals_the_reference(kernel, stride, width):
    window = Window(kernel=kernel, stride=(stride, stride), padding=(1, 1, 1, 1))
    check(layer(window, size=(7, width)), least=width > 20)


def check(graph, *, least):
    """Hold all values to the reference's; at ``least`` means that neighbours are made use of."""
    design = qnn.compile(graph, CONFIG, 2)
    tiles = [each for each in design.artifact.program if isinstance(each, Tiles)]
    assert any(each.neighbours for each in tiles) >= least
    report = verify(design, images(graph, 2), "functional")
    assert report.passed, str(report)


def test_depthwise_layers_take_fewer_cycles_and_the_same_values():
    graph = layer(Window(kernel=(5, 5), padding=(2, 2, 2, 2)), size=(20, 36))
    cycles = [
        simulate_cycles(qnn.compile(graph, config).artifact).cycles
        for config in (CONFIG, replace(CONFIG, neighbours=0))
    ]
    assert cycles[0] < 0.7 * cycles[1]
