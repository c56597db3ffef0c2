"""In which settings an earlier run's job differs from the one that is planned with its figures."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.job import JobSpec

# What a plan allows for, or what makes no call and no yield another.
ALLOWED_FOR = {"name", "owner", "share", "seed", "targets", "models", "retry", "budget"}
OF_PACE = {"instructions.lookahead", "instructions.patience"}


def differences(earlier: JobSpec, job: JobSpec) -> list[str]:
    """The settings by which calls may take another time, or other shares be kept; a model's by its kind and name."""
    told = [_settings(each) for each in (earlier, job)]
    return sorted(name for name in told[0].keys() | told[1].keys() if told[0].get(name) != told[1].get(name))


def _settings(job: JobSpec) -> dict[str, Any]:
    plain = job.model_dump(mode="json", exclude=ALLOWED_FOR)
    settings = {name: value for name, value in _flat(plain, "") if name not in OF_PACE}
    for name, spec in job.models.items():
        settings[f"models.{name}.kind"], settings[f"models.{name}.model"] = spec.kind, spec.model
    return settings


def _flat(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{field}.{name}" if field else name)
    else:
        yield field, value
