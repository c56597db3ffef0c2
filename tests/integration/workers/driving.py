"""Runs driven inside the test's own process: real database, real broker, no worker processes."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import Random
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from services.admin.enqueueing import start_run
from services.admin.planning import plan_job
from shared.job import JobSpec
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.fake_responder import respond as plausible
from shared.queue import names
from shared.queue.app import make_app
from shared.store.sweeping import due_queues
from shared.store.tables.runs import Run, RunState, RunTarget
from shared.store.tables.work import WorkItem, WorkState
from workers import instance_generator, instruction_generator, output_generator
from workers.consensus_judge import judge_all
from workers.reconciler import reconcile
from workers.runtime import Runtime
from workers.streaming import Stream

MOST_ROUNDS = 200
PATIENCE_S = 60.0
_workers = count()


def small_job(url: str, **changes: Any) -> JobSpec:
    """A job for the fake LM at `url`: two voices, few demonstrations, no waiting between tries."""
    server = {"protocol": "openai", "endpoints": [url], "timeout_s": 20, "max_in_flight": 8}
    content: dict[str, Any] = {
        "name": "small",
        "targets": {"input_output": 3, "output_only": 2},
        "models": {"base": {**server, "kind": "vanilla"}, "chat": {**server, "kind": "instruct"}},
        "instructions": {
            "model": "base",
            "demonstrations": {
                "input_output": {"seeds": 3, "generated": 2},
                "output_only": {"seeds": 3, "generated": 1},
            },
            "lookahead": 8,
        },
        "instances": {"model": "base", "demonstrations": {"input_output": 2, "output_only": 2}},
        "outputs": [{"model": "base"}, {"model": "chat"}],
        "retry": {"backoff_s": 0.001},
    }
    return JobSpec.model_validate(_merged(content, changes))


def _merged(content: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`content` with `changes` put in, mapping by mapping; the mapping `targets` is replaced whole."""
    merged = dict(content)
    for name, value in changes.items():
        inner = merged.get(name)
        if isinstance(inner, dict) and isinstance(value, dict) and name != "targets":
            merged[name] = _merged(inner, value)
        else:
            merged[name] = value
    return merged


@contextmanager
def a_worker(database_url: str, redis_url: str, *, lease_slack_s: float = 30) -> Iterator[Runtime]:
    """What a worker process holds."""
    app = make_app(redis_url)
    runtime = Runtime.open(app, database_url, lease_slack_s=lease_slack_s)
    runtime.worker += f"-{next(_workers)}"  # or two in this process would be taken for one
    try:
        yield runtime
    finally:
        runtime.close()
        app.close()


class HeldLM:
    """What a fake LM answers once it is let go; until then it keeps everybody waiting, but for its first `answers`."""

    def __init__(self, answers: int = 0) -> None:
        self._answers = answers
        self._asked = threading.Event()
        self._free = threading.Event()

    def respond(self, request: FakeRequest) -> FakeAnswer:
        """Hold up the server's only thread: later calls wait in its socket."""
        if self._answers:
            self._answers -= 1
            return plausible(request)
        self._asked.set()
        assert self._free.wait(60)
        return plausible(request)

    def wait_for_a_call(self) -> None:
        """Until a call is kept waiting."""
        assert self._asked.wait(60)

    def let_go(self) -> None:
        """Answer, now and from now on."""
        self._free.set()


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended, and a worker on its database."""

    runtime: Runtime
    run: Run


def begin(runtime: Runtime, job: JobSpec, name: str | None = None) -> uuid.UUID:
    """Start a run of a job as `ensemble-instruct enqueue` does."""
    with runtime.sessions() as session:
        return start_run(session, runtime.hinting.app, plan_job(job), name).id


def stream(runtime: Runtime, run_id: uuid.UUID, queue: str) -> None:
    """What the task of an LM-bound queue does."""
    context = runtime.context(run_id)
    assert context is not None
    stages = {
        names.INSTRUCTIONS: (instruction_generator.STAGE, context.job.instructions.model),
        names.INSTANCES: (instance_generator.STAGE, context.job.instances.model),
    }
    stage, model = stages.get(queue) or (output_generator.STAGE, names.model_of(queue))
    runtime.loop.run(Stream(runtime, context, stage, queue, model, Random(0)).run())


def work_on(runtime: Runtime, run_id: uuid.UUID, queue: str) -> None:
    """What the task of any queue does."""
    if queue != names.CONSENSUS:
        return stream(runtime, run_id, queue)
    context = runtime.context(run_id)
    assert context is not None
    judge_all(runtime, context)


def one_round(runtime: Runtime, run_id: uuid.UUID, *, without: str = "") -> None:
    """Reconcile, then work on every queue (but one, if told) in which work is due, all at once as workers do."""
    reconcile(runtime)
    with runtime.sessions() as session:
        due = [each.queue for each in due_queues(session) if each.run_id == run_id and each.queue != without]
    in_threads([partial(work_on, runtime, run_id, queue) for queue in due])


def until(condition: Callable[[], object]) -> None:
    """Wait for something that comes about by itself."""
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends, "it never came about"
        time.sleep(0.02)


def one_round_until(runtime: Runtime, run_id: uuid.UUID, condition: Callable[[], object]) -> None:
    """A round whose worker is told to stop once something has come about: else it would wait for its servers."""

    def stop() -> None:
        try:
            until(condition)
        finally:
            runtime.stop(None)

    in_threads([partial(one_round, runtime, run_id), stop])


def want_more(runtime: Runtime, run_id: uuid.UUID, target: int) -> None:
    """Raise a run's targets, so that what was proposed so far is not enough to end it, however quick a round is."""
    with runtime.sessions.begin() as session:
        session.execute(update(RunTarget).where(RunTarget.run_id == run_id).values(target=target))


def drive(runtime: Runtime, run_id: uuid.UUID) -> Run:
    """Work on a run until it ends, and see that it does."""
    for _ in range(MOST_ROUNDS):
        run = run_of(runtime, run_id)
        if run.state != RunState.RUNNING:
            return run
        one_round(runtime, run_id)
    raise AssertionError(f"the run did not end in {MOST_ROUNDS} rounds")


def in_threads(works: list[Callable[[], object]]) -> None:
    """Do some things at once; the first error is raised here."""
    errors: list[BaseException] = []

    def caught(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=caught, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def run_of(runtime: Runtime, run_id: uuid.UUID) -> Run:
    """The run's row as it is now."""
    with runtime.sessions() as session:
        return session.get_one(Run, run_id)


def rows(runtime: Runtime, statement: Any) -> list[Any]:
    """All rows of a statement; plain values where it selects one thing."""
    with runtime.sessions() as session:
        found = session.execute(statement).all()
    return [row[0] if len(row) == 1 else tuple(row) for row in found]


def work_in(runtime: Runtime, run_id: uuid.UUID, *states: WorkState) -> list[WorkItem]:
    """The run's work in these states."""
    return rows(runtime, select(WorkItem).where(WorkItem.run_id == run_id, WorkItem.state.in_(states)))


def let_leases_run_out(session: Session, run_id: uuid.UUID) -> None:
    """As if the workers that hold the run's work had been gone for long."""
    leased = (WorkItem.run_id == run_id, WorkItem.state == WorkState.LEASED)
    session.execute(update(WorkItem).where(*leased).values(lease_expires_at=text("now() - interval '1 second'")))
