"""A run from its first proposal to its end, with the outcome that it must have however it was worked on."""

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sqlalchemy import func, select, text

from shared.lm.fake import FakeServer
from shared.lm.fake_protocols import FakeRequest
from shared.method.tasks import TaskType
from shared.store.lineage import KINDS
from shared.store.runs import RunNotFoundError, targets_of
from shared.store.tables.records import Example, Instruction, RecordState
from shared.store.tables.runs import Run, RunState
from shared.store.tables.work import WorkState
from tests.integration.workers.driving import Ended, begin, drive, rows, small_job, work_in
from workers.runtime import Runtime


def test_a_run_ends_with_its_targets_met_exactly(ended: Ended) -> None:
    assert (ended.run.state, ended.run.reason) == (RunState.COMPLETED, "every target is met")
    kept = select(Example.task_type, func.count()).where(~Example.surplus).group_by(Example.task_type)
    assert dict(rows(ended.runtime, kept)) == {"input_output": 5, "output_only": 4}


@pytest.mark.parametrize(("task_type", "target"), [("input_output", 5), ("output_only", 4)])
def test_the_dataset_is_the_first_examples_of_their_order_and_the_rest_is_surplus(
    ended: Ended, task_type: str, target: int
) -> None:
    in_order = select(Example.surplus).where(Example.task_type == task_type).order_by(Example.position)
    surplus = rows(ended.runtime, in_order)
    assert surplus == [False] * target + [True] * (len(surplus) - target)


def test_a_run_that_ended_leaves_no_work_to_do(ended: Ended) -> None:
    assert work_in(ended.runtime, ended.run.id, WorkState.READY, WorkState.LEASED) == []


@pytest.mark.parametrize("task_type", TaskType)
def test_the_counters_agree_with_the_records(ended: Ended, task_type: TaskType) -> None:
    with ended.runtime.sessions() as session:
        target = targets_of(session, ended.run.id)[task_type]
    accepted = select(func.count()).where(Instruction.task_type == task_type, Instruction.state == RecordState.ACCEPTED)
    made = select(func.count()).where(Example.task_type == task_type)
    assert [target.accepted, target.examples] == rows(ended.runtime, accepted) + rows(ended.runtime, made)


@pytest.mark.parametrize("task_type", TaskType)
def test_no_two_accepted_instructions_of_a_type_are_alike(ended: Ended, task_type: TaskType) -> None:
    accepted = select(Instruction.text).where(
        Instruction.task_type == task_type, Instruction.state == RecordState.ACCEPTED
    )
    texts = rows(ended.runtime, accepted)
    scorer = RougeScorer(["rougeL"])
    pairs = [(a, b) for index, a in enumerate(texts) for b in texts[:index]]
    assert len(pairs) >= 6
    assert [pair for pair in pairs if scorer.score(*pair)["rougeL"].fmeasure > 0.7] == []


def test_every_example_descends_from_seed_tasks_models_and_templates(ended: Ended) -> None:
    kinds = text(
        "SELECT e.id, (SELECT array_agg(DISTINCT ancestor_kind ORDER BY ancestor_kind)"
        " FROM lineage.ancestors('example', e.id)) FROM lineage.examples e"
    )
    found = rows(ended.runtime, kinds)
    assert len(found) >= 9
    assert {tuple(each) for _, each in found} == {tuple(sorted(KINDS.keys() - {"example", "origin", "origin_file"}))}


@pytest.mark.parametrize("end", ["child", "parent"])
def test_no_edge_of_the_lineage_dangles(ended: Ended, end: str) -> None:
    nodes = " UNION ALL ".join(f"SELECT '{kind}' AS kind, id FROM {table}" for kind, table in KINDS.items())  # noqa: S608 - our names
    dangling = text(
        f"SELECT e.* FROM lineage.edges e LEFT JOIN ({nodes}) n"  # noqa: S608 - our names
        f" ON n.kind = e.{end}_kind AND n.id = e.{end}_id WHERE n.id IS NULL"
    )
    assert rows(ended.runtime, dangling) == []


def test_every_demonstration_of_an_instruction_was_accepted_before_it(ended: Ended) -> None:
    later = text(
        "SELECT i.id FROM instructions i JOIN generations g ON g.id = i.generation_id"
        " JOIN instructions shown ON shown.id = ANY (g.instruction_ids) WHERE shown.position >= i.position"
    )
    assert rows(ended.runtime, later) == []


def test_timing_changes_neither_the_instructions_nor_the_examples(runtime: Runtime, lm: FakeServer) -> None:
    def uneven(request: FakeRequest) -> float:
        return (request.seed or 0) % 3 * 0.3  # s, longer than answers wait for others to be written with

    with FakeServer(latency=uneven) as slow:
        at_leisure, one_by_one, all_at_once = (
            _outcome(runtime, url, window) for url, window in ((lm.url, 4), (lm.url, 1), (slow.url, 16))
        )
    assert at_leisure == one_by_one
    assert at_leisure == all_at_once


def _outcome(runtime: Runtime, url: str, window: int) -> tuple[list[object], list[object]]:
    """A run's dataset, and its accepted instructions up to the last of the dataset."""
    windows = {name: {"max_in_flight": window} for name in ("base", "chat")}
    job = small_job(url, models=windows, targets={"input_output": 3, "output_only": 1})
    run = drive(runtime, begin(runtime, job))
    kept = (Example.run_id == run.id, ~Example.surplus)
    examples = (
        select(Example.task_type, Example.position, Example.instruction, Example.input, Example.output)
        .where(*kept)
        .order_by(Example.task_type, Example.position)
    )
    last = select(func.max(Example.position)).where(*kept, Example.task_type == Instruction.task_type)
    instructions = (
        select(Instruction.task_type, Instruction.position, Instruction.accepted_order, Instruction.text)
        .where(
            Instruction.run_id == run.id,
            Instruction.state == RecordState.ACCEPTED,
            Instruction.position <= last.scalar_subquery(),
        )
        .order_by(Instruction.task_type, Instruction.position)
    )
    return rows(runtime, examples), rows(runtime, instructions)


@pytest.mark.parametrize(("scope", "repeats"), [("run", True), ("all", False), (["first"], False)])
def test_a_run_repeats_no_other_in_its_scope(runtime: Runtime, lm: FakeServer, scope: object, repeats: bool) -> None:
    first = begin(runtime, small_job(lm.url, targets={"output_only": 3}), "first")
    drive(runtime, first)
    job = small_job(lm.url, targets={"output_only": 3}, instructions={"novelty_scope": scope})
    second = drive(runtime, begin(runtime, job, "second"))

    accepted = select(Instruction.text).where(Instruction.state == RecordState.ACCEPTED)
    earlier = rows(runtime, accepted.where(Instruction.run_id == first))
    later = rows(runtime, accepted.where(Instruction.run_id == second.id))
    scorer = RougeScorer(["rougeL"])
    assert any(scorer.score(a, b)["rougeL"].fmeasure > 0.7 for a in earlier for b in later) == repeats


def test_a_scope_that_names_no_run_is_refused_and_leaves_nothing(runtime: Runtime, lm: FakeServer) -> None:
    with pytest.raises(RunNotFoundError):
        begin(runtime, small_job(lm.url, instructions={"novelty_scope": ["nobody"]}))
    assert rows(runtime, select(func.count(Run.id))) == [0]
