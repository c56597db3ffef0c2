"""What an LM does wrong: tried again, or recorded with its reason; the run goes on and ends."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from shared.lm import breaker
from shared.lm.errors import Fault
from shared.lm.fake import FakeFault, FakeServer
from shared.lm.fake_http import Delivery
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.fake_responder import respond as plausible
from shared.queue import names
from shared.store.tables.records import Candidate, Example, Generation, Instance, Instruction
from shared.store.tables.runs import RunState
from shared.store.tables.work import WorkItem, WorkState
from tests.integration.workers.driving import begin, drive, one_round, rows, small_job, stream, work_in
from workers.runtime import Runtime

BUSY = FakeFault(429, b'{"error": {"message": "Model is overloaded"}}')
BROKEN = FakeFault(500, b'{"error": {"message": "it fell over"}}')
NOT_JSON = FakeFault(200, b"<html>")
HALF = FakeFault(200, b'{"choices": [{"text": "half of', Delivery.HALF)
DROPPED = FakeFault(delivery=Delivery.DROPPED)
REFUSED = FakeFault(422, b'{"error": {"message": "too long"}}')
HUNG = FakeFault(delivery=Delivery.HUNG)


def is_proposal(request: FakeRequest) -> bool:
    return request.prompt.rstrip().rpartition("\n")[2].startswith("Task ")


def is_output(request: FakeRequest) -> bool:
    return request.chat


def first_times(fault: FakeFault, times: int = 1) -> Callable[[FakeRequest], FakeAnswer | FakeFault]:
    """Meets every prompt with `fault` that often before it answers."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def respond(request: FakeRequest) -> FakeAnswer | FakeFault:
        with lock:
            seen[request.prompt] += 1
            return fault if seen[request.prompt] <= times else plausible(request)

    return respond


def always(fault: FakeFault, wanted: Callable[[FakeRequest], bool]) -> Callable[[FakeRequest], FakeAnswer | FakeFault]:
    """Meets the requests that are `wanted` with `fault`, always."""
    return lambda request: fault if wanted(request) else plausible(request)


@pytest.mark.parametrize(
    ("fault", "counter"),
    [(BUSY, "overloads"), (BROKEN, "failures"), (NOT_JSON, "failures"), (HALF, "failures"), (DROPPED, "failures")],
    ids=["busy", "broken", "not-json", "half", "dropped"],
)
def test_a_fault_that_passes_is_tried_again_and_the_run_completes(
    runtime: Runtime, fault: FakeFault, counter: str
) -> None:
    with FakeServer(first_times(fault)) as server:
        run = drive(runtime, begin(runtime, small_job(server.url, targets={"output_only": 1})))

    assert run.state == RunState.COMPLETED
    counted = select(func.sum(getattr(WorkItem, counter)))
    others = [getattr(WorkItem, name) for name in ("overloads", "failures", "timeouts", "crashes") if name != counter]
    assert rows(runtime, counted)[0] > 0
    assert rows(runtime, select(func.sum(sum(others[1:], others[0])))) == [0]


def test_a_call_that_hangs_is_tried_as_often_as_the_job_allows(runtime: Runtime) -> None:
    with FakeServer(always(HUNG, is_output)) as server:
        models = {"chat": {"timeout_s": 0.1}}
        run = drive(runtime, begin(runtime, small_job(server.url, models=models, targets={"output_only": 1})))

    assert run.state == RunState.COMPLETED
    given_up = select(WorkItem.timeouts, WorkItem.fault).where(WorkItem.state == WorkState.FAILED)
    assert set(rows(runtime, given_up)) == {(2, Fault.TIMED_OUT)}


def test_a_fault_that_stays_is_tried_as_often_as_the_job_allows(runtime: Runtime) -> None:
    retry = {"failures": 3}
    with FakeServer(always(BROKEN, is_output)) as server:
        drive(runtime, begin(runtime, small_job(server.url, retry=retry, targets={"output_only": 1})))

    ended = (
        select(func.count())
        .select_from(Generation)
        .join(WorkItem, WorkItem.id == Generation.work_item_id)
        .where(WorkItem.state == WorkState.FAILED)
        .group_by(WorkItem.id)
    )
    assert set(rows(runtime, ended)) == {3}


def test_a_voice_that_failed_for_good_leaves_a_candidate_with_its_reason(runtime: Runtime) -> None:
    retry = {"failures": 2}
    with FakeServer(always(BROKEN, is_output)) as server:
        drive(runtime, begin(runtime, small_job(server.url, retry=retry, targets={"output_only": 1})))

    silent = select(Candidate.output, Candidate.reason).where(Candidate.voice == "chat")
    assert set(rows(runtime, silent)) == {(None, Fault.BROKEN_ANSWER)}


def test_a_refused_input_is_recorded_and_not_tried_again(runtime: Runtime) -> None:
    with FakeServer(always(REFUSED, is_output), record=True) as server:
        drive(runtime, begin(runtime, small_job(server.url, targets={"output_only": 1})))

    asked = [request.body for request in server.requests if request.path == "/v1/chat/completions"]
    assert len(asked) == len(set(asked)) > 0
    refused = select(Candidate.reason, Generation.fault).join(Generation, Generation.id == Candidate.generation_id)
    assert set(rows(runtime, refused.where(Candidate.voice == "chat"))) == {(Fault.REFUSED_INPUT, Fault.REFUSED_INPUT)}


