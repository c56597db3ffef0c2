"""What a job must not use, or uses in vain, because it is retracted."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from services.admin.console import say, warn
from services.admin.listed import RetractedFilesError, RetractedPartsError
from services.admin.model_check import Described
from services.admin.planning import Plan
from shared.dataset.importing import Source
from shared.job import ModelSpec
from shared.store.keys import key
from shared.store.marks import Mark
from shared.store.retracted_parts import RetractedModel, named, parts_of, retracted_files, retracted_models
from shared.store.runs import seed_key, template_key

SHOWN = 10  # seed tasks


def refuse_retracted(session: Session, plan: Plan) -> None:
    """Raises `RetractedPartsError` if a job names a retracted model or template, or has no seed task left to show."""
    faults = [
        *_templates(session, plan, plan.job.prompt_ids),
        *_models(session, plan.job.models),
        *_no_seeds(session, plan),
    ]
    if faults:
        raise RetractedPartsError(faults)


def refuse_retracted_voice(session: Session, plan: Plan, run_id: UUID) -> None:
    """The same for a run that gets one voice more, the job's last: the others are there already."""
    place, voice = len(plan.job.outputs) - 1, plan.job.outputs[-1]
    prompts = {field: id for field, id in plan.job.prompt_ids.items() if field.startswith(f"outputs.{place}.")}
    own = named(session, [key("model", run_id, voice.model)])
    faults = [
        *_templates(session, plan, prompts),
        *_models(session, {voice.model: plan.job.models[voice.model]}),
        *(_fault(f"models.{voice.model}", "this run's model", mark) for _, mark in own.values()),
    ]
    if faults:
        raise RetractedPartsError(faults)


def refuse_retracted_files(session: Session, sources: Sequence[Source]) -> None:
    """Raises `RetractedFilesError` if one of these files, under whatever name, was imported before and retracted."""
    retracted = retracted_files(session, {each.contents.sha256 for each in sources})
    faults = [
        _fault(str(each.path), "this file", retracted[each.contents.sha256])
        for each in sources
        if each.contents.sha256 in retracted
    ]
    if faults:
        raise RetractedFilesError(faults)


def tell_of_retracted(session: Session, plan: Plan, described: Described) -> None:
    """Say which seed tasks are not shown, and which models may be retracted ones by another name."""
    retracted = named(session, [seed_key(seed) for seed in plan.seeds])
    if retracted:
        left_out = [f"{what} ({mark.retraction}: {mark.reason})" for what, mark in retracted.values()]
        more = f" and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
        say(
            f"{len(left_out)} of {len(plan.seeds)} seeds are retracted, and shown in no prompt: "
            f"{', '.join(left_out[:SHOWN])}{more}"
        )
    for name, spec in plan.job.models.items():
        said = {each.model_id for each in described.get(name, ()) if each.model_id}
        for other in retracted_models(session):
            if _may_be(name, spec, said, other):
                warn(
                    f"models.{name} may be the model {other.name} that is retracted "
                    f"({other.mark.retraction}: {other.mark.reason}); what it writes now is not retracted by that"
                )


def warn_of_retracted(session: Session, run_id: UUID, run: str) -> None:
    """Say what a run goes on with though it is retracted."""
    for what, mark in parts_of(session, run_id):
        warn(
            f"run {run} uses {what}, which is retracted ({mark.retraction}: {mark.reason}): what comes of it is "
            "retracted as it is written, and no verdict takes it into account"
        )


def _templates(session: Session, plan: Plan, prompts: Mapping[str, str]) -> Iterator[str]:
    keys = {template.id: template_key(template.sha256) for template in plan.templates}
    retracted = named(session, keys.values())
    for field, id in prompts.items():
        if found := retracted.get(keys[id]):
            yield _fault(field, f"the template {found[0]}", found[1])


def _models(session: Session, models: Mapping[str, ModelSpec]) -> Iterator[str]:
    retracted = {model.declared: model.mark for model in retracted_models(session) if model.declared}
    for name, spec in models.items():
        if spec.model and (mark := retracted.get(spec.model)):
            yield _fault(f"models.{name}", f"the model {spec.model}", mark)


def _no_seeds(session: Session, plan: Plan) -> Iterator[str]:
    retracted = named(session, [seed_key(seed) for seed in plan.seeds])
    for task_type in plan.job.targets:
        if all(seed_key(seed) in retracted for seed in plan.seeds if seed.task_type is task_type):
            yield f"targets.{task_type}: every seed task of this type is retracted, so there is none to show"


def _fault(field: str, what: str, mark: Mark) -> str:
    return f"{field}: {what} is retracted ({mark.retraction}: {mark.reason})"


def _may_be(name: str, spec: ModelSpec, said: Collection[str], other: RetractedModel) -> bool:
    known, others = (
        {*said, *([spec.model] if spec.model else ())},
        {*other.said, *([other.declared] if other.declared else ())},
    )
    return bool(known & others) if known and others else name == other.name
