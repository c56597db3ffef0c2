"""The dashboards can be imported anywhere, and ask only for what there is."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.prometheus.alerts import MONITORING
from tests.deploy.prometheus.expressions import LABELS, OF_PROMETHEUS, complaints
from tests.unit.telemetry.described import of_runs, of_workers

DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((MONITORING / "dashboards").glob("*.json"))}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
BY_DASHBOARD = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
STANDS_FOR = {"$__rate_interval": "5m", "$gpus": "1"}  # what Grafana puts in


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    """What is asked for, with the variables as they might be."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            filled = target["expr"]
            for variable, value in STANDS_FOR.items():
                filled = filled.replace(variable, value)
            filled = re.sub(r"\$price_\w+", "2", filled)
            yield re.sub(r"\$\w+", ".*", filled)


def test_there_are_three() -> None:
    assert DASHBOARDS.keys() == {"pipeline", "models", "cost"}
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == 3


@BY_DASHBOARD
def test_it_can_be_imported_anywhere(dashboard: dict[str, Any]) -> None:
    assert dashboard["id"] is None
    assert dashboard["schemaVersion"] >= 39  # Grafana 11
    assert (
        dashboard["templating"]["list"][0] | {"name": "datasource", "type": "datasource", "query": "prometheus"}
        == (dashboard["templating"]["list"][0])
    )
    asking = [*panels(dashboard), *(target for panel in panels(dashboard) for target in panel["targets"])]
    asking += [each for each in dashboard["templating"]["list"] if each["type"] == "query"]
    assert {json.dumps(each["datasource"]) for each in asking} == {json.dumps(SOURCE)}


@BY_DASHBOARD
def test_it_asks_only_for_what_there_is(dashboard: dict[str, Any]) -> None:
    asked = list(expressions(dashboard))
    assert len(asked) >= len(panels(dashboard)) > 10
    assert [wrong for each in asked for wrong in complaints(each)] == []


@BY_DASHBOARD
def test_its_variables_are_there_and_used(dashboard: dict[str, Any]) -> None:
    names = {each["name"] for each in dashboard["templating"]["list"]}
    text = json.dumps([panel["targets"] for panel in panels(dashboard)])
    used = set(re.findall(r"\$\{?([a-z]\w*)", text))
    assert used == names
    for each in dashboard["templating"]["list"]:
        if each["type"] == "query":
            query = re.fullmatch(r"label_values\((\w+), (\w+)\)", each["query"]["query"])
            assert query
            metric, label = query.groups()
            assert label in LABELS[metric] | OF_PROMETHEUS


@BY_DASHBOARD
def test_its_panels_have_names_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["title"] for panel in dashboard["panels"])
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= WIDTH for place in places)
    assert not [(one, other) for one, other in combinations(places, 2) if overlap(one, other)]


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    """Whether two places have something in common."""
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def test_every_metric_is_on_a_dashboard() -> None:
    shown = "\n".join(each for dashboard in DASHBOARDS.values() for each in expressions(dashboard))
    assert [each.name for each in (*of_workers(), *of_runs()) if each.name not in shown] == []


def test_the_files_are_as_grafana_writes_them() -> None:
    for path in Path(MONITORING / "dashboards").glob("*.json"):
        assert path.read_text() == json.dumps(json.loads(path.read_text()), indent=2, ensure_ascii=False) + "\n"
