"""The alert rules, and what becomes of them over time."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from shared.telemetry.metrics import PREFIX
from tests.deploy.prometheus.promql import NAME, Labels, Series, Vector, evaluate, labels_of

MONITORING = Path(__file__).parents[3] / "k8s" / "components" / "monitoring"
RULES = MONITORING / "rules.yaml"


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule. It fires when its expression has held for `for_s` seconds."""

    name: str
    expression: str
    for_s: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    def firing(self, series: Series, at: float, step: float) -> list[dict[str, Any]]:
        """The alerts that fire at a time, evaluated each `step` seconds from 0 on."""
        since: dict[Any, float] = {}
        held: Vector = {}
        for number in range(int(at // step) + 1):
            held = evaluate(self.expression, series, number * step)
            since = {labels: since.get(labels, number * step) for labels in held}
        return [self._alert(dict(labels), held[labels]) for labels in held if at - since[labels] >= self.for_s]

    def _alert(self, labels: dict[str, str], value: float) -> dict[str, Any]:
        told = {name: value for name, value in labels.items() if name != NAME}
        annotations = {name: _rendered(text, told, value) for name, text in self.annotations.items()}
        return {"exp_labels": {**told, **self.labels}, "exp_annotations": annotations}


def rules() -> list[Rule]:
    """All of them."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [
        Rule(each["alert"], each["expr"], duration_s(each.get("for")), each["labels"], each["annotations"])
        for group in groups
        for each in group["rules"]
    ]


def duration_s(written: str | None) -> float:
    """A duration as Prometheus writes it, in seconds."""
    return promql_parser.parse_duration(written).total_seconds() if written else 0.0


def input_series(written: list[dict[str, str]], step: float) -> Series:
    """Series as promtool's tests write them."""
    made = {}
    for each in written:
        name, _, rest = each["series"].partition("{")
        labels = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        values = enumerate(_values(each["values"]))
        made[labels_of({NAME: name, **labels})] = [(n * step, value) for n, value in values if value is not _NOTHING]
    return made


def series(samples: Mapping[tuple[str, Labels], float], at: float = 0) -> Series:
    """What was told once, as series."""
    return {pairs | {(NAME, PREFIX + name)}: [(at, value)] for (name, pairs), value in samples.items()}


_NOTHING = float("nan")  # this very object
_EXPANDING = re.compile(r"(-?[\d.]+)([+-][\d.]+)x(\d+)")
_REPEATING = re.compile(r"(-?[\d.]+|_)x(\d+)")


def _values(written: str) -> Iterator[float | None]:
    """`1+2x3` is 1 3 5 7, `1x2` is 1 1 1, `_` is no sample, `_x2` are two, and `stale` ends a series."""
    for word in written.split():
        if found := _EXPANDING.fullmatch(word):
            first, step, times = float(found[1]), float(found[2]), int(found[3])
            yield from (first + step * n for n in range(times + 1))
        elif found := _REPEATING.fullmatch(word):
            times = int(found[2])
            yield from [_NOTHING] * times if found[1] == "_" else [float(found[1])] * (times + 1)
        elif word == "_":
            yield _NOTHING
        else:
            yield None if word == "stale" else float(word)


def _rendered(template: str, labels: Mapping[str, str], value: float) -> str:
    def rendered(found: re.Match[str]) -> str:
        subject, _, function = (part.strip() for part in found[1].partition("|"))
        if subject.startswith("$labels."):
            return labels.get(subject.removeprefix("$labels."), "")
        return _HUMAN[function](value)

    return re.sub(r"\{\{(.*?)\}\}", rendered, template)


def _duration(seconds: float) -> str:
    """As Prometheus's `humanizeDuration`, for a second and more."""
    if seconds < 60:
        return f"{seconds:.4g}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    return " ".join(f"{count}{unit}" for count, unit in parts[next(n for n, (count, _) in enumerate(parts) if count) :])


def _percentage(share: float) -> str:
    return f"{100 * share:.4g}%"


_HUMAN: dict[str, Callable[[float], str]] = {"humanizeDuration": _duration, "humanizePercentage": _percentage}
ALERTS = {rule.name: rule for rule in rules()}
