"""The worker processes: `celery -A workers.app worker -Q <queues>`.

The tasks are shells: each finds the run's context and calls a plain function. A worker that listens to
`control` also runs the reconciler.
"""

import sys
import uuid
from random import SystemRandom
from threading import Thread
from typing import Any

from celery import Celery
from celery.concurrency.thread import TaskPool
from celery.signals import celeryd_init, setup_logging, worker_init, worker_ready, worker_shutdown, worker_shutting_down

from shared.errors import EnsembleInstructError
from shared.method.tasks import Stage
from shared.queue import names
from shared.queue.app import app_from_environment
from shared.queue.hints import OUTPUTS_TASK, TASKS
from shared.settings import settings
from shared.store.loading import RunContext
from shared.store.migrate import require_migrated
from shared.telemetry.cpu_profile import CpuProfile, Part
from shared.telemetry.logging import configure_logging
from workers import instance_generator, instruction_generator, output_generator, reconciler
from workers.consensus_judge import judge_all
from workers.gate import advance
from workers.joining import take_part
from workers.runtime import LOOP_THREAD, Runtime
from workers.stages import LMStage
from workers.streaming import Stream

try:
    app: Celery = app_from_environment()
except EnsembleInstructError as error:
    sys.exit(f"error: {error}")  # or Celery shows the traceback of a failed import
_runtimes: list[Runtime] = []
_reconcilers: list[Thread] = []
_profiles: list[CpuProfile] = []

LINGER_S = 1.0  # how long a stream without work waits for some: a message for each would cost more


def _runtime() -> Runtime:
    return _runtimes[0]


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    configure_logging(settings().log_level)


@celeryd_init.connect
def _check_queues(options: dict[str, Any], **_: Any) -> None:
    wanted = options.get("queues") or ()
    try:
        for name in wanted.split(",") if isinstance(wanted, str) else wanted:
            names.checked(name)
    except EnsembleInstructError as error:
        sys.exit(f"error: {error}")


@worker_init.connect
def _open_runtime(**_: Any) -> None:
    try:
        runtime = Runtime.open(app, settings().database(), lease_slack_s=settings().lease_slack_s)
        require_migrated(runtime.engine)
    except EnsembleInstructError as error:
        sys.exit(f"error: {error}")  # Celery would log any other exception and go on
    _runtimes.append(runtime)
    if path := settings().cpu_profile:
        _profiles.append(CpuProfile(path, {LOOP_THREAD: Part.HTTP}))


@worker_ready.connect
def _begin(sender: Any, **_: Any) -> None:
    if names.CONTROL in app.amqp.queues.consume_from:
        _reconcilers.append(reconciler.start(_runtime()))
    if isinstance(sender.pool, TaskPool):
        take_part(_runtime(), app, sender.pool)


@worker_shutting_down.connect
def _stop_streams(**_: Any) -> None:
    _runtime().stop(settings().drain_s)


@worker_shutdown.connect
def _close_runtime(**_: Any) -> None:
    for thread in _reconcilers:
        thread.join(reconciler.PATIENCE_S)
    _runtime().close()
    for profile in _profiles:
        profile.stop()


def _context(run_id: str) -> RunContext | None:
    return _runtime().context(uuid.UUID(run_id))


def _stream(run_id: str, queue: str, stage: LMStage, model_of: Stage) -> None:
    context = _context(run_id)
    if context is None:
        return
    model = _model(context, queue, model_of)
    stream = Stream(_runtime(), context, stage, queue, model, SystemRandom(), LINGER_S)
    _runtime().loop.run(stream.run())


def _model(context: RunContext, queue: str, stage: Stage) -> str:
    if stage is Stage.INSTRUCTION:
        return context.job.instructions.model
    if stage is Stage.INSTANCE:
        return context.job.instances.model
    return names.model_of(queue)


@app.task(name=TASKS[names.INSTRUCTIONS])
def generate_instructions(run_id: str, queue: str) -> None:
    """Propose instructions for a run."""
    _stream(run_id, queue, instruction_generator.STAGE, Stage.INSTRUCTION)


@app.task(name=TASKS[names.INSTANCES])
def generate_instances(run_id: str, queue: str) -> None:
    """Make instances for a run's accepted instructions."""
    _stream(run_id, queue, instance_generator.STAGE, Stage.INSTANCE)


@app.task(name=OUTPUTS_TASK)
def generate_outputs(run_id: str, queue: str) -> None:
    """Have the queue's model answer a run's instances."""
    _stream(run_id, queue, output_generator.STAGE, Stage.OUTPUT)


@app.task(name=TASKS[names.CONSENSUS])
def judge_instances(run_id: str, queue: str) -> None:
    """Decide between the outputs of a run's instances."""
    context = _context(run_id)
    if context:
        judge_all(_runtime(), context)


@app.task(name=TASKS[names.CONTROL])
def advance_run(run_id: str, queue: str) -> None:
    """Bring a run on at once instead of at the reconciler's next round."""
    context = _context(run_id)
    if context:
        advance(_runtime(), context)
