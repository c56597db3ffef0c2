"""Retracting while a run goes on: its later prompts, verdicts and records know of it, and no mark is lost."""

import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from shared.job import JobSpec
from shared.lm.fake import FakeServer
from shared.method.tasks import TaskType
from shared.store import retractions
from shared.store.audit.run import audit
from shared.store.descent import Root, trace
from shared.store.marks import is_retracted
from shared.store.retractions import Extent, renew_marks, retract, unretract
from shared.store.roots import find_roots
from shared.store.states import resume_run
from shared.store.tables.records import Candidate, Example, Generation, Instruction, Verdict
from shared.store.tables.retractions import RetractedRecord, Retraction, RootKind
from shared.store.tables.runs import Run, RunState
from tests.integration.workers.driving import begin, drive, in_threads, one_round, rows, run_of, small_job
from workers.runtime import Runtime

INPUTS = ("", "an input")


@pytest.fixture
def job(lm: FakeServer, tmp_path: Path) -> JobSpec:
    """A job on four seed tasks of each type, `with_0` to `without_3`, of which a prompt shows three."""
    seeds = [
        {
            "id": f"{'with' if input else 'without'}_{number}",
            "name": "",
            "instruction": f"Carry out number {number} {'with it' if input else 'alone'}.",
            "instances": [{"input": input, "output": f"done {number}"}],
            "is_classification": False,
        }
        for input in INPUTS
        for number in range(4)
    ]
    path = tmp_path / "seeds.jsonl"
    path.write_text("\n".join(map(json.dumps, seeds)))
    return small_job(lm.url, seeds=str(path), targets={"input_output": 8, "output_only": 8})


def work_until_accepted(runtime: Runtime, run_id: uuid.UUID, count: int) -> None:
    """Work on a run until the gate has accepted so many instructions, and some more was done."""
    accepted = select(func.count()).where(Instruction.run_id == run_id, Instruction.accepted_order.is_not(None))
    while rows(runtime, accepted)[0] < count:
        one_round(runtime, run_id)
    one_round(runtime, run_id)
    assert run_of(runtime, run_id).state == RunState.RUNNING


def take_back(runtime: Runtime, kind: RootKind, *names: str) -> list[Extent]:
    """Retract these."""
    with runtime.sessions() as session:
        return [retract(session, find_roots(session, kind, name), name, "it is wrong", "a test") for name in names]


def made_since(runtime: Runtime, column: Any) -> list[Any]:
    """A column of all LM calls since the last retraction; none was under way then."""
    since = select(func.max(Retraction.created_at)).scalar_subquery()
    found = rows(runtime, select(column).where(Generation.created_at > since, column != []))
    assert found
    return found


def assert_sound(runtime: Runtime, run_id: uuid.UUID) -> None:
    """The audit finds nothing, marks included."""
    with runtime.sessions() as session:
        assert [each for each in audit(session, run_id, lambda _: None) if each.violations] == []


def find_seed(runtime: Runtime, name: str) -> Root:
    """A seed task, as what a retraction names."""
    with runtime.sessions() as session:
        (root,) = find_roots(session, RootKind.SEED, name)
    return root


def keys(runtime: Runtime, names: tuple[str, ...]) -> set[uuid.UUID]:
    """The keys of seed tasks."""
    return {find_seed(runtime, name).id for name in names}


@pytest.mark.parametrize("names", [("with_1", "without_0"), ("with_0", "with_1", "with_2", "without_3")], ids=len)
def test_a_retracted_seed_is_shown_no_more(runtime: Runtime, job: JobSpec, names: tuple[str, ...]) -> None:
    run_id = begin(runtime, job)
    work_until_accepted(runtime, run_id, 6)
    before = run_of(runtime, run_id).revision
    extents = take_back(runtime, RootKind.SEED, *names)
    assert all(sum(each.records for each in extent.reached) > 1 for extent in extents)
    assert [(each.run_id, each.exhausted) for extent in extents for each in extent.using] == [(run_id, None)] * len(
        names
    )
    assert run_of(runtime, run_id).revision == before + len(names)
    assert drive(runtime, run_id).state == RunState.COMPLETED
    assert not {id for shown in made_since(runtime, Generation.seed_task_ids) for id in shown} & keys(runtime, names)
    clean = select(func.count()).where(Example.run_id == run_id, ~is_retracted(Example.id))
    assert rows(runtime, clean)[0] > 0
    assert_sound(runtime, run_id)


