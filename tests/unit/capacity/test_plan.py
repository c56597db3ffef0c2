"""A plan from a job and figures: what it needs, what is in its way, what meets a deadline, and why there is none."""

from typing import Any

import pytest

from shared.capacity.deadline import OutOfReachError
from shared.capacity.forecast import GivesUpError
from shared.capacity.plan import JobPlan, Options, plan
from shared.capacity.scenario import NeverMetError, NoFiguresError
from tests.unit.capacity.planned import a_job, figures

URL = {"protocol": "openai", "kind": "vanilla", "endpoints": ["http://a:1"], "max_in_flight": 16}


def planned(
    job: dict[str, Any] | None = None, measured: dict[str, Any] | None = None, workers: int | None = 1, **options: Any
) -> JobPlan:
    """A plan of the job and the figures with these changes; with one worker, which is simulated the soonest."""
    return plan(a_job(**job or {}), figures(**measured or {}), Options(workers=workers, **options))


def test_it_counts_calls_and_tokens_by_queue() -> None:
    made = planned()
    queues = {each.queue: each for each in made.queues}
    assert list(queues) == ["instructions", "instances", "outputs.answerer", "consensus", "control"]
    assert made.calls.calls == pytest.approx(sum(each.calls for each in made.queues), abs=2)
    assert queues["instances"].calls == pytest.approx(0.8 * queues["instructions"].calls, rel=0.1)
    assert queues["instances"].prompt_tokens == pytest.approx(1500 * queues["instances"].calls, rel=0.02)
    assert queues["consensus"].verdicts >= 60 / 0.8 - 10
    assert all(each.workers == 1 for each in made.queues)
    assert made.low_s < made.seconds < made.high_s


def test_servers_are_told_with_their_gpu_hours_and_what_they_cost() -> None:
    made = planned(gpu_price=3.0, gpus={"writer": 4.0})
    writer, answerer = made.servers
    assert (writer.models, answerer.models) == (("writer",), ("answerer",))
    assert writer.gpu_hours == pytest.approx(4 * writer.busy_s / 3600)
    assert answerer.gpu_hours == pytest.approx(answerer.busy_s / 3600)
    assert made.gpu_hours == pytest.approx(writer.gpu_hours + answerer.gpu_hours)
    assert made.price == pytest.approx(3 * made.gpu_hours)
    assert planned().price is None


def test_models_behind_the_same_servers_are_counted_once() -> None:
    models = {"writer": URL, "answerer": URL}
    (both,) = planned({"models": models}).servers
    assert both.models == ("writer", "answerer")
    assert both.max_in_flight == 16
    assert both.calls == planned({"models": models}).calls.calls


def test_more_calls_at_once_than_were_measured_take_more_servers() -> None:
    made = planned(measured={"models": {"writer": {"in_flight": 4}, "answerer": {"in_flight": 16}}})
    writer, answerer = made.servers
    assert (writer.servers, writer.needed) == (1, 4)  # 15.5 at once, of which one takes up to 5
    assert (answerer.servers, answerer.needed) == (1, 1)
    assert any("writer: measured with some 4 calls at once" in note for note in made.notes)


def test_the_database_holds_a_row_for_each_record_and_each_call() -> None:
    made = planned()
    tables = {each.table: each for each in made.tables}
    assert tables["generations"].rows == made.calls.calls
    assert tables["generations"].bytes == round(4645 * made.calls.calls)
    assert tables["examples"].rows >= 60
    assert tables["candidates"].rows == pytest.approx(2 * tables["verdicts"].rows, rel=0.1)
    assert made.database_bytes == sum(each.bytes for each in made.tables)


