"""As much of PromQL as our rules and panels are written in, evaluated over series in memory.

Parsed by a parser of its grammar, evaluated as Prometheus's documentation says; what is not here raises, so that
nothing is ever taken for true by mistake. Where promtool is installed, a test holds the two against each other.
"""

import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import promql_parser as p

Labels: TypeAlias = frozenset[tuple[str, str]]
Point: TypeAlias = tuple[float, float | None]
"""A time in seconds, and a value; none where the series goes stale."""
Series: TypeAlias = Mapping[Labels, Sequence[Point]]
Vector: TypeAlias = dict[Labels, float]

NAME = "__name__"
LOOKBACK_S = 300.0


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """Labels; an empty one is none."""
    return frozenset((name, value) for name, value in pairs.items() if value)


def evaluate(expression: str, series: Series, at: float) -> Vector:
    """The instant vector that an expression has at a time; a scalar stands without labels."""
    return _value(p.parse(expression), series, at)


def _value(node: p.Expr, series: Series, at: float) -> Vector:
    for kind, value in _VALUES.items():
        if isinstance(node, kind):
            return value(node, series, at)
    raise NotImplementedError(type(node).__name__)


def _number(node: p.NumberLiteral, series: Series, at: float) -> Vector:
    return {frozenset(): node.val}


def _inner(node: p.ParenExpr, series: Series, at: float) -> Vector:
    return _value(node.expr, series, at)


def _instant(node: p.VectorSelector, series: Series, at: float) -> Vector:
    found = {}
    for labels in _selected(node, series):
        points = series[labels]
        index = bisect_right(points, at, key=lambda point: point[0]) - 1
        if index >= 0 and points[index][0] > at - LOOKBACK_S:
            value = points[index][1]
            if value is not None:
                found[labels] = value
    return found


def _selected(node: p.VectorSelector, series: Series) -> list[Labels]:
    if node.offset or node.at or node.matchers.or_matchers:
        raise NotImplementedError("offset, @ and or in a selector")
    matchers = [(each.name, str(each.op), each.value) for each in node.matchers.matchers]
    return [labels for labels in series if _matches(dict(labels), node.name, matchers)]


def _matches(labels: Mapping[str, str], name: str | None, matchers: Sequence[tuple[str, str, str]]) -> bool:
    if name is not None and labels.get(NAME) != name:
        return False
    return all(_OPERATORS[op](labels.get(label, ""), value) for label, op, value in matchers)


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "MatchOp.Equal": lambda found, wanted: found == wanted,
    "MatchOp.NotEqual": lambda found, wanted: found != wanted,
    "MatchOp.Re": lambda found, wanted: re.fullmatch(wanted, found) is not None,
    "MatchOp.NotRe": lambda found, wanted: re.fullmatch(wanted, found) is None,
}


def _without_name(labels: Labels) -> Labels:
    return frozenset(pair for pair in labels if pair[0] != NAME)


def _aggregated(node: p.AggregateExpr, series: Series, at: float) -> Vector:
    if node.param is not None or (node.modifier and node.modifier.type != p.AggModifierType.By):
        raise NotImplementedError(f"{node.op} with a parameter, or without")
    kept = set(node.modifier.labels) if node.modifier else set()
    groups: defaultdict[Labels, list[float]] = defaultdict(list)
    for labels, value in _value(node.expr, series, at).items():
        groups[frozenset(pair for pair in labels if pair[0] in kept)].append(value)
    return {labels: _AGGREGATIONS[str(node.op)](values) for labels, values in groups.items()}


_AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "max": max,
    "min": min,
    "count": lambda values: float(len(values)),
    "avg": lambda values: math.fsum(values) / len(values),
}


def _called(node: p.Call, series: Series, at: float) -> Vector:
    name = node.func.name
    if name in _OVER_TIME:
        return _over_time(_OVER_TIME[name], node.args[0], series, at)
    if name == "absent":
        return {} if _value(node.args[0], series, at) else {frozenset(): 1.0}
    if name == "clamp_min":
        least = _value(node.args[1], series, at)[frozenset()]
        return {_without_name(labels): max(value, least) for labels, value in _value(node.args[0], series, at).items()}
    if name == "histogram_quantile":
        quantile = _value(node.args[0], series, at)[frozenset()]
        return _quantiles(quantile, _value(node.args[1], series, at))
    raise NotImplementedError(name)


OverTime: TypeAlias = Callable[[Sequence[tuple[float, float]], float, float], float | None]


def _over_time(function: OverTime, node: p.Expr, series: Series, at: float) -> Vector:
    if not isinstance(node, p.MatrixSelector):
        raise NotImplementedError("a subquery")
    begin, found = at - node.range.total_seconds(), {}
    for labels in _selected(node.vector_selector, series):
        points = [(time, value) for time, value in series[labels] if begin <= time <= at and value is not None]
        value = function(points, begin, at) if points else None
        if value is not None:
            found[_without_name(labels)] = value
    return found


