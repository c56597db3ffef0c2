"""In what order the nodes of a layered graph stand in their layers, so that few edges cross (Sugiyama's method:
Sugiyama, Tagawa and Toda, 1981).

An edge that spans several layers bends in each: its bends are nodes of their own, and all edges to one node share
them, so that they join on their way.
"""

from bisect import bisect, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise

SWEEPS = 12

Node = str | tuple[str, int]
"""A node's name, or a bend: the node that the edge leads to, and the layer."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """The layers with their nodes and bends in order, and what is next to each of them on either side."""

    layers: list[list[Node]]
    before: Mapping[Node, list[Node]]
    after: Mapping[Node, list[Node]]


def layers_of(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Each node's layer: the length of the longest way to it. Raises `graphlib.CycleError`."""
    into: dict[str, list[str]] = {node: [] for node in nodes}
    for start, end in edges:
        into[end].append(start)
    layers: dict[str, int] = {}
    for node in TopologicalSorter(into).static_order():
        layers[node] = max((layers[start] + 1 for start in into[node]), default=0)
    return layers


def way(start: str, end: str, layers: Mapping[str, int]) -> list[Node]:
    """The nodes and bends that an edge goes through, its ends included."""
    return [start, *((end, layer) for layer in range(layers[start] + 1, layers[end])), end]


def ordered(nodes: Sequence[str], edges: Sequence[tuple[str, str]], layers: Mapping[str, int]) -> Ordered:
    """The order with the fewest crossings of those that some sweeps find; the same for the same graph."""
    steps = dict.fromkeys(step for start, end in edges for step in _steps(way(start, end, layers)))
    found = Ordered(_first_order(nodes, steps, layers), {}, {})
    before: dict[Node, list[Node]] = {node: [] for layer in found.layers for node in layer}
    after: dict[Node, list[Node]] = {node: [] for node in before}
    for one, next_one in steps:
        after[one].append(next_one)
        before[next_one].append(one)
    best = _best(found.layers, before, after)
    return Ordered(best, before, after)


def _steps(nodes: Sequence[Node]) -> list[tuple[Node, Node]]:
    return list(pairwise(nodes))


def _first_order(
    nodes: Sequence[str], steps: Mapping[tuple[Node, Node], None], layers: Mapping[str, int]
) -> list[list[Node]]:
    order: list[list[Node]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for node in nodes:
        order[layers[node]].append(node)
    for bend in dict.fromkeys(node for step in steps for node in step if isinstance(node, tuple)):
        order[bend[1]].append(bend)
    return order


def _best(
    layers: list[list[Node]], before: Mapping[Node, list[Node]], after: Mapping[Node, list[Node]]
) -> list[list[Node]]:
    best, fewest = layers, crossings(layers, after)
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        layers = _swept(layers, before) if forth else _swept(layers[::-1], after)[::-1]
        count = crossings(layers, after)
        if count < fewest:
            best, fewest = layers, count
    return best


def _swept(layers: Sequence[list[Node]], beside: Mapping[Node, list[Node]]) -> list[list[Node]]:
    """Each layer in the order of the mean place of its nodes' neighbours in the layer before."""
    swept = [list(layers[0])] if layers else []
    for layer in layers[1:]:
        places = {node: place for place, node in enumerate(swept[-1])}
        wanted = {node: _mean([places[near] for near in beside[node]], own) for own, node in enumerate(layer)}
        swept.append(sorted(layer, key=wanted.__getitem__))
    return swept


def _mean(places: Sequence[int], own: int) -> float:
    return sum(places) / len(places) if places else float(own)


def crossings(layers: Sequence[Sequence[Node]], after: Mapping[Node, list[Node]]) -> int:
    """How often edges between neighbouring layers cross."""
    count = 0
    for layer, next_layer in pairwise(layers):
        places = {node: place for place, node in enumerate(next_layer)}
        ends: list[int] = []
        for node in layer:
            mine = sorted(places[end] for end in after[node])
            count += sum(len(ends) - bisect(ends, end) for end in mine)
            for end in mine:
                insort(ends, end)
    return count
