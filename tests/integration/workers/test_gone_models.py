"""A model that is gone for good: its voice is done without, or the run says that it needs it and pauses."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import select

from services.local.ports import free_port
from shared.job import JobSpec
from shared.job_changes import changed_job
from shared.lm import breaker
from shared.lm.fake import FakeServer
from shared.store.states import change_job, resume_run
from shared.store.tables.records import Candidate
from shared.store.tables.runs import Run, RunState
from shared.store.tables.work import WorkItem, WorkState
from tests.integration.workers.driving import begin, drive, rows, small_job
from workers.reconciler import reconcile
from workers.runtime import Runtime


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a server that is away again soon."""
    monkeypatch.setattr(breaker, "LONGEST_WAIT_S", 0.2)


@contextmanager
def _reconciled(runtime: Runtime) -> Iterator[None]:
    """Reconcile again and again beside the test, as a worker does."""
    over = Event()

    def again_and_again() -> None:
        while not over.wait(0.2):
            reconcile(runtime)

    thread = Thread(target=again_and_again)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _job(lm: FakeServer, gone: str, model: str, **changes: Any) -> JobSpec:
    return small_job(lm.url, models={model: {"endpoints": [gone]}}, retry={"gone_after_s": 0.5}, **changes)


def _ended(runtime: Runtime, run_id: uuid.UUID) -> Run:
    with _reconciled(runtime):
        return drive(runtime, run_id)


def test_a_run_goes_on_without_a_voice_that_is_gone(runtime: Runtime, lm: FakeServer, nobody: str) -> None:
    run_id = begin(runtime, _job(lm, nobody, "chat"))
    run = _ended(runtime, run_id)
    assert (run.state, run.reason) == (RunState.COMPLETED, "every target is met")
    spoken = select(Candidate.voice, Candidate.reason).where(Candidate.run_id == run_id, Candidate.number > 0)
    assert ("chat", "gone") in rows(runtime, spoken)
    (detail, *_) = rows(runtime, select(WorkItem.detail).where(WorkItem.state == WorkState.FAILED))
    assert "model 'chat' has answered no call since" in detail
    assert nobody.removeprefix("http://") in detail


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("chat", {"consensus": {"min_candidates": 3}}),
        ("base", {}),
    ],
)
def test_a_run_that_needs_what_is_gone_pauses_says_so_and_goes_on_when_it_is_back(
    runtime: Runtime, lm: FakeServer, nobody: str, model: str, changes: dict[str, Any]
) -> None:
    job = _job(lm, nobody, model, **changes)
    run_id = begin(runtime, job)
    run = _ended(runtime, run_id)
    assert run.state == RunState.PAUSED
    assert f"model '{model}' has answered no call since" in (run.reason or "")
    assert "and the run needs it" in (run.reason or "")
    assert f"models.{model}.endpoints" in (run.reason or "")

    with runtime.sessions.begin() as session:
        change_job(session, run_id, changed_job(job, [f"models.{model}.endpoints=[{lm.url}]"]))
        assert resume_run(session, run_id)
    assert _ended(runtime, run_id).state == RunState.COMPLETED
