"""Work that was added just as its run ended, in a transaction that the end did not see."""

import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import update

from shared.lm.fake import FakeServer
from shared.queue import names
from shared.store.states import end_run
from shared.store.tables.runs import RunState
from shared.store.tables.work import WorkItem, WorkState
from tests.integration.workers.driving import begin, small_job, stream, work_in
from workers.endings import end_if_due
from workers.runtime import Runtime

Passer = Callable[[Runtime, uuid.UUID], None]


def ends_it(runtime: Runtime, run_id: uuid.UUID) -> None:
    """What is done after each gate."""
    context = runtime.context(run_id)
    assert context
    end_if_due(runtime, context)


def leaves_it(runtime: Runtime, run_id: uuid.UUID) -> None:
    """A stream that finds nothing to do."""
    stream(runtime, run_id, names.INSTRUCTIONS)


@pytest.mark.parametrize("passer", [ends_it, leaves_it])
def test_whoever_passes_drops_it(
    passer: Callable[[Runtime, uuid.UUID], None], runtime: Runtime, lm: FakeServer
) -> None:
    run_id = begin(runtime, small_job(lm.url))
    other_id = begin(runtime, small_job(lm.url))
    with runtime.sessions.begin() as session:
        end_run(session, run_id, RunState.CANCELLED, "enough")
        session.execute(update(WorkItem).where(WorkItem.run_id == run_id).values(state=WorkState.READY))
    assert work_in(runtime, run_id, WorkState.READY)
    passer(runtime, run_id)
    assert not work_in(runtime, run_id, WorkState.READY)
    assert work_in(runtime, other_id, WorkState.READY)
