"""A model that answers no call any more: the run goes on without its voice, or says so and pauses itself."""

from collections.abc import Mapping

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.job import JobSpec
from shared.method.consensus import Rule
from shared.method.tasks import Stage
from shared.queue import names
from shared.store import work
from shared.store.endpoints import FailingModel, failing_models
from shared.store.gate import is_open
from shared.store.loading import RunContext
from shared.store.states import pause_run
from shared.store.tables.runs import Run
from shared.telemetry.logging import told
from workers import output_generator
from workers.runtime import Runtime
from workers.stages import give_up

log = structlog.get_logger()

GONE = "gone"
PAGE = 500
LEASE_S = 60.0


def see_to_gone_models(runtime: Runtime, context: RunContext) -> None:
    """Do without the models that have answered no call for `retry.gone_after_s`, or pause the run."""
    with runtime.sessions.begin() as session:
        gone = _gone(session, context)
        needed = _needed(session, context, gone)
        if needed:
            mend = (
                f"when it is back: ensemble-instruct resume RUN, with --set models.{needed}.endpoints=[…] if it moved"
            )
            pause_run(session, context.run_id, f"{_told(needed, gone[needed])}, and the run needs it; {mend}")
            log.warning("run pauses, a model that it needs is gone", model=needed, fault=gone[needed].fault)
            return
    for model, failing in gone.items():
        _do_without(runtime, context, model, failing)


def _gone(session: Session, context: RunContext) -> dict[str, FailingModel]:
    """A run that goes on again gives its models time again, this moment included; one nobody calls is not gone."""
    failing = failing_models(session, context.run_id)
    if not failing:
        return {}
    stretch = select(Run.active_since).where(Run.id == context.run_id)
    began = session.scalars(stretch.with_for_update(key_share=True)).one()
    after_s = context.job.retry.gone_after_s
    return {
        model: each
        for model, each in failing.items()
        if (each.latest - max(each.since, began)).total_seconds() > after_s
    }


def _needed(session: Session, context: RunContext, gone: Mapping[str, FailingModel]) -> str | None:
    """A model without which the run can't go on."""
    for stage in (Stage.INSTRUCTION, Stage.INSTANCE):
        for model in gone:
            if is_open(session, context.run_id, stage, model):
                return model
    return next(iter(gone), None) if _too_few_without(context.job, gone) else None


def _too_few_without(job: JobSpec, gone: Mapping[str, FailingModel]) -> bool:
    speaking = len(job.own_voices) + sum(voice.model not in gone for voice in job.outputs)
    return job.consensus.rule is not Rule.NONE and speaking < job.consensus.min_candidates


def _do_without(runtime: Runtime, context: RunContext, model: str, failing: FailingModel) -> None:
    """Give up what the model was to write, but for one piece that was never tried: that shows when it is back."""
    with runtime.sessions.begin() as session:
        held = work.claim(
            session, context.run_id, names.outputs(model), count=PAGE, lease_s=LEASE_S, worker=runtime.worker
        )
        probe = next((each for each in held if not each.attempt), None)
        if probe:
            work.give_back(session, [probe])
    lost = [each for each in held if each is not probe]
    if lost:
        about = {"model": model, "queue": names.outputs(model), "work_items": told(each.id for each in lost)}
        log.warning("model is gone", given_up=len(lost), **about)
        give_up(runtime, context, output_generator.STAGE, lost, GONE, _told(model, failing))


def _told(model: str, failing: FailingModel) -> str:
    since = failing.since.isoformat(sep=" ", timespec="seconds")
    return f"model '{model}' has answered no call since {since}: {failing.fault}, {failing.detail}"
