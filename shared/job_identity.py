"""What of a job makes a run the one it is, what may be changed, and what anybody may read."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from shared.job import JobSpec

FINGERPRINT_SCHEME = 1

# What can't change which rows a run makes: whose it is, what it may cost, how patient it is with servers, where they
# are, and how much of them it gets.
_CHANGEABLE: dict[str, Any] = {
    "owner": True,
    "share": True,
    "retry": True,
    "budget": True,
    "models": {"__all__": {"endpoints", "api_key_env", "max_in_flight", "timeout_s"}},
}
_NOT_IN_FINGERPRINT: dict[str, Any] = {
    **_CHANGEABLE,
    "name": True,
    # Seeds and prompts count by their content, below, and a voice by its label and its template.
    "seeds": True,
    "prompts": True,
    "instructions": {"prompts"},
    "instances": {"prompts"},
    "outputs": {"__all__": {"prompt", "name"}},
}


def differs_for_good(job: JobSpec, other: JobSpec) -> bool:
    """Whether two jobs differ in more than a run's job may be changed in after it has begun."""
    return job.model_dump(exclude=_CHANGEABLE) != other.model_dump(exclude=_CHANGEABLE)


def shareable(job: JobSpec) -> dict[str, Any]:
    """A job as anybody may read it: without whose it is, what it may cost and where its servers are, and with files by
    their names alone. Of a run that was imported, it says nothing of what only LMs would have had to know."""
    values = job.model_dump(mode="json", exclude=_CHANGEABLE, exclude_unset=True, exclude_none=True)
    if job.imported:
        limits = {"limits"} if job.imported.filtered else set()
        for stage, known in (("instructions", {"novelty_threshold", "novelty_scope"} | limits), ("instances", limits)):
            values[stage] = {name: each for name, each in values[stage].items() if name in known}
        values = {name: each for name, each in values.items() if each != {}}
    files = {name: path.name for name in ("seeds", "prompts") if (path := getattr(job, name))}
    return {**values, **files}


def fingerprint(job: JobSpec, seed_digest: str, prompt_digests: Mapping[str, str]) -> str:
    """Sixteen hex digits over all that decides a run's rows: the job, its seeds, its templates.

    `prompt_digests` are the templates' sha256 by id.
    """
    whole = {
        "scheme": FINGERPRINT_SCHEME,
        "job": job.model_dump(mode="json", exclude=_NOT_IN_FINGERPRINT),
        "voices": [voice.label for voice in job.outputs],
        "seeds": seed_digest,
        "prompts": {field: prompt_digests[id] for field, id in job.prompt_ids.items()},
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]
