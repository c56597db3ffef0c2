"""The stand-in for a cluster's autoscaler keeps to the rules of the real one."""

from collections.abc import Iterable

import pytest

from tests.deploy.autoscaler import SYNC_S, Autoscaler
from tests.deploy.rendering import Rendered

MOST = 8


@pytest.fixture
def autoscaler(of_job: Rendered) -> Autoscaler:
    """That of a pool with 500 calls in flight at most, in steps of 64."""
    scaler = Autoscaler.of(of_job.named("ScaledObject", "output-generator-answerer"))
    assert (scaler.target, scaler.spec["maxReplicaCount"]) == (64, MOST)
    return scaler


def over_time(
    autoscaler: Autoscaler, lengths: Iterable[float | None], replicas: int = 1, began: float = 0
) -> list[int]:
    """How many replicas there are after each look."""
    found = []
    for number, length in enumerate(lengths):
        replicas = autoscaler.decide(began + number * SYNC_S, replicas, length)
        found.append(replicas)
    return found


def test_it_grows_by_two_or_doubles_in_half_a_minute_up_to_the_limit(autoscaler: Autoscaler) -> None:
    assert over_time(autoscaler, [10_000] * 7) == [3, 3, 6, 6, 8, 8, 8]


def test_there_is_a_worker_for_each_part_of_what_is_unfinished_that_was_begun(autoscaler: Autoscaler) -> None:
    assert over_time(autoscaler, [0, 64, 65, 80, 128, 129]) == [1, 1, 1, 2, 2, 2]  # a tenth too many is near enough


def test_it_shrinks_by_halves_once_five_minutes_have_wanted_less(autoscaler: Autoscaler) -> None:
    assert over_time(autoscaler, [10_000] * 5)[-1] == MOST
    calm = over_time(autoscaler, [0] * 40, replicas=MOST, began=5 * SYNC_S)
    assert calm[:20] == [MOST] * 20
    assert list(dict.fromkeys(calm)) == [8, 4, 2, 1]
    assert calm.count(4) == calm.count(2) == 4  # a minute each


def test_a_moment_of_calm_changes_nothing(autoscaler: Autoscaler) -> None:
    assert over_time(autoscaler, [10_000] * 5)[-1] == MOST
    assert over_time(autoscaler, [0] * 10 + [10_000] + [0] * 10, replicas=MOST, began=5 * SYNC_S) == [MOST] * 21


def test_a_database_that_is_away_for_a_minute_leaves_as_many_as_the_servers_take(autoscaler: Autoscaler) -> None:
    assert over_time(autoscaler, [100, None, None, None]) == [2, 2, 2, 2]
    assert over_time(autoscaler, [None] * 6, replicas=2, began=4 * SYNC_S)[-1] == MOST