def test_a_model_speaks_twice_with_two_prompts() -> None:
    calls = [
        *figures().model_dump(mode="json")["calls"][:2],
        {"stage": "output", "model": "answerer", "template": "output_zero_shot", "latency_s": 1},
        {"stage": "output", "model": "answerer", "template": "output_few_shot", "latency_s": 9},
    ]
    voices = [{"model": "answerer"}, {"model": "answerer", "name": "shown", "prompt": "output_few_shot"}]
    once, twice = planned(measured={"calls": calls}), planned({"outputs": voices}, {"calls": calls})
    assert twice.calls.calls > once.calls.calls + 60
    assert twice.seconds > once.seconds + 7


@pytest.mark.parametrize(
    ("job", "bottleneck"),
    [
        ({"targets": {"output_only": 100}}, "the window of writer"),
        ({"targets": {"output_only": 40}, "instructions": {"model": "writer", "lookahead": 1}}, "novelty gate"),
        ({"targets": {"output_only": 3}}, "the way of an example"),
    ],
)
def test_what_the_run_waits_for_has_a_name_and_a_relief(job: dict[str, Any], bottleneck: str) -> None:
    made = planned(job)
    assert bottleneck in made.bottleneck.name
    assert made.bottleneck.relief
    assert made.bottleneck.seconds <= made.seconds


def test_workers_that_are_too_few_are_in_the_way_and_else_there_are_enough_of_them() -> None:
    models = {name: {**URL, "endpoints": [f"http://{name}:1"], "max_in_flight": 256} for name in ("writer", "answerer")}
    job = {"targets": {"output_only": 300}, "models": models, "instructions": {"model": "writer", "lookahead": 512}}
    slow = {"worker": {"call_ms": 60, "transaction_ms": 10}}
    few, enough = planned(job, slow), planned(job, slow, workers=None)
    assert few.bottleneck.name == "the workers' CPU"
    assert few.seconds > 1.5 * enough.seconds
    assert {each.queue: each.workers for each in enough.queues}["instructions"] > 1


def test_a_deadline_is_met_by_wider_windows_with_as_many_more_servers() -> None:
    measured = {"models": {"writer": {"in_flight": 16}, "answerer": {"in_flight": 16}}}
    job = {"targets": {"output_only": 150}}
    as_it_is = planned(job, measured)
    deadline_s = as_it_is.seconds / 3
    met = planned(job, measured, deadline_s=deadline_s).deadline
    assert met
    assert 0.6 * deadline_s < met.seconds <= deadline_s
    writer, answerer = met.servers
    assert writer.max_in_flight > 2.5 * 16
    assert writer.needed >= 2
    assert answerer.max_in_flight < writer.max_in_flight
    assert met.lookahead >= writer.max_in_flight


def test_a_deadline_that_allows_more_is_met_by_less() -> None:
    job = {"targets": {"output_only": 150}}
    as_it_is = planned(job)
    met = planned(job, deadline_s=4 * as_it_is.seconds).deadline
    assert met
    assert met.servers[0].max_in_flight < 8
    assert 2 * as_it_is.seconds < met.seconds <= 4 * as_it_is.seconds


def test_a_deadline_shorter_than_an_examples_way_is_out_of_reach() -> None:
    with pytest.raises(OutOfReachError, match=r"No number of servers meets a deadline of 2\.0 s.*would still take"):
        planned(deadline_s=2.0)


def test_calls_and_yields_that_nobody_measured_are_asked_for() -> None:
    lacking = figures().model_dump(mode="json")["calls"][:2]
    with pytest.raises(NoFiguresError) as refused:
        planned(measured={"calls": lacking, "yields": {"output_only": {"instructions": 0.5, "instances": 0.5}}})
    told = str(refused.value)
    assert "calls of answerer for outputs of output_only; how many verdicts of output_only are kept" in told
    assert "--probe N" in told
    assert "--from RUN" in told


