"""A simulated run keeps to what a real one keeps to."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.method.pace import FLUSH_S
from shared.method.simulation.outcome import extrapolated, mean
from shared.method.simulation.run import simulate
from shared.method.simulation.scenario import Costs, FaultRate, Pool
from shared.method.simulation.spread import Spread
from shared.method.tasks import Stage
from tests.unit.method.simulation.scenarios import FREE, QUEUES, a_call, a_kind, a_scenario

EACH_ITS_OWN = tuple(frozenset([queue]) for queue in sorted(QUEUES))


def test_the_same_seed_gives_the_same_run_and_another_a_different_one() -> None:
    scenario = a_scenario(a_kind(instructions=0.6, verdicts=0.7))
    assert simulate(scenario, 3) == simulate(scenario, 3)
    assert simulate(scenario, 3) != simulate(scenario, 4)


def test_with_one_slot_calls_follow_each_other() -> None:
    result = simulate(a_scenario(a_kind(12), slots=1))
    assert result.all_calls >= 36
    # Between two stages an answer waits to be written; else there is always a call to send.
    assert result.all_calls - 2 <= result.seconds <= result.all_calls + 4


def test_a_run_whose_calls_all_fit_takes_one_way_through_the_stages() -> None:
    result = simulate(a_scenario(a_kind(20), slots=100))
    assert 3 <= result.seconds <= 3 + 2 * FLUSH_S


@settings(max_examples=25, deadline=None)
@given(
    target=st.integers(1, 60),
    slots=st.integers(1, 40),
    lookahead=st.integers(1, 80),
    instructions=st.floats(0.2, 1.8),
    verdicts=st.floats(0.2, 1.0),
    voices=st.integers(0, 3),
    workers=st.sampled_from([(QUEUES,), (QUEUES, QUEUES), EACH_ITS_OWN]),
)
def test_whatever_the_job_targets_are_met_and_windows_kept(
    target: int,
    slots: int,
    lookahead: int,
    instructions: float,
    verdicts: float,
    voices: int,
    workers: Sequence[frozenset[str]],
) -> None:
    kind = a_kind(target, instructions=instructions, verdicts=verdicts, voices=voices)
    result = simulate(a_scenario(kind, slots=slots, lookahead=lookahead, workers=workers, costs=Costs()))
    made, use = result.made[kind.name], result.servers["lm"]
    assert made.examples >= target
    assert not result.gave_up
    assert use.call_s <= result.seconds * slots + 1e-6
    assert use.crowd <= slots + 1e-6
    assert made.proposals >= made.instructions / 2
    assert made.instances >= made.accepted_instances >= made.verdicts >= made.examples
    assert result.all_calls <= made.proposals + made.instructions + voices * made.accepted_instances


def test_calls_are_as_many_as_the_yields_ask_for() -> None:
    kind = a_kind(400, instructions=0.5, instances=0.8, verdicts=0.5, voices=2)
    result = mean([simulate(a_scenario(kind, slots=32, lookahead=64), seed) for seed in range(5)])
    instances = 400 / 0.5 / 0.8  # for so many verdicts, or some more
    assert result.all_calls == pytest.approx(instances / 0.5 + instances + 2 * 0.8 * instances, rel=0.08)


def test_a_full_window_is_what_the_time_goes_by() -> None:
    few, many = (simulate(a_scenario(a_kind(400), slots=slots, lookahead=256)) for slots in (16, 32))
    assert few.seconds == pytest.approx(2 * many.seconds, rel=0.1)
    assert few.servers["lm"].in_flight > 15


def test_proposals_go_no_further_than_the_gate_allows() -> None:
    """With one proposal ahead each waits for the one before: for its answer, and for that to be written."""
    kind = replace(a_kind(20), instance=a_call(Stage.INSTANCE, 0.01), outputs=())
    result = simulate(a_scenario(kind, slots=64, lookahead=1))
    assert result.seconds >= 20
    assert simulate(a_scenario(kind, slots=64, lookahead=64)).seconds < 5


def test_a_slow_answer_holds_up_the_gate_and_a_failed_one_does_not() -> None:
    slow = Spread({0: 1, 0.95: 1, 0.96: 30, 1: 30})
    kind = a_kind(100)
    held = replace(kind, proposal=replace(kind.proposal, latency=slow))
    failing = replace(kind, proposal=replace(kind.proposal, faults=(FaultRate("failures", 0.05, Spread.of(1), 5),)))
    scenario = a_scenario(slots=200, lookahead=20)
    without, with_slow, with_faults = (
        simulate(replace(scenario, kinds=(each,))).seconds for each in (kind, held, failing)
    )
    assert with_slow > without + 20
    assert with_faults < without + 10


def test_calls_that_fail_are_made_again_and_each_counts() -> None:
    faults = (FaultRate("failures", 0.2, Spread.of(0.1), 50),)
    clean, faulty = (
        simulate(a_scenario(a_kind(300, faults=each), slots=32, lookahead=64), 1).all_calls for each in ((), faults)
    )
    assert faulty == pytest.approx(clean / 0.8, rel=0.06)


def test_a_call_that_a_server_did_not_take_is_none() -> None:
    faults = (FaultRate("overloads", 0.3, Spread.of(0), 500, taken=False),)
    result = simulate(a_scenario(a_kind(40, faults=faults), slots=8))
    made = result.made["output_only"]
    assert result.all_calls <= made.proposals + 2 * made.instructions


def test_work_that_no_try_helps_is_given_up() -> None:
    """A refused proposal leaves nothing, a refused instance ends its instruction, a refused output only a voice."""
    refused = (FaultRate("failures", 0.3, Spread.of(1), 1),)
    kind = a_kind(100, faults=refused)
    made = simulate(a_scenario(kind, slots=32, lookahead=64)).made[kind.name]
    assert made.instructions == pytest.approx(0.7 * made.proposals, rel=0.15)
    assert made.accepted_instances == pytest.approx(0.7 * made.instances, rel=0.15)
    assert made.examples == made.verdicts == made.accepted_instances


def test_a_type_that_gets_no_example_is_given_up() -> None:
    result = simulate(a_scenario(a_kind(10, verdicts=0.0), patience=30))
    assert result.gave_up
    assert 30 <= result.made["output_only"].proposals <= 30 + 64


def test_servers_answer_no_more_calls_a_second_than_they_can() -> None:
    pool = Pool("lm", {"lm": 64}, calls_per_s=10)
    result = simulate(a_scenario(a_kind(100), pools=(pool,), lookahead=64))
    assert result.seconds >= 300 / 10
    assert simulate(a_scenario(a_kind(100), slots=64, lookahead=64)).seconds < 15


def test_models_behind_the_same_servers_share_their_window() -> None:
    kind = replace(a_kind(60), outputs=(a_call(Stage.OUTPUT), a_call(Stage.OUTPUT, model="other")))
    everything = QUEUES | {"outputs.other"}
    shared = Pool("lm+other", {"lm": 8, "other": 8})
    own = (Pool("lm", {"lm": 8}), Pool("other", {"other": 8}))
    together, apart = (simulate(a_scenario(kind, pools=pools, workers=(everything,))) for pools in ((shared,), own))
    assert together.servers["lm+other"].crowd <= 8
    assert together.seconds > 1.2 * apart.seconds


def test_a_process_does_one_thing_after_the_other() -> None:
    costly = Costs(call_s=0.05, transaction_s=0)
    one, two = (
        simulate(a_scenario(a_kind(300), slots=64, lookahead=128, costs=costly, workers=(QUEUES,) * count))
        for count in (1, 2)
    )
    assert one.seconds >= sum(one.cpu_s.values()) - 1 >= 0.05 * 900 - 1
    assert two.seconds < 0.7 * one.seconds


def test_workers_of_single_queues_lose_slots_on_their_way_from_one_to_another() -> None:
    kind = a_kind(300)
    alone, each_its_own = (
        simulate(a_scenario(kind, slots=16, lookahead=64, workers=workers)).servers["lm"].in_flight
        for workers in ((QUEUES,), EACH_ITS_OWN)
    )
    assert 0.6 * alone < each_its_own < alone


def test_a_longer_run_is_extrapolated_in_proportion() -> None:
    near, far, whole = (simulate(a_scenario(a_kind(target), slots=32, lookahead=64)) for target in (200, 500, 1500))
    longer = extrapolated(near, far, 1000 / 300)
    assert longer.seconds == pytest.approx(whole.seconds, rel=0.05)
    assert longer.all_calls == pytest.approx(whole.all_calls, rel=0.05)
    assert longer.servers["lm"].in_flight == pytest.approx(whole.servers["lm"].in_flight, rel=0.05)


def test_what_costs_nothing_takes_no_time() -> None:
    assert sum(simulate(a_scenario(costs=FREE)).cpu_s.values()) == 0
