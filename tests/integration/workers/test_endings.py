"""A run ends by itself, whatever else goes wrong with it."""

from typing import Any

import pytest
from sqlalchemy import select, update

from shared.lm.fake import FakeServer
from shared.method.tasks import TaskType
from shared.store.loading import RunContext
from shared.store.tables.runs import Run, RunState, RunTarget
from tests.integration.workers.driving import begin, drive, rows, run_of, small_job
from workers import gate
from workers.reconciler import reconcile
from workers.runtime import Runtime


@pytest.mark.parametrize(
    ("changes", "state"),
    [({}, RunState.FAILED), ({"budget": {"hours": 1e-7}}, RunState.SPENT)],
    ids=["barren", "spent"],
)
@pytest.mark.parametrize("broken", TaskType)
def test_a_run_ends_though_the_gate_of_one_type_fails(
    runtime: Runtime,
    lm: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    broken: TaskType,
    changes: dict[str, Any],
    state: RunState,
) -> None:
    job = small_job(lm.url, targets=dict.fromkeys(TaskType, 2), instructions={"patience": 4}, **changes)
    run_id = begin(runtime, job)
    with runtime.sessions.begin() as session:  # the other type has led nowhere
        other = RunTarget.task_type != broken
        session.execute(update(RunTarget).where(other).values(proposed=8, gated=8))
    advance_once = gate._advance_once

    def fails(runtime: Runtime, context: RunContext, task_type: TaskType) -> bool:
        if task_type == broken:
            raise LookupError("the gate of this type is broken")
        return advance_once(runtime, context, task_type)

    monkeypatch.setattr(gate, "_advance_once", fails)
    reconcile(runtime)
    assert run_of(runtime, run_id).state == state


def test_a_run_whose_target_and_budget_are_met_at_once_is_complete_though_its_gate_failed_just_then(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 3}, budget={"hours": 100}))
    advance_once, failed = gate._advance_once, list[TaskType]()

    def fails_once(runtime: Runtime, context: RunContext, task_type: TaskType) -> bool:
        (target,) = rows(runtime, select(RunTarget))
        if target.examples >= target.target and not failed:
            failed.append(task_type)
            with runtime.sessions.begin() as session:
                session.execute(update(Run).values(active_s=101 * 3600))
            raise LookupError("the gate fails once")
        return advance_once(runtime, context, task_type)

    monkeypatch.setattr(gate, "_advance_once", fails_once)
    assert drive(runtime, run_id).state == RunState.COMPLETED
    assert failed
