"""What is counted as it is written is what a count of the rows gives."""

import uuid

from sqlalchemy import Engine, text

from shared.lm.fake import FakeServer
from shared.store.dead import put_back
from shared.store.migrate import upgrade
from shared.store.tables.work import WorkState
from tests.integration.store.test_schema import downgrade
from tests.integration.workers.driving import begin, drive, one_round, small_job, work_in
from tests.integration.workers.test_dead_work import STAGES, Broken
from workers.runtime import Runtime

VIEWS = {
    "usage": "run, stage, task_type, model, template, fault, calls, prompt_tokens, completion_tokens",
    "yields": "run, judgement, kind, task_type, voice, model, template, state, reason, records",
    "funnel": "run, judgement, step, kind, task_type, state, reason, records",
    "seed_influence": "run, judgement, seed_task_id, examples",
}
COUNTED = {
    "usage": """
        SELECT run, stage, task_type, model, template, fault, count(*), sum(coalesce(prompt_tokens, 0)),
          sum(coalesce(completion_tokens, 0))
        FROM lineage.generations GROUP BY 1, 2, 3, 4, 5, 6
    """,
    "seed_influence": """
        SELECT e.run, e.judgement, s.id, count(DISTINCT e.id)
        FROM lineage.examples e JOIN instructions i ON i.id = e.instruction_id
        JOIN lineage.generations g ON g.id = i.generation_id CROSS JOIN unnest(g.seed_task_ids) AS s (id)
        WHERE NOT e.surplus GROUP BY 1, 2, 3
    """,
    "funnel": """
        SELECT run, 0, 1, 'proposal', task_type, CASE WHEN fault IS NULL THEN 'answered' ELSE 'failed' END, fault,
          count(*)
        FROM lineage.generations WHERE stage = 'instruction' GROUP BY run, task_type, fault
        UNION ALL SELECT r.name, 0, 2, 'instruction', task_type, i.state, i.reason, count(*)
        FROM instructions i JOIN runs r ON r.id = i.run_id GROUP BY r.name, task_type, i.state, i.reason
        UNION ALL SELECT r.name, 0, 3, 'instance', task_type, i.state, i.reason, count(*)
        FROM instances i JOIN runs r ON r.id = i.run_id GROUP BY r.name, task_type, i.state, i.reason
        UNION ALL SELECT r.name, 0, 4, 'candidate', task_type, c.state, c.reason, count(*)
        FROM candidates c JOIN instances i ON i.id = c.instance_id JOIN runs r ON r.id = i.run_id
        GROUP BY r.name, task_type, c.state, c.reason
        UNION ALL SELECT run, judgement, 5, 'verdict', task_type, state, reason, count(*)
        FROM lineage.verdicts GROUP BY run, judgement, task_type, state, reason
        UNION ALL SELECT run, judgement, 6, 'example', task_type, CASE WHEN surplus THEN 'surplus' ELSE 'wanted' END,
          NULL, count(*)
        FROM lineage.examples GROUP BY run, judgement, task_type, surplus
    """,
}

Rows = set[tuple[object, ...]]


def _rows(engine: Engine, statement: str) -> Rows:
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(statement))]
    assert len(found) == len(set(found))
    return set(found)


def _told(engine: Engine) -> dict[str, Rows]:
    queries = {view: f"SELECT {columns} FROM lineage.{view}" for view, columns in VIEWS.items()}  # noqa: S608 - our names
    return {view: _rows(engine, query) for view, query in queries.items()}


def _agrees(engine: Engine) -> None:
    told = _told(engine)
    for view, counted in COUNTED.items():
        assert told[view] == _rows(engine, counted)


def test_totals_agree_with_the_rows_whatever_happens_to_a_run(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 4, "input_output": 4}, retry={"failures": 1}))
    for stage in STAGES:
        lm.respond = Broken(STAGES[stage], 2).respond
        _until_some_died(runtime, run_id)
        _agrees(runtime.engine)
        with runtime.sessions.begin() as session:
            assert put_back(session, run_id).count
        _agrees(runtime.engine)
    drive(runtime, run_id)
    _agrees(runtime.engine)
    assert all(_told(runtime.engine).values())


def test_what_was_there_before_is_counted_too(runtime: Runtime, lm: FakeServer) -> None:
    drive(runtime, begin(runtime, small_job(lm.url)))
    before = _told(runtime.engine)
    downgrade(runtime.engine, "0005")
    upgrade(runtime.engine)
    assert _told(runtime.engine) == before
    drive(runtime, begin(runtime, small_job(lm.url)))
    _agrees(runtime.engine)


def _until_some_died(runtime: Runtime, run_id: uuid.UUID) -> None:
    for _ in range(50):
        one_round(runtime, run_id)
        if work_in(runtime, run_id, WorkState.FAILED):
            return
    raise AssertionError("nothing was given up")