def _changes(points: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    return float(sum(before != after for (_, before), (_, after) in pairwise(points)))


def _delta(points: Sequence[tuple[float, float]], begin: float, end: float) -> float | None:
    return _extrapolated(points, begin, end, counter=False)


def _increase(points: Sequence[tuple[float, float]], begin: float, end: float) -> float | None:
    return _extrapolated(points, begin, end, counter=True)


def _rate(points: Sequence[tuple[float, float]], begin: float, end: float) -> float | None:
    increase = _increase(points, begin, end)
    return None if increase is None else increase / (end - begin)


_OVER_TIME: dict[str, OverTime] = {"changes": _changes, "delta": _delta, "increase": _increase, "rate": _rate}


def _extrapolated(points: Sequence[tuple[float, float]], begin: float, end: float, *, counter: bool) -> float | None:
    """What a value grew by, as if it had been looked at from the beginning of the range to its end."""
    if len(points) < 2:
        return None
    (first_at, first), (last_at, last) = points[0], points[-1]
    grown, covered = last - first, last_at - first_at
    if counter:
        grown += sum(before for (_, before), (_, after) in pairwise(points) if after < before)
    step = covered / (len(points) - 1)
    before_first, after_last = first_at - begin, end - last_at
    if counter and grown > 0 and first >= 0:
        before_first = min(before_first, covered * first / grown)
    edges = sum(gap if gap < 1.1 * step else step / 2 for gap in (before_first, after_last))
    return grown * (covered + edges) / covered


def _quantiles(quantile: float, buckets: Vector) -> Vector:
    groups: defaultdict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, count in buckets.items():
        bound = float(dict(labels)["le"])
        groups[frozenset(pair for pair in labels if pair[0] not in ("le", NAME))].append((bound, count))
    return {labels: _quantile(quantile, sorted(those)) for labels, those in groups.items()}


def _quantile(quantile: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Between two bounds a straight line is taken."""
    rank = quantile * buckets[-1][1]
    index = next((n for n, (_, count) in enumerate(buckets) if count >= rank), 0)
    if not buckets[-1][1]:
        return math.nan
    if math.isinf(buckets[index][0]):
        return buckets[-2][0]
    low, below = buckets[index - 1] if index else (0.0, 0.0)
    high, count = buckets[index]
    return low + (high - low) * (rank - below) / (count - below)


def _combined(node: p.BinaryExpr, series: Series, at: float) -> Vector:
    left, right, op = _value(node.lhs, series, at), _value(node.rhs, series, at), str(node.op)
    key = _matching(node)
    if op in ("and", "unless", "or"):
        return _together(op, left, right, key)
    if isinstance(node.rhs, p.NumberLiteral):
        pairs: Iterable[tuple[Labels, float, float]] = ((labels, value, node.rhs.val) for labels, value in left.items())
    else:
        others = {key(labels): value for labels, value in right.items()}
        if len(others) < len(right) or len({key(labels) for labels in left}) < len(left):
            raise NotImplementedError("many to one")
        pairs = ((key(labels), value, others[key(labels)]) for labels, value in left.items() if key(labels) in others)
    return _computed(op, pairs)


def _matching(node: p.BinaryExpr) -> Callable[[Labels], Labels]:
    matching = node.modifier.matching if node.modifier else None
    if node.modifier and node.modifier.return_bool:
        raise NotImplementedError("bool")
    if matching is None:
        return _without_name
    if matching.type != p.LabelModifierType.Include:
        raise NotImplementedError("ignoring")
    on = set(matching.labels)
    return lambda labels: frozenset(pair for pair in labels if pair[0] in on)


def _together(op: str, left: Vector, right: Vector, key: Callable[[Labels], Labels]) -> Vector:
    if op == "or":
        known = {key(labels) for labels in left}
        return {**left, **{labels: value for labels, value in right.items() if key(labels) not in known}}
    known = {key(labels) for labels in right}
    return {labels: value for labels, value in left.items() if (key(labels) in known) is (op == "and")}


def _computed(op: str, pairs: Iterable[tuple[Labels, float, float]]) -> Vector:
    if op in _COMPARISONS:
        return {labels: left for labels, left, right in pairs if _COMPARISONS[op](left, right)}
    return {_without_name(labels): _ARITHMETIC[op](left, right) for labels, left, right in pairs}


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    return math.copysign(math.inf, left) if left else math.nan


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divided,
}
_VALUES: dict[type, Callable[..., Vector]] = {
    p.NumberLiteral: _number,
    p.ParenExpr: _inner,
    p.VectorSelector: _instant,
    p.AggregateExpr: _aggregated,
    p.Call: _called,
    p.BinaryExpr: _combined,
}
