"""The worker processes: `celery -A workers.app worker -Q <queues>`.

The tasks are shells: each finds the run's context and calls a plain function. A worker that listens to
`control` also runs the reconciler.
"""

import os
import sys
import uuid
from random import SystemRandom
from signal import SIGTERM, signal
from threading import Thread
from traceback import format_exc
from typing import Any

from celery import Celery
from celery.concurrency import get_implementation
from celery.concurrency.thread import TaskPool
from celery.signals import (
    celeryd_init,
    heartbeat_sent,
    setup_logging,
    worker_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

from shared.errors import EnsembleInstructError, UserError
from shared.method.rouge import load_stemmer
from shared.method.tasks import Stage
from shared.queue import names
from shared.queue.app import app_from_environment
from shared.queue.hints import OUTPUTS_TASK, TASKS
from shared.settings import secrets, settings
from shared.store.loading import RunContext
from shared.store.revisions import require_migrated
from shared.telemetry.cpu_profile import CpuProfile, Part
from shared.telemetry.logging import bound, configure_logging, name_process
from shared.telemetry.traces import traces_from
from workers import instance_generator, instruction_generator, output_generator, reconciler
from workers.consensus_judge import judge_all
from workers.gate import advance
from workers.joining import take_part
from workers.naming import of_run
from workers.runtime import LOOP_THREAD, Runtime
from workers.stages import LMStage
from workers.streaming import Stream
from workers.telemetry import Telemetry


class WrongPoolError(UserError):
    """A worker works with --pool threads, the default, not with {pool}: its LM calls live in one event loop, and its
    figures in one process"""


try:
    app: Celery = app_from_environment()
except EnsembleInstructError as error:
    sys.exit(f"error: {error}")  # or Celery shows the traceback of a failed import
_runtimes: list[Runtime] = []
_reconcilers: list[Thread] = []
_profiles: list[CpuProfile] = []
_telemetry: list[Telemetry] = []

LINGER_S = 1.0  # how long a stream without work waits for some: a message for each would cost more


def _runtime() -> Runtime:
    return _runtimes[0]


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    configure_logging(settings().log_level, secrets(os.environ))


@celeryd_init.connect
def _stop_before_the_start(**_: Any) -> None:
    """Told to stop before Celery listens for it, a worker ends well: it holds nothing yet."""
    signal(SIGTERM, lambda *_: os._exit(0))


@celeryd_init.connect
def _check_options(options: dict[str, Any], **_: Any) -> None:
    wanted = options.get("queues") or ()
    try:
        for name in wanted.split(",") if isinstance(wanted, str) else wanted:
            names.checked(name)
        _check_pool(options.get("pool_cls") or options.get("pool") or app.conf.worker_pool)
    except EnsembleInstructError as error:
        sys.exit(f"error: {error}")


def _check_pool(pool: Any) -> None:
    name = get_implementation(pool).__module__.rpartition(".")[2]
    if name not in ("thread", "solo"):
        raise WrongPoolError(pool=name)
    if name == "solo":  # the consumer's own thread does the work, for minutes: that it is silent says nothing
        heartbeat_sent.disconnect(_beat)


@worker_init.connect
def _open_runtime(**_: Any) -> None:
    try:
        if names.CONSENSUS in app.amqp.queues.consume_from:
            load_stemmer()  # or the first verdict would hold up the calls under way
        runtime = Runtime.open(app, settings().database(), lease_slack_s=settings().lease_slack_s)
        runtime.traces = traces_from(os.environ, runtime.worker)
        require_migrated(runtime.engine)
        if address := settings().health_address:
            _telemetry.append(Telemetry(runtime, app, settings().database(), address))
    except EnsembleInstructError as error:
        sys.exit(f"error: {error}")  # Celery would log any other exception and go on
    except Exception as error:
        raise SystemExit(f"error: the worker can't begin\n{format_exc()}") from error
    _runtimes.append(runtime)
    name_process(worker=runtime.worker)
    if path := settings().cpu_profile:
        _profiles.append(CpuProfile(path, {LOOP_THREAD: Part.HTTP}))


@worker_ready.connect
def _begin(sender: Any, **_: Any) -> None:
    if names.CONTROL in app.amqp.queues.consume_from:
        _reconcilers.append(reconciler.start(_runtime()))
    for each in _telemetry:
        each.ready_with(*_reconcilers)
    if isinstance(sender.pool, TaskPool):
        take_part(_runtime(), app, sender.pool)


@heartbeat_sent.connect
def _beat(**_: Any) -> None:
    for each in _telemetry:
        each.probes.consumer.beat()


@worker_shutting_down.connect
def _stop_streams(**_: Any) -> None:
    _runtime().stop(settings().drain_s)


@worker_shutdown.connect
def _close_runtime(**_: Any) -> None:
    for thread in _reconcilers:
        thread.join(reconciler.PATIENCE_S)
    for profile in _profiles:
        profile.stop()
    _runtime().close()
    for each in _telemetry:
        each.close()


def _context(run_id: str) -> RunContext | None:
    return _runtime().context(uuid.UUID(run_id))


def _stream(run_id: str, queue: str, stage: LMStage, model_of: Stage) -> None:
    context = _context(run_id)
    if context is None:
        return
    model = _model(context, queue, model_of)
    with bound(**of_run(context), queue=queue, stage=stage.name, model=model):
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
        with bound(**of_run(context), queue=queue, stage=Stage.CONSENSUS):
            judge_all(_runtime(), context)


@app.task(name=TASKS[names.CONTROL])
def advance_run(run_id: str, queue: str) -> None:
    """Bring a run on at once instead of at the reconciler's next round."""
    context = _context(run_id)
    if context:
        with bound(**of_run(context), queue=queue):
            advance(_runtime(), context)