def test_a_run_begun_later_does_not_show_it_either(runtime: Runtime, job: JobSpec) -> None:
    begin(runtime, job)
    take_back(runtime, RootKind.SEED, "with_1")
    run_id = begin(runtime, job)
    assert drive(runtime, run_id).state == RunState.COMPLETED
    shown = rows(runtime, select(Generation.seed_task_ids).where(Generation.run_id == run_id))
    assert not {id for ids in shown for id in ids} & keys(runtime, ("with_1",))
    assert rows(runtime, select(Example.id).where(Example.run_id == run_id, is_retracted(Example.id))) == []


def test_a_run_without_a_seed_to_show_waits_until_there_is_one_again(runtime: Runtime, job: JobSpec) -> None:
    run_id = begin(runtime, job)
    one_round(runtime, run_id)
    extents = take_back(runtime, RootKind.SEED, *(f"with_{number}" for number in range(4)))
    assert extents[-1].using[0].exhausted == TaskType.INPUT_OUTPUT
    run = run_of(runtime, run_id)
    assert (run.state, run.reason) == (
        RunState.PAUSED,
        "every seed task of type input_output is retracted, so there is none to show",
    )
    with runtime.sessions() as session:
        unretract(session, extents[1].retraction or 0, "a test", None)
        assert resume_run(session, run_id)
        session.commit()
    assert drive(runtime, run_id).state == RunState.COMPLETED
    assert_sound(runtime, run_id)


def test_retracted_instructions_are_shown_no_more_and_stay_known(runtime: Runtime, job: JobSpec) -> None:
    run_id = begin(runtime, job)
    work_until_accepted(runtime, run_id, 12)
    first = select(Instruction.id).where(Instruction.accepted_order == 0).order_by(Instruction.task_type)
    names = [str(id) for id in rows(runtime, first)]
    take_back(runtime, RootKind.INSTRUCTION, *names)
    retracted = set(rows(runtime, select(Instruction.id).where(is_retracted(Instruction.id))))
    assert retracted >= {uuid.UUID(name) for name in names}
    assert drive(runtime, run_id).state == RunState.COMPLETED
    assert not {id for shown in made_since(runtime, Generation.instruction_ids) for id in shown} & retracted
    assert_sound(runtime, run_id)  # no two accepted instructions are too alike, those included


def test_outputs_of_a_retracted_model_are_compared_no_more(runtime: Runtime, job: JobSpec) -> None:
    run_id = begin(runtime, job)
    work_until_accepted(runtime, run_id, 6)
    (extent,) = take_back(runtime, RootKind.MODEL, "chat")
    assert [each.run for each in extent.using] == ["small-1"]
    before = set(rows(runtime, select(Verdict.id)))
    assert drive(runtime, run_id).state == RunState.COMPLETED
    later = [verdict for verdict in rows(runtime, select(Verdict)) if verdict.id not in before]
    of_chat = set(rows(runtime, select(Candidate.id).where(Candidate.voice == "chat")))
    assert later
    assert not {id for verdict in later for id in verdict.candidate_ids} & of_chat
    assert of_chat == set(rows(runtime, select(Candidate.id).where(is_retracted(Candidate.id))))
    clean = rows(runtime, select(Example.verdict_id).where(~is_retracted(Example.id)))
    assert set(clean) == {verdict.id for verdict in later if verdict.choice_id}
    assert_sound(runtime, run_id)


def test_a_run_that_goes_on_with_what_is_retracted_makes_no_example_of_it(runtime: Runtime, job: JobSpec) -> None:
    changed = job.model_copy(update={"instructions": job.instructions.model_copy(update={"patience": 20})})
    run_id = begin(runtime, changed)
    work_until_accepted(runtime, run_id, 4)
    take_back(runtime, RootKind.MODEL, "base")
    run = drive(runtime, run_id)
    assert run.state == RunState.FAILED
    assert "retracted" in (run.reason or "")
    assert rows(runtime, select(Example.id).where(~is_retracted(Example.id))) == []
    everything = select(Instruction.id).union_all(select(Verdict.id).where(Verdict.candidate_ids != []))
    marked = set(rows(runtime, select(RetractedRecord.record_id)))
    assert set(rows(runtime, everything)) <= marked
    assert_sound(runtime, run_id)


