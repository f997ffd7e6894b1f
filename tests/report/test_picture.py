import xml.etree.ElementTree as ElementTree

import pytest

from qnn.report.picture import lanes_of, picture
from tests.compiler import small_graphs


def overlap(a, b):
    return a[0] < b[1] and b[0] < a[1]


@pytest.mark.parametrize(
    "sides", [[], [(0, 2)], [(0, 2), (2, 4)], [(0, 5), (1, 3), (2, 4), (3, 6)], [(1, 3), (0, 9)]]
)
def test_lines_of_one_lane_never_overlap(sides):
    lanes = lanes_of(sides)
    for n, a in enumerate(sides):
        for m, b in enumerate(sides[:n]):
            assert lanes[n] != lanes[m] or not overlap(a, b)
    assert len(set(lanes)) <= len(sides)


@pytest.mark.parametrize("name", ["one_conv", "residual", "max_pool", "concat"])
def test_each_node_has_a_box_and_each_operand_a_line(name):
    graph = getattr(small_graphs, name)()
    svg = ElementTree.fromstring(picture(graph))
    groups = list(svg.iter("g"))
    assert [g.find("title").text for g in groups] == [node.name for node in graph.nodes]
    edges = [path for path in svg.iter("path") if path.get("class", "").startswith("edge")]
    assert len(edges) == sum(len(set(n.inputs)) for n in graph.nodes) + len(graph.outputs)


def test_a_name_cannot_add_markup():
    x = small_graphs.image()
    svg = picture(small_graphs.graph(x, small_graphs.conv("<script>&", x, 8)))
    assert "<script>" not in svg
    assert ElementTree.fromstring(svg) is not None
