import random
import uuid

import pytest

from shared.job import RetryPolicy
from shared.lm.errors import BrokenAnswer, LMError, Misconfigured, Overloaded, RefusedInput, TimedOut, Unreachable
from shared.method.tasks import Stage, TaskType
from shared.store.work import Claim
from workers.retrying import postponement

POLICY = RetryPolicy(failures=3, timeouts=2, overloads=50, backoff_s=1, backoff_cap_s=10)


def a_claim(**counters: int) -> Claim:
    given = {"failures": 0, "timeouts": 0, "overloads": 0, "crashes": 0, "earlier_tries": 0, **counters}
    return Claim(
        id=uuid.UUID(int=1),
        run_id=uuid.UUID(int=2),
        stage=Stage.INSTANCE,
        task_type=TaskType.OUTPUT_ONLY,
        position=0,
        model="m",
        voice=None,
        instruction_id=None,
        instance_id=None,
        token=uuid.UUID(int=3),
        late=False,
        suspect=False,
        **given,
    )


class Unlucky(random.Random):
    """Draws the longest wait there is."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.mark.parametrize(
    ("error", "counter"),
    [
        (Overloaded, "overloads"),
        (Unreachable, "overloads"),
        (Misconfigured, "overloads"),
        (TimedOut, "timeouts"),
        (BrokenAnswer, "failures"),
    ],
)
def test_what_may_pass_is_tried_again_and_counted_as_what_it_was(error: type[LMError], counter: str) -> None:
    later = postponement(POLICY, a_claim(), error("http://lm", "detail"), random.Random(0))
    assert later is not None
    assert (later.counter, later.fault, later.detail) == (counter, error.fault, "detail")


def test_a_refused_input_is_not_tried_again() -> None:
    assert postponement(POLICY, a_claim(), RefusedInput("http://lm", "too long"), random.Random(0)) is None


@pytest.mark.parametrize(
    ("error", "counter", "tries"),
    [(BrokenAnswer, "failures", 3), (TimedOut, "timeouts", 2), (Overloaded, "overloads", 50)],
)
def test_each_kind_of_trouble_has_its_own_number_of_tries(error: type[LMError], counter: str, tries: int) -> None:
    def again(tried: int) -> bool:
        return postponement(POLICY, a_claim(**{counter: tried}), error("http://lm", ""), random.Random(0)) is not None

    assert [again(tried) for tried in (tries - 2, tries - 1)] == [True, False]


def test_other_trouble_costs_no_try() -> None:
    tired = a_claim(overloads=49, timeouts=1, crashes=3)
    assert postponement(POLICY, tired, BrokenAnswer("http://lm", ""), random.Random(0)) is not None


def test_the_longest_wait_doubles_up_to_its_cap() -> None:
    waits = []
    for tried in range(6):
        later = postponement(POLICY, a_claim(overloads=tried), Overloaded("http://lm", ""), Unlucky())
        assert later is not None
        waits.append(later.wait_s)
    assert waits == [1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize(("asked", "waits"), [(None, 1), (0.5, 1), (7, 7), (3600, 10)])
def test_a_server_is_not_asked_again_before_the_time_it_asked_for(asked: float | None, waits: float) -> None:
    busy = Overloaded("http://lm", "")
    busy.retry_after_s = asked
    later = postponement(POLICY, a_claim(), busy, Unlucky())
    assert later is not None
    assert later.wait_s == waits


def test_waits_are_spread_out() -> None:
    chance = random.Random(0)
    later = [postponement(POLICY, a_claim(overloads=4), Overloaded("http://lm", ""), chance) for _ in range(200)]
    waits = [each.wait_s for each in later if each]
    assert min(waits) < 1 < 9 < max(waits)