def write_call(writer: Session, seed: uuid.UUID) -> uuid.UUID:
    """An LM call that showed a seed task, as another was written; the writer has yet to commit it."""
    call = uuid.uuid4()
    columns = [column.name for column in Generation.__table__.columns if column.name not in ("id", "attempt")]
    copied = f"SELECT :id, 77, {', '.join(columns)} FROM generations WHERE :seed = ANY (seed_task_ids) LIMIT 1"  # noqa: S608 - our words
    statement = text(f"INSERT INTO generations (id, attempt, {', '.join(columns)}) {copied}")
    assert writer.execute(statement, {"id": call, "seed": seed}).rowcount == 1  # type: ignore[attr-defined]  # a statement that writes has it
    return call


def write_instruction(writer: Session, call: uuid.UUID) -> uuid.UUID:
    """An instruction that came of an LM call; the writer has yet to commit it."""
    id, of = uuid.uuid4(), writer.get_one(Generation, call)
    values = {"id": id, "run_id": of.run_id, "task_type": of.task_type, "position": 10**9, "generation_id": call}
    writer.execute(insert(Instruction).values(**values, text="x", state="rejected", reason="not_novel"))
    return id


@pytest.fixture
def under_way(runtime: Runtime, job: JobSpec) -> Iterator[tuple[uuid.UUID, uuid.UUID, Any]]:
    """A run, an LM call of it that showed the seed task `with_1`, and the writer that has yet to commit it."""
    run_id = begin(runtime, job)
    work_until_accepted(runtime, run_id, 6)
    with runtime.sessions() as writer:
        yield run_id, write_call(writer, *keys(runtime, ("with_1",))), writer


def marks(runtime: Runtime, id: uuid.UUID) -> list[Any]:
    """The distances at which a record is marked."""
    return rows(runtime, select(RetractedRecord.distance).where(RetractedRecord.record_id == id))


def test_a_writer_that_had_not_heard_of_it_is_waited_for(
    runtime: Runtime, under_way: tuple[uuid.UUID, uuid.UUID, Any]
) -> None:
    _, call, writer = under_way
    threading.Timer(0.5, writer.commit).start()
    take_back(runtime, RootKind.SEED, "with_1")
    assert marks(runtime, call) == [1]
    assert rows(runtime, select(Retraction.marked_at))[0] is not None


