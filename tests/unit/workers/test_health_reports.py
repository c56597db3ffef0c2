"""Others are told of a server when there is news, and not for every call."""

from dataclasses import replace

import pytest

from shared.lm.health import CircuitState, EndpointHealth
from workers.health_reports import EVERY_S, HealthReports

FINE = EndpointHealth("http://lm", CircuitState.CLOSED, 8, 8, 0, 9.0, None, None, None, None, None)
FAILING = replace(FINE, failing_s=3.0)


def is_told(before: EndpointHealth, after: EndpointHealth, later_s: float) -> bool:
    reports = HealthReports()
    assert reports.due(100.0, [before]) == [before]
    reports.told(100.0, [before])
    return reports.due(100.0 + later_s, [after]) == [after]


@pytest.mark.parametrize(
    ("before", "after"),
    [(FINE, replace(FINE, state=CircuitState.OPEN)), (FINE, replace(FINE, limit=4)), (FAILING, FINE)],
    ids=["opened", "cut", "answers-again"],
)
def test_a_change_is_told_at_once(before: EndpointHealth, after: EndpointHealth) -> None:
    assert is_told(before, after, later_s=0.25)


@pytest.mark.parametrize(
    "after",
    [replace(FINE, in_flight=3), replace(FINE, answered_s=1.0), FAILING, replace(FINE, limit=8, failing_s=0.1)],
    ids=["busy", "answered", "failing", "just-failed"],
)
def test_the_rest_is_told_now_and_then(after: EndpointHealth) -> None:
    assert not is_told(FINE, after, later_s=0.25)
    assert is_told(FINE, after, later_s=EVERY_S)


def test_a_server_that_is_fine_and_has_nothing_to_do_is_not_told_of_again() -> None:
    assert not is_told(FINE, replace(FINE, answered_s=3600.0), later_s=60.0)
