"""The network as a picture: a box for each node, top to bottom, and a line for each operand."""

from collections.abc import Sequence
from html import escape

from qnn.ir.graph import Graph
from qnn.ir.ops import Operator

BOX, HIGH, GAP = 250, 46, 22  # pixels: width and height of a box, and the way to the next
LEFT, TOP = 6, 6
LANE = 12  # between lines at the side
COLOURS = {"maxpool": "pool"}  # classes of kinds that do not name one themselves
# What a box of 250 pixels holds at the page's size of letters.
TITLE_CHARACTERS = 30


def picture(graph: Graph) -> str:
    """An SVG; classes name colours, which the page gives."""
    place = {node.name: row for row, node in enumerate(graph.nodes)}
    sides = [
        (place[source], row)
        for row, node in enumerate(graph.nodes)
        for source in node.inputs
        # Neighbours are joined by a line between the boxes; all others at the side.
        if place[source] != row - 1
    ]
    lanes = lanes_of(sides)
    width = LEFT + BOX + LANE * (2 + max(lanes, default=-1)) + 6
    height = TOP + len(graph.nodes) * (HIGH + GAP) + 4
    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="the network, from input to output">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" class="tip"/></marker></defs>',
    ]
    for side, lane in zip(sides, lanes, strict=True):
        parts.append(_side(*side, lane))
    for row, node in enumerate(graph.nodes):
        if row and graph.nodes[row - 1].name in node.inputs:
            x, y = LEFT + BOX // 2, TOP + row * (HIGH + GAP)
            parts.append(f'<path class="edge" d="M{x} {y - GAP}V{y - 1}" marker-end="url(#tip)"/>')
        parts.append(_box(row, node))
    outputs = {output.name for output in graph.outputs}
    for name in sorted(outputs, key=place.get):
        x, y = LEFT + BOX // 2, TOP + place[name] * (HIGH + GAP) + HIGH
        parts.append(f'<path class="edge" d="M{x} {y}v{GAP - 5}" marker-end="url(#tip)"/>')
    return "".join([*parts, "</svg>"])


def lanes_of(sides: Sequence[tuple[int, int]]) -> list[int]:
    """A lane for each (first, last) row, so that lines beside one another never overlap."""
    ends: list[int] = []  # last row of each lane
    lanes = [0] * len(sides)
    # By first row, each into the first lane that is free: no more lanes than lines that overlap.
    for index in sorted(range(len(sides)), key=sides.__getitem__):
        first, last = sides[index]
        free = next((lane for lane, end in enumerate(ends) if end <= first), len(ends))
        ends[free : free + 1] = [last]
        lanes[index] = free
    return lanes


def shape(node: Operator) -> str:
    """Channels, height, width and type of the result."""
    sign = "signed" if node.type.signed else "unsigned"
    return f"{'x'.join(map(str, node.shape))}, {node.type.bits}-bit {sign}"


def _box(row, node):
    x, y = LEFT, TOP + row * (HIGH + GAP)
    title = node.name
    if len(title) > TITLE_CHARACTERS:
        title = f"{title[: TITLE_CHARACTERS - 1]}…"
    return (
        f'<g class="node {COLOURS.get(node.kind, node.kind)}"><title>{escape(node.name)}</title>'
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{HIGH}" rx="7"/>'
        f'<rect class="stripe" x="{x}" y="{y}" width="5" height="{HIGH}" rx="2"/>'
        f'<text class="title" x="{x + 15}" y="{y + 15}">{escape(title)}</text>'
        f'<text x="{x + 15}" y="{y + 28}">{escape(node.summary)}</text>'
        f'<text x="{x + 15}" y="{y + 40}">{escape(shape(node))}</text></g>'
    )


def _side(first, last, lane):
    """A line at the right, from the box of one row to that of a later one."""
    start, x = LEFT + BOX, LEFT + BOX + LANE * (lane + 1)
    y0, y1 = (TOP + row * (HIGH + GAP) + HIGH // 2 for row in (first, last))
    return (
        f'<path class="edge side" d="M{start} {y0 + 8}H{x - 5}q5 0 5 5V{y1 - 13}q0 5 -5 5'
        f'H{start + 1}" marker-end="url(#tip)"/>'
    )
