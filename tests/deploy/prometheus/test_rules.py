"""The alert rules fire when they should, and ask only for what there is."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.prometheus.alerts import ALERTS, RULES, Rule, duration_s, input_series
from tests.deploy.prometheus.expressions import complaints

CASES = Path(__file__).with_name("rules_test.yaml")
TESTS = yaml.safe_load(CASES.read_text())["tests"]
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
PROMTOOL = shutil.which("promtool")


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_a_rule_asks_only_for_what_there_is(rule: Rule) -> None:
    assert complaints(rule.expression) == []


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_a_rule_says_what_it_means_and_where_to_look(rule: Rule) -> None:
    assert rule.labels.keys() == {"severity"}
    assert rule.labels["severity"] in ("info", "warning", "critical")
    assert rule.annotations.keys() == {"summary", "description", "runbook_url"}
    assert rule.annotations["runbook_url"] == f"docs/operations.md#{rule.name.lower()}"


@pytest.mark.parametrize("name", ALERTS)
def test_the_page_that_a_rule_points_to_has_a_heading_of_its_name(name: str) -> None:
    assert re.search(rf"^#+ {name}$", OPERATIONS.read_text(), re.MULTILINE)


@pytest.mark.parametrize("test", TESTS, ids=[test["name"] for test in TESTS])
def test_alerts_fire_when_they_should_and_only_then(test: dict[str, Any]) -> None:
    step = duration_s(test["interval"])
    series = input_series(test["input_series"], step)
    for case in test["alert_rule_test"]:
        fired = ALERTS[case["alertname"]].firing(series, duration_s(case["eval_time"]), step)
        assert sorted(fired, key=str) == sorted(case["exp_alerts"], key=str), case["eval_time"]


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_seen_to_fire_and_not_to(name: str) -> None:
    cases = [case for test in TESTS for case in test["alert_rule_test"] if case["alertname"] == name]
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}


def test_what_is_asked_for_wrongly_is_found() -> None:
    assert complaints("sum(ensemble_instruct_nothing)") == ["there is no ensemble_instruct_nothing"]
    assert complaints('ensemble_instruct_streams{run="a"}') == ["ensemble_instruct_streams has no run"]
    assert complaints("sum by (color) (ensemble_instruct_streams)") == ["nothing has color"]
    (twice,) = complaints("sum by (run) (ensemble_instruct_run_target)")
    assert twice.endswith("take the greatest")
    assert complaints("sum by (run) (max by (run, task_type) (ensemble_instruct_run_target))") == []


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed; the same cases were evaluated above")
@pytest.mark.parametrize("arguments", [("check", "rules", str(RULES)), ("test", "rules", str(CASES))], ids=" ".join)
def test_promtool_says_the_same(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([str(PROMTOOL), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
