"""What may be changed in the job of a run that has begun."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.errors import UserError
from shared.job import JobSpec
from shared.job_file import checked_job
from shared.job_identity import differs_for_good


class FixedSettingError(UserError):
    """What decides a run's records can't be changed once it has begun. What can: `owner`, `share`, `retry`, `budget`,
    and of a model its `endpoints`, `api_key_env`, `max_in_flight` and `timeout_s`."""


class OtherModelError(UserError):
    """--set {text}: only the new voice's model is described here, by settings that begin with {place}"""


class KnownModelError(UserError):
    """The run has a model '{model}' already, and it stays as it is; leave out --set, or give yours another name."""


def changed_job(job: JobSpec, overrides: Sequence[str]) -> JobSpec:
    """A run's job with `path=value` overrides put in. Raises `JobError`, `OverrideError`, `FixedSettingError`."""
    changed = checked_job(Path("the changed job"), job.model_dump(mode="json"), {}, overrides)
    if differs_for_good(job, changed):
        raise FixedSettingError
    return changed


def with_voice(job: JobSpec, voice: Mapping[str, str], overrides: Sequence[str]) -> JobSpec:
    """A run's job with one voice more, and `path=value` overrides that describe its model.

    Raises `JobError`, `OverrideError`, `KnownModelError`, and `OtherModelError` for an override of anything else.
    """
    place = f"models.{voice['model']}."
    for override in overrides:
        if not override.startswith(place):
            raise OtherModelError(text=override, place=place)
    content = job.model_dump(mode="json")
    if voice["model"] in content["models"] and overrides:
        raise KnownModelError(model=voice["model"])
    content["outputs"] = [*content["outputs"], dict(voice)]
    return checked_job(Path("the job with this voice"), content, {}, overrides)
