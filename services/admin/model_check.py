"""Asking a job's models for a sign of life."""

import asyncio

from services.admin.listed import ModelsDifferError, ModelsSilentError
from shared.job import JobSpec, ModelSpec
from shared.lm.connect import connect
from shared.lm.errors import LMError, Misconfigured
from shared.lm.protocol import Description

PATIENCE_S = 10.0  # with a server that has to say its name, however long its answers may take

Described = dict[str, list[Description]]


def check_models(job: JobSpec) -> Described:
    """Ask every model's servers what they serve. Raises `ModelsSilentError`, `ModelsDifferError`."""
    answers = asyncio.run(_ask(job))
    errors = {name: answer for name, answer in answers.items() if isinstance(answer, LMError)}
    if errors:
        only_differ = all(isinstance(error, Misconfigured) for error in errors.values())
        raise (ModelsDifferError if only_differ else ModelsSilentError)(
            [f"models.{name}: {error}" for name, error in errors.items()]
        )
    return {name: answer for name, answer in answers.items() if not isinstance(answer, LMError)}


async def _ask(job: JobSpec) -> dict[str, list[Description] | LMError]:
    answers = await asyncio.gather(*(_describe(spec) for spec in job.models.values()))
    return dict(zip(job.models, answers, strict=True))


async def _describe(spec: ModelSpec) -> list[Description] | LMError:
    model = connect(spec.model_copy(update={"timeout_s": min(spec.timeout_s, PATIENCE_S)}))
    try:
        return await model.describe()
    except LMError as error:
        return error
    finally:
        await model.close()
