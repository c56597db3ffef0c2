"""The job: the YAML a person writes, checked and with every default of the paper filled in."""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints

from shared.method.consensus import Rule
from shared.method.decoding import DecodingOverrides
from shared.method.filters import InstanceLimits, InstructionLimits
from shared.method.tasks import TaskType

FINGERPRINT_SCHEME = 1

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""A name that may stand in a queue's name: lower-case letters, digits, `-` and `_`."""


class Section(BaseModel):
    """A part of a job: no unknown keys, no change after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Protocol(StrEnum):
    """How a server is spoken to."""

    TGI = "tgi"
    OPENAI = "openai"


class ModelKind(StrEnum):
    """Whether an LM was tuned to follow instructions, or only continues text."""

    VANILLA = "vanilla"
    INSTRUCT = "instruct"


class ModelSpec(Section):
    """A language model and the servers that serve it."""

    protocol: Protocol
    kind: ModelKind
    endpoints: tuple[HttpUrl, ...] = Field(min_length=1)
    model: str | None = None  # its name at the server; without one, whatever the server serves
    licence: str | None = None  # an SPDX identifier
    api_key_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    max_in_flight: int = Field(8, ge=1, le=4096)  # calls at once, over all workers
    timeout_s: float = Field(120, gt=0, le=3600)

    @property
    def urls(self) -> tuple[str, ...]:
        """The endpoints' base addresses, without a trailing slash."""
        return tuple(str(url).rstrip("/") for url in self.endpoints)


class InstructionDemonstrations(Section):
    """How many demonstrations an instruction prompt shows."""

    seeds: int = Field(ge=1, le=200)
    generated: int = Field(ge=0, le=200)


class InstructionStage(Section):
    """How instructions are proposed."""

    model: Name
    prompts: dict[TaskType, str] = {
        TaskType.INPUT_OUTPUT: "instruction_input_output",
        TaskType.OUTPUT_ONLY: "instruction_output_only",
    }
    decoding: DecodingOverrides = DecodingOverrides()
    demonstrations: dict[TaskType, InstructionDemonstrations] = {
        TaskType.INPUT_OUTPUT: InstructionDemonstrations(seeds=20, generated=4),
        TaskType.OUTPUT_ONLY: InstructionDemonstrations(seeds=8, generated=2),
    }
    harvest: int = Field(1, ge=1, le=20)  # instructions taken from one answer, at most
    limits: InstructionLimits = InstructionLimits()
    novelty_threshold: float = Field(0.7, gt=0, le=1)
    reuse: int = Field(1, ge=1)  # calls in a row that show the same seeds, for prefix caching
    lookahead: int = Field(64, ge=1, le=4096)  # proposals of a type that may be ahead of the novelty gate
    patience: int = Field(1000, ge=1)  # proposals in a row without an example before the run gives up


class InstanceStage(Section):
    """How an instruction gets its input and first output."""

    model: Name
    prompts: dict[TaskType, str] = {
        TaskType.INPUT_OUTPUT: "instance_input_output",
        TaskType.OUTPUT_ONLY: "instance_output_only",
    }
    decoding: DecodingOverrides = DecodingOverrides()
    limits: InstanceLimits = InstanceLimits()
    demonstrations: dict[TaskType, Annotated[int, Field(ge=1, le=200)]] = {
        TaskType.INPUT_OUTPUT: 18,
        TaskType.OUTPUT_ONLY: 15,
    }
    reuse: int = Field(1, ge=1)


class Voice(Section):
    """One more opinion on what the output should be."""

    model: Name
    name: Name | None = None  # by default the model's
    prompt: str | None = None  # by default zero-shot for an instruct LM, few-shot for a vanilla one
    decoding: DecodingOverrides = DecodingOverrides()

    @property
    def label(self) -> str:
        """What this voice is called among a run's voices."""
        return self.name or self.model


class ConsensusStage(Section):
    """How the outputs become one."""

    rule: Rule = Rule.ENSEMBLE_INSTRUCT
    threshold: float = Field(0.01, ge=0, le=1)
    min_candidates: int = Field(2, ge=1)  # fewer usable outputs than this, and the instance is discarded


class RetryPolicy(Section):
    """How often a call is tried. Overload is counted apart, since it says nothing of the call itself."""

    failures: int = Field(5, ge=1)
    timeouts: int = Field(2, ge=1)
    overloads: int = Field(200, ge=1)
    crashes: int = Field(4, ge=1)  # workers that vanished with the call in hand
    backoff_s: float = Field(1, gt=0)  # the first wait at most; doubled each time, with full jitter
    backoff_cap_s: float = Field(60, gt=0)


class JobSpec(Section):
    """A whole job. Every default is the paper's or the reference code's."""

    name: Name
    seed: int = 0  # every random choice derives from it
    seeds: Path | None = None  # by default the 175 tasks that come with the project
    prompts: Path | None = None  # a folder whose templates stand in for the shipped ones of the same id
    targets: dict[TaskType, Annotated[int, Field(ge=1)]] = Field(min_length=1)  # examples to make
    models: dict[Name, ModelSpec] = Field(min_length=1)
    instructions: InstructionStage
    instances: InstanceStage
    outputs: tuple[Voice, ...] = ()
    consensus: ConsensusStage = ConsensusStage()
    retry: RetryPolicy = RetryPolicy()

    def voice_prompt(self, voice: Voice) -> str:
        """The id of the template that a voice uses."""
        if voice.prompt:
            return voice.prompt
        instruct = self.models[voice.model].kind is ModelKind.INSTRUCT
        return "output_zero_shot" if instruct else "output_few_shot"

    @property
    def prompt_ids(self) -> dict[str, str]:
        """The template ids that the job's targets need, by the field that names each."""
        ids = {}
        for task_type in self.targets:
            ids[f"instructions.prompts.{task_type}"] = self.instructions.prompts.get(task_type, "")
            ids[f"instances.prompts.{task_type}"] = self.instances.prompts.get(task_type, "")
        for index, voice in enumerate(self.outputs):
            ids[f"outputs.{index}.prompt"] = self.voice_prompt(voice)
        return ids


# What can't change which rows a run makes. Seeds and prompts count by their content, not their path.
_NOT_IN_FINGERPRINT = {"name", "retry", "seeds", "prompts"}
_NOT_IN_FINGERPRINT_OF_MODEL = {"endpoints", "api_key_env", "max_in_flight", "timeout_s"}


def fingerprint(job: JobSpec, seed_digest: str, prompt_digests: Mapping[str, str]) -> str:
    """Sixteen hex digits over all that decides a run's rows: the job, its seeds, its templates."""
    dumped = job.model_dump(mode="json", exclude=_NOT_IN_FINGERPRINT)
    models = {
        name: {field: value for field, value in spec.items() if field not in _NOT_IN_FINGERPRINT_OF_MODEL}
        for name, spec in dumped["models"].items()
    }
    whole = {
        "scheme": FINGERPRINT_SCHEME,
        "job": {**dumped, "models": models},
        "seeds": seed_digest,
        "prompts": dict(prompt_digests),
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]
