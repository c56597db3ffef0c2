"""Where the boxes and lines of a layered graph go: layers from left to right, no boxes that overlap.

It begins with Sugiyama's order (services/admin/layer_order.py), and lets each box be near its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from services.admin.layer_order import Node, Ordered, layers_of, ordered, way

BETWEEN_LAYERS = 84.0
BETWEEN_BOXES = 16.0
BEND = 4.0  # the height that a line takes in a layer that it passes
PASSES = 24

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Size:
    """Of a box, in pixels."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Box:
    """A box in its place, by its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width

    @property
    def middle(self) -> float:
        """Half-way down."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes by name, and each edge's points in pairs: from the first to the second it is straight, from one pair to
    the next it bends. It begins at the right of its first box, and ends at the left of the last."""

    boxes: dict[str, Box]
    lines: list[list[Point]]
    width: float
    height: float


def lay_out(sizes: Mapping[str, Size], edges: Sequence[tuple[str, str]]) -> Layout:
    """Give each box its place. An edge leads from left to right; raises `graphlib.CycleError` if they can't all."""
    layers = layers_of(list(sizes), edges)
    order = ordered(list(sizes), edges, layers)
    middles = _middles(order, sizes)
    columns = _columns(order, sizes)
    boxes = {
        name: Box(columns[layers[name]][0], middles[name] - size.height / 2, size.width, size.height)
        for name, size in sizes.items()
    }
    lines = [_line(boxes[start], way(start, end, layers), middles, columns[layers[start] :]) for start, end in edges]
    width = columns[-1][1] if columns else 0.0
    return Layout(boxes, lines, width, max((box.y + box.height for box in boxes.values()), default=0.0))


def _columns(order: Ordered, sizes: Mapping[str, Size]) -> list[tuple[float, float]]:
    """Where each layer begins and ends."""
    columns, x = [], 0.0
    for layer in order.layers:
        width = max(sizes[node].width for node in layer if isinstance(node, str))
        columns.append((x, x + width))
        x += width + BETWEEN_LAYERS
    return columns


def _line(
    box: Box, nodes: Sequence[Node], middles: Mapping[Node, float], columns: Sequence[tuple[float, float]]
) -> list[Point]:
    """From `box` on to the last of `nodes`, whose columns these are."""
    points = [(box.right, box.middle)]
    for node, (left, right) in zip(nodes, columns, strict=False):
        points += [(left, middles[node]), (right, middles[node])]
    return [points[0], *points[2:-1]]


def _middles(order: Ordered, sizes: Mapping[str, Size]) -> dict[Node, float]:
    """The height of each node's middle: as near to its neighbours' as the others of its layer let it be."""
    heights = {n: sizes[n].height if isinstance(n, str) else BEND for layer in order.layers for n in layer}
    gaps = [
        [(heights[one] + heights[other]) / 2 + BETWEEN_BOXES for one, other in pairwise(layer)]
        for layer in order.layers
    ]
    middles: dict[Node, float] = {}
    for layer, apart in zip(order.layers, gaps, strict=True):
        middles |= zip(layer, spread([0.0] * len(layer), apart), strict=True)
    numbers = range(len(order.layers))
    for turn in range(PASSES):
        for number in numbers if turn % 2 else reversed(numbers):
            layer = order.layers[number]
            wanted = [_wanted(node, order, middles) for node in layer]
            middles |= zip(layer, spread(wanted, gaps[number]), strict=True)
    top = min((middles[node] - heights[node] / 2 for node in middles), default=0.0)
    return {node: middle - top for node, middle in middles.items()}


def _wanted(node: Node, order: Ordered, middles: Mapping[Node, float]) -> float:
    near = [middles[each] for each in (*order.before[node], *order.after[node])]
    return sum(near) / len(near) if near else middles[node]


def spread(wanted: Sequence[float], apart: Sequence[float]) -> list[float]:
    """The places nearest to those `wanted`, in this order and at least so far `apart` (pool adjacent violators)."""
    offsets = [0.0]
    for gap in apart:
        offsets.append(offsets[-1] + gap)
    blocks: list[tuple[float, int]] = []  # the sum of what its members want, less their offsets, and how many there are
    for place, offset in zip(wanted, offsets, strict=False):
        total, count = place - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before, members = blocks.pop()
            total, count = total + before, count + members
        blocks.append((total, count))
    means = [total / count for total, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]
