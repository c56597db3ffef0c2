from graphlib import CycleError
from itertools import combinations, pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.admin.layer_order import Node, crossings
from services.admin.layered_layout import BETWEEN_BOXES, BETWEEN_LAYERS, Box, Layout, Size, lay_out, spread

CLOSE = 1e-6
however_slow = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, Size], list[tuple[str, str]]]:
    """Boxes of all sizes, and edges between them that go in no circle."""
    count = draw(st.integers(1, 14))
    sizes = [Size(draw(st.integers(1, 300)), draw(st.integers(1, 90))) for _ in range(count)]
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] < pair[1])
    edges = draw(st.lists(pairs, max_size=30, unique=True)) if count > 1 else []
    names = draw(st.permutations([f"n{number}" for number in range(count)]))
    return (
        {names[number]: sizes[number] for number in range(count)},
        [(names[one], names[other]) for one, other in edges],
    )


def apart(one: Box, other: Box) -> bool:
    """Whether two boxes have no point in common."""
    aside = one.right < other.x or other.right < one.x
    return aside or one.y + one.height < other.y or other.y + other.height < one.y


def through(layout: Layout) -> list[tuple[float, float, float]]:
    """The straight parts of all lines: from x to x at a height."""
    found = []
    for line in layout.lines:
        for (x, y), (to_x, to_y) in list(pairwise(line))[::2]:
            assert y == to_y
            found.append((x, to_x, y))
    return found


@however_slow
@given(graphs())
def test_boxes_keep_their_sizes_and_never_overlap(graph: tuple[dict[str, Size], list[tuple[str, str]]]) -> None:
    sizes, edges = graph
    layout = lay_out(sizes, edges)
    assert {name: Size(box.width, box.height) for name, box in layout.boxes.items()} == sizes
    assert all(apart(one, other) for one, other in combinations(layout.boxes.values(), 2))
    for box in layout.boxes.values():
        assert 0 <= box.x <= box.right <= layout.width + CLOSE
        assert -CLOSE <= box.y <= box.y + box.height <= layout.height + CLOSE


@however_slow
@given(graphs())
def test_every_line_goes_from_its_box_to_the_right_into_its_other_box(
    graph: tuple[dict[str, Size], list[tuple[str, str]]],
) -> None:
    sizes, edges = graph
    layout = lay_out(sizes, edges)
    for (start, end), line in zip(edges, layout.lines, strict=True):
        assert line[0] == (layout.boxes[start].right, layout.boxes[start].middle)
        assert line[-1] == pytest.approx((layout.boxes[end].x, layout.boxes[end].middle))
        assert all(x <= to_x for (x, _), (to_x, _) in pairwise(line))


@however_slow
@given(graphs())
def test_no_line_passes_through_a_box(graph: tuple[dict[str, Size], list[tuple[str, str]]]) -> None:
    """Between the layers there are no boxes, so the straight parts are all there is to look at."""
    layout = lay_out(*graph)
    for left, right, y in through(layout):
        for box in layout.boxes.values():
            beside = right <= box.x or box.right <= left
            assert beside or not box.y < y < box.y + box.height


@however_slow
@given(graphs())
def test_the_same_graph_looks_the_same(graph: tuple[dict[str, Size], list[tuple[str, str]]]) -> None:
    assert lay_out(*graph) == lay_out(*graph)


def test_nothing_needs_no_room() -> None:
    assert lay_out({}, []) == Layout({}, [], 0.0, 0.0)


def test_a_circle_has_no_layers() -> None:
    with pytest.raises(CycleError):
        lay_out(dict.fromkeys("ab", Size(1, 1)), [("a", "b"), ("b", "a")])


def test_a_chain_is_a_straight_line() -> None:
    layout = lay_out({"a": Size(10, 30), "b": Size(20, 10), "c": Size(10, 20)}, [("a", "b"), ("b", "c")])
    assert {box.middle for box in layout.boxes.values()} == {15.0}
    assert [box.x for box in layout.boxes.values()] == [0, 10 + BETWEEN_LAYERS, 30 + 2 * BETWEEN_LAYERS]


def test_edges_that_need_not_cross_do_not() -> None:
    """As they are given, all of them cross."""
    names = [f"{side}{number}" for side in "lr" for number in range(5)]
    edges = [("root", f"l{number}") for number in range(5)] + [(f"l{number}", f"r{4 - number}") for number in range(5)]
    layout = lay_out(dict.fromkeys(["root", *names], Size(10, 10)), edges)
    order = {name: layout.boxes[name].y for name in names}
    assert sorted(range(5), key=lambda n: order[f"l{n}"]) == sorted(range(5), key=lambda n: order[f"r{4 - n}"])


@however_slow
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40, unique=True))
def test_crossings_are_counted_as_by_looking_at_every_pair(edges: list[tuple[int, int]]) -> None:
    layers: list[list[Node]] = [[f"l{number}" for number in range(10)], [f"r{number}" for number in range(10)]]
    after: dict[Node, list[Node]] = {
        f"l{number}": [f"r{end}" for start, end in edges if start == number] for number in range(10)
    }
    crossing = sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(edges, 2))
    assert crossings(layers, after) == crossing


@however_slow
@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(0, 100)), min_size=1, max_size=12))
def test_places_are_as_far_apart_as_they_must_be(given_: list[tuple[float, float]]) -> None:
    wanted, gaps = [place for place, _ in given_], [gap for _, gap in given_[1:]]
    found = spread(wanted, gaps)
    assert all(after - before >= gap - CLOSE for (before, after), gap in zip(pairwise(found), gaps, strict=True))
    assert sum(found) == pytest.approx(sum(wanted), abs=1e-3)


def test_places_that_leave_room_are_taken_as_they_are() -> None:
    assert spread([0.0, 50.0, 200.0], [BETWEEN_BOXES, 100.0]) == [0.0, 50.0, 200.0]
    assert spread([10.0, 10.0], [20.0]) == [0.0, 20.0]
