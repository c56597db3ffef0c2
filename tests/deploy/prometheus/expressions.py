"""What an expression of PromQL asks for: series by name and label, and how they are put together."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import promql_parser as p

from tests.unit.telemetry.described import Described, of_runs, of_workers

Selectors: TypeAlias = Iterator[tuple[p.VectorSelector, list[p.Expr]]]

OF_PROMETHEUS = frozenset({"job", "instance", "namespace", "pod"})  # which it adds to all that it scrapes
OF_BUCKETS = frozenset({"le"})
OF_THE_CLIENT = {"process_cpu_seconds_total": frozenset[str](), "process_resident_memory_bytes": frozenset[str]()}


def _labels(each: Described) -> dict[str, frozenset[str]]:
    return {name: frozenset(each.labels) | (OF_BUCKETS if "_bucket" in name else frozenset()) for name in each.series}


RUN_SERIES = {name for each in of_runs() for name in each.series}
LABELS = {name: labels for each in (*of_workers(), *of_runs()) for name, labels in _labels(each).items()}
LABELS |= OF_THE_CLIENT


@dataclass(frozen=True, slots=True)
class Asked:
    """A series that is asked for, the labels that its selector names, and whether its greatest is taken first."""

    name: str
    labels: frozenset[str]
    greatest: bool


def asked(expression: str) -> list[Asked]:
    """Every series that an expression asks for."""
    return [
        Asked(node.name or "", frozenset(each.name for each in node.matchers.matchers), _takes_greatest(above))
        for node, above in _selectors(p.parse(expression), [])
    ]


def grouped_by(expression: str) -> set[str]:
    """The labels by which an expression groups or joins."""
    found: set[str] = set()

    def look(node: p.Expr) -> None:
        if isinstance(node, p.AggregateExpr) and node.modifier:
            found.update(node.modifier.labels)
        if isinstance(node, p.BinaryExpr) and node.modifier and node.modifier.matching:
            found.update(node.modifier.matching.labels)

    p.walk(p.parse(expression), look)
    return found


def complaints(expression: str) -> list[str]:
    """What an expression asks for that there is not, or adds up though every process tells the same."""
    found, known = [], set(OF_PROMETHEUS)
    for each in asked(expression):
        if each.name not in LABELS:
            found.append(f"there is no {each.name}")
            continue
        known |= LABELS[each.name]
        found += [f"{each.name} has no {label}" for label in each.labels - LABELS[each.name] - OF_PROMETHEUS]
        if each.name in RUN_SERIES and not each.greatest:
            found.append(f"{each.name} is told by several: take the greatest")
    return found + [f"nothing has {label}" for label in grouped_by(expression) - known]


def _selectors(node: p.Expr, above: list[p.Expr]) -> Selectors:
    if isinstance(node, p.VectorSelector):
        yield node, above
    elif isinstance(node, p.MatrixSelector):
        yield node.vector_selector, above
    else:
        for child in _children(node):
            yield from _selectors(child, [*above, node])


def _children(node: p.Expr) -> list[p.Expr]:
    if isinstance(node, p.BinaryExpr):
        return [node.lhs, node.rhs]
    if isinstance(node, p.Call):
        return list(node.args)
    if isinstance(node, p.AggregateExpr):
        return [node.expr, *([node.param] if isinstance(node.param, p.Expr) else [])]
    if isinstance(node, p.ParenExpr | p.UnaryExpr | p.SubqueryExpr):
        return [node.expr]
    return []


def _takes_greatest(above: list[p.Expr]) -> bool:
    """Whether the innermost aggregation takes the greatest, or only asks whether there is any."""
    if any(isinstance(each, p.Call) and each.func.name == "absent" for each in above):
        return True
    inmost = next((each for each in reversed(above) if isinstance(each, p.AggregateExpr)), None)
    return inmost is not None and str(inmost.op) == "max"
