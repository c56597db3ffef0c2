"""Faults of an earlier run: shares of all calls that were tried, of which some are always left that are answered."""

import pytest

from shared.capacity.figures import CallFigures, Latency
from shared.capacity.from_run import faults_of
from shared.lm.errors import Fault
from shared.method.tasks import Stage, TaskType
from shared.store.measures import CallKind, CallTotals, Measures

KIND = CallKind(Stage.OUTPUT, TaskType.OUTPUT_ONLY, "lm", "zero-shot")


def shares(answered: int, timed_out: int, overloaded: float) -> dict[Fault, float]:
    """Of calls that ended so, as figures that a plan can be made with."""
    totals = [CallTotals(KIND, None, answered, 0, 0, 1.0), CallTotals(KIND, "timed_out", timed_out, 0, 0, 60.0)]
    overloads = {(KIND.stage, KIND.model): overloaded} if overloaded else {}
    measured = Measures(totals, [], 1.0, [], {}, overloads, {}, 1.0)
    figures = CallFigures(
        stage=Stage.OUTPUT, model="lm", latency_s=Latency(mean=1.0), faults=tuple(faults_of(KIND, measured))
    )
    return {each.fault: each.share for each in figures.faults}


def test_a_call_that_a_server_took_met_no_overload() -> None:
    assert shares(answered=40, timed_out=60, overloaded=0.5) == {Fault.TIMED_OUT: 0.3, Fault.OVERLOADED: 0.5}


def test_without_overloads_a_fault_has_its_share_of_the_calls() -> None:
    assert shares(answered=3, timed_out=1, overloaded=0) == {Fault.TIMED_OUT: 0.25}


@pytest.mark.parametrize("overloaded", [0, 0.3, 0.999_999])
def test_one_answer_in_a_million_calls_is_an_answer(overloaded: float) -> None:
    assert sum(shares(answered=1, timed_out=999_999, overloaded=overloaded).values()) < 1