def test_a_yield_of_nothing_is_an_end_of_planning_and_says_why() -> None:
    none = {"share": 0, "of": 40, "reasons": {"low_agreement": 31, "too_few_candidates": 9}}
    yields = {"output_only": {"instructions": 0.5, "instances": 0.9, "verdicts": none}}
    with pytest.raises(NeverMetError) as refused:
        planned(measured={"yields": yields})
    assert str(refused.value) == (
        "targets.output_only can't be met: of 40 instances measured none led to an example"
        " (low_agreement 31, too_few_candidates 9)"
    )


def test_a_run_that_would_lose_its_patience_is_foreseen() -> None:
    yields = {"output_only": {"instructions": 0.05, "instances": 0.5, "verdicts": 0.1}}
    with pytest.raises(GivesUpError, match="100 proposals in a row without an example"):
        planned({"instructions": {"model": "writer", "patience": 100}}, {"yields": yields})


def test_a_run_that_would_hardly_come_to_an_example_is_not_simulated_at_length() -> None:
    yields = {"output_only": {"instructions": 0.0001, "instances": 1, "verdicts": 0.001}}
    with pytest.raises(GivesUpError, match="output_only 1e-05 % of a type's proposals"):
        planned({"targets": {"output_only": 1_000_000}}, {"yields": yields})


def test_a_job_of_millions_is_simulated_in_part() -> None:
    made = planned({"targets": {"output_only": 1_000_000}, "outputs": [], "consensus": {"rule": "none"}})
    assert made.simulated == 10_000
    assert made.made["output_only"].examples == pytest.approx(1_000_000, rel=0.01)
    assert made.seconds == pytest.approx(1_000_000 / 0.8**3 * 1.8 / 16, rel=0.05)  # the writer's calls, 16 at once
    assert made.notes[0] == "10,000 of 1,000,000 examples were simulated, and the rest extrapolated in proportion"


def test_more_known_instructions_than_were_measured_with_are_warned_of() -> None:
    yields = {"output_only": {"instructions": {"share": 0.8, "of": 25}, "instances": 0.8, "verdicts": 0.8}}
    made = planned({"targets": {"output_only": 400}}, {"yields": yields})
    told = " ".join(made.notes)
    assert "the novelty gate was measured with up to 20 accepted instructions" in told
    assert "the yield of instructions was measured on 25 only" in told


def test_few_measured_records_make_a_wide_range() -> None:
    def width(of: int) -> float:
        yields = {name: {"share": 0.8, "of": of} for name in ("instructions", "instances", "verdicts")}
        made = planned({"targets": {"output_only": 100}}, {"yields": {"output_only": yields}})
        return made.high_s / made.low_s

    assert width(10) > 1.3 > width(100_000)


def test_a_budget_that_is_too_small_is_told_of() -> None:
    made = planned({"budget": {"generations": 50, "tokens": 1_000_000_000, "hours": 0.001}})
    told = [note for note in made.notes if note.startswith("budget")]
    assert [note.partition(":")[0] for note in told] == ["budget.generations", "budget.hours"]


def test_a_lookahead_shorter_than_the_window_is_told_of() -> None:
    made = planned({"instructions": {"model": "writer", "lookahead": 4}})
    assert "instructions.lookahead is 4: let it be 16 or more, the calls at once" in made.notes


def test_faults_cost_calls_and_time() -> None:
    calls = figures().model_dump(mode="json")["calls"]
    faults = [{"fault": "timed_out", "share": 0.1, "latency_s": 5}, {"fault": "overloaded", "share": 0.1}]
    clean, faulty = planned(), planned(measured={"calls": [{**call, "faults": faults} for call in calls]})
    assert faulty.calls.calls == pytest.approx(clean.calls.calls / 0.89, rel=0.08)
    assert faulty.seconds > clean.seconds + 3


def test_what_one_server_can_do_at_most_is_kept_to() -> None:
    made = planned({"targets": {"output_only": 100}}, {"models": {"writer": {"most_calls_per_s": 4}}})
    assert made.servers[0].calls_per_s <= 4.1
    assert made.seconds > 80