def test_an_instruction_whose_instance_failed_is_rejected_with_the_fault(runtime: Runtime) -> None:
    def respond(request: FakeRequest) -> FakeAnswer | FakeFault:
        refuses = not is_proposal(request) and not request.chat and (request.seed or 0) % 2
        return REFUSED if refuses else plausible(request)

    with FakeServer(respond) as server:
        run = drive(
            runtime, begin(runtime, small_job(server.url, targets={"output_only": 4}, outputs=[{"model": "chat"}]))
        )

    assert run.state == RunState.COMPLETED
    assert Fault.REFUSED_INPUT in rows(runtime, select(Instance.reason))


def test_a_server_that_has_no_room_costs_no_failure_and_leaves_no_generation(runtime: Runtime) -> None:
    with FakeServer(first_times(BUSY, 3)) as server:
        drive(runtime, begin(runtime, small_job(server.url, targets={"output_only": 1})))

    assert rows(runtime, select(func.count()).where(Generation.fault.is_not(None))) == [0]


def test_a_server_that_is_away_ends_the_run_with_an_error_that_says_so(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "LONGEST_WAIT_S", 0.05)
    job = small_job(
        "http://127.0.0.1:9",
        targets={"output_only": 1},
        retry={"overloads": 1},
        instructions={"patience": 2, "lookahead": 2},
    )
    run = drive(runtime, begin(runtime, job))

    assert run.state == RunState.FAILED
    assert run.reason is not None
    assert "unreachable" in run.reason


def test_nonsense_for_every_proposal_ends_the_run_with_the_most_frequent_reasons(runtime: Runtime) -> None:
    def respond(request: FakeRequest) -> FakeAnswer:
        return FakeAnswer(" ?!" if (request.seed or 0) % 4 else " Write a program that sorts some numbers.\n\nTask")

    with FakeServer(respond) as server:
        run = drive(
            runtime, begin(runtime, small_job(server.url, targets={"output_only": 1}, instructions={"patience": 24}))
        )

    counts = select(Instruction.reason, func.count()).group_by(Instruction.reason).order_by(func.count().desc())
    most = ", ".join(f"{reason} {count}" for reason, count in rows(runtime, counts))
    assert run.state == RunState.FAILED
    assert run.reason is not None
    assert run.reason.endswith(f"most frequent reasons: {most}")
    assert "of type output_only led to no example" in run.reason


def test_a_run_that_failed_leaves_no_work_to_do(runtime: Runtime) -> None:
    with FakeServer(lambda request: FakeAnswer("")) as server:
        run = drive(runtime, begin(runtime, small_job(server.url, instructions={"patience": 8})))
        one_round(runtime, run.id)

    assert work_in(runtime, run.id, WorkState.READY, WorkState.LEASED) == []


def test_a_call_to_be_tried_again_waits_and_the_others_go_on(runtime: Runtime) -> None:
    def respond(request: FakeRequest) -> FakeAnswer | FakeFault:
        return BROKEN if (request.seed or 0) % 2 else plausible(request)

    with FakeServer(respond) as server:
        run_id = begin(runtime, small_job(server.url, retry={"backoff_s": 3600, "backoff_cap_s": 3600}))
        stream(runtime, run_id, names.INSTRUCTIONS)

    waiting = rows(runtime, select(WorkItem.fault).where(WorkItem.stage == "instruction", WorkItem.failures == 1))
    done = rows(
        runtime, select(WorkItem.fault).where(WorkItem.stage == "instruction", WorkItem.state == WorkState.DONE)
    )
    assert set(waiting) == {Fault.BROKEN_ANSWER}
    assert len(done) > 0


def test_no_example_is_made_twice_when_everything_fails_at_first(runtime: Runtime) -> None:
    with FakeServer(first_times(DROPPED, 2)) as server:
        drive(runtime, begin(runtime, small_job(server.url, targets={"output_only": 2})))

    verdicts = rows(runtime, select(Example.verdict_id))
    assert len(verdicts) == len(set(verdicts)) >= 2


def test_a_text_that_breaks_a_template_costs_one_voice_and_no_other_call(
    runtime: Runtime, lm: FakeServer, tmp_path: Path
) -> None:
    shipped = Path("prompts/output_zero_shot.md.j2").read_text()
    breaking = shipped + "{{ 1 // (instruction | length % 2) }}"  # divides by zero for texts of even length
    (tmp_path / "output_zero_shot.md.j2").write_text(breaking)
    run = drive(runtime, begin(runtime, small_job(lm.url, prompts=str(tmp_path))))

    assert run.state == RunState.COMPLETED
    of_chat = select(Candidate.reason, func.length(Instruction.text) % 2).where(Candidate.voice == "chat")
    told = rows(
        runtime,
        of_chat.join(Instance, Instance.id == Candidate.instance_id).join(
            Instruction, Instruction.id == Instance.instruction_id
        ),
    )
    assert {odd for reason, odd in told if reason == "unrenderable"} == {0}
    assert {odd for reason, odd in told if reason != "unrenderable"} == {1}