def test_a_writer_that_began_while_it_was_made_is_waited_for(runtime: Runtime, job: JobSpec) -> None:
    work_until_accepted(runtime, begin(runtime, job), 6)
    seed = find_seed(runtime, "with_1")
    calls = []
    with runtime.sessions() as writer, runtime.sessions() as session:

        def write_beside(told: str) -> None:
            if told.endswith(" marks"):  # the retraction has its number among the transactions, and is not committed
                calls.append(write_call(writer, seed.id))
                threading.Timer(0.5, writer.commit).start()

        retract(session, [seed], "with_1", "it is wrong", "a test", write_beside)
        assert not writer.in_transaction()
    assert marks(runtime, *calls) == [1]


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "under way"])
def test_what_comes_of_a_record_that_is_not_marked_yet_is_marked_too(
    runtime: Runtime, job: JobSpec, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    work_until_accepted(runtime, begin(runtime, job), 6)
    seed, calls, made = find_seed(runtime, "with_1"), list[uuid.UUID](), list[uuid.UUID]()
    with runtime.sessions() as session, runtime.sessions() as writer:

        def write_beside(told: str) -> None:
            if told.endswith(" marks"):
                calls.append(write_call(writer, seed.id))
                writer.commit()

        def traces(*arguments: Any, **options: Any) -> None:
            trace(*arguments, **options)
            if calls and not made:  # the call is found, and its mark not committed
                made.append(write_instruction(writer, calls[0]))
                if is_done:
                    writer.commit()
                else:
                    threading.Timer(0.5, writer.commit).start()

        monkeypatch.setattr(retractions, "trace", traces)
        retract(session, [seed], "with_1", "it is wrong", "a test", write_beside)
        assert not writer.in_transaction()
    assert (marks(runtime, *calls), marks(runtime, *made)) == ([1], [2])
    assert rows(runtime, select(Retraction.marked_at))[0] is not None


def test_a_writer_that_takes_long_is_caught_up_with_before_anybody_reads(
    runtime: Runtime, under_way: tuple[uuid.UUID, uuid.UUID, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retractions, "SETTLE_S", 0.1)
    _, call, writer = under_way
    take_back(runtime, RootKind.SEED, "with_1")
    assert rows(runtime, select(Retraction.marked_at)) == [None]
    writer.commit()
    assert marks(runtime, call) == []
    with runtime.sessions() as session:
        renew_marks(session)
    assert marks(runtime, call) == [1]
    assert rows(runtime, select(Retraction.marked_at))[0] is not None


def test_a_record_made_anew_keeps_no_mark_of_before(runtime: Runtime, job: JobSpec) -> None:
    run_id = begin(runtime, job)
    drive(runtime, run_id)
    take_back(runtime, RootKind.MODEL, "chat")
    with runtime.sessions.begin() as session:
        example = session.scalars(select(Example).limit(1)).one()
        session.delete(example)
        session.flush()
        gone = [example.verdict_id, *session.scalars(select(Candidate.id).where(Candidate.voice == "chat"))]
        session.execute(text("SET LOCAL session_replication_role = origin"))
        session.execute(delete(Verdict).where(Verdict.id == example.verdict_id))
        session.execute(
            delete(Candidate).where(Candidate.instance_id == example.instance_id, Candidate.voice == "chat")
        )
        left = set(session.scalars(select(Candidate.id)))
    for id in gone:
        assert bool(marks(runtime, id)) == (id in left)


def test_each_retraction_is_marked_for_itself(runtime: Runtime, job: JobSpec) -> None:
    run_id = begin(runtime, job)
    drive(runtime, run_id)
    first, second = take_back(runtime, RootKind.MODEL, "base", "chat")
    assert (first.retraction, second.retraction) == (1, 2)
    with runtime.sessions() as session:
        unretract(session, 1, "a test", None)
        (root,) = find_roots(session, RootKind.MODEL, "base")
        assert isinstance(root, Root)
    marked = select(RetractedRecord.record_id).where(RetractedRecord.retraction_id == 2)
    retracted = rows(runtime, select(Candidate.id).where(is_retracted(Candidate.id)))
    assert set(retracted) == set(rows(runtime, marked.where(RetractedRecord.kind == "candidate")))
    assert rows(runtime, select(Run.revision)) == [0]


def test_no_mark_is_lost_however_much_is_written_meanwhile(runtime: Runtime, job: JobSpec) -> None:
    run_id = begin(runtime, job.model_copy(update={"targets": {TaskType.INPUT_OUTPUT: 25, TaskType.OUTPUT_ONLY: 25}}))
    work_until_accepted(runtime, run_id, 6)
    going_on = []

    def retract_this_and_that() -> None:
        for kind, name in ((RootKind.SEED, "with_1"), (RootKind.MODEL, "chat"), (RootKind.SEED, "without_2")):
            take_back(runtime, kind, name)
            going_on.append(run_of(runtime, run_id).state)

    in_threads([lambda: drive(runtime, run_id), retract_this_and_that])
    assert going_on[0] == RunState.RUNNING
    assert run_of(runtime, run_id).state == RunState.COMPLETED
    descendants = text(
        "SELECT r.retraction_id, r.record_id, 0 FROM retraction_roots r UNION SELECT r.retraction_id, d.descendant_id,"
        " d.distance FROM retraction_roots r, lineage.descendants(r.kind, r.record_id) d"
    )
    marked = text("SELECT retraction_id, record_id, distance FROM retracted_records")
    with runtime.sessions() as session:
        renew_marks(session)
        assert {*session.execute(marked)} == {*session.execute(descendants)}
    assert_sound(runtime, run_id)
