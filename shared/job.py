"""The job: the YAML a person writes, checked and with every default of the paper filled in."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from shared.method.consensus import Rule
from shared.method.decoding import DecodingOverrides
from shared.method.filters import InstanceLimits, InstructionLimits
from shared.method.tasks import TaskType
from shared.method.terms import Terms

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
OWN_VOICE = "instance"  # candidate 0: the output that came with the instance
IMPORTED = "imported"  # in place of a model's name: what it would have written was made elsewhere

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A name that may stand in a queue's name: lower-case letters, digits, `-` and `_`."""


def line_of_text(text: str) -> str:
    """`text`, if it is what a person may call something. Raises `ValueError`."""
    if not text.isprintable() or not text or text != text.strip():
        raise ValueError("should be a line of text, without control characters and outer spaces")
    return text


Label = Annotated[str, AfterValidator(line_of_text)]
"""What a person or a server calls something."""

MOST_SHARE = 1000
MOST_WEIGHT = 1000
Weight = Annotated[float, Field(gt=0, le=MOST_WEIGHT)]
"""How much a voice counts in the consensus, against the others' 1."""


def _with_scheme(given: Any) -> Any:
    """A host and port alone are told what they lack, but never shown if they may hold a login."""
    if isinstance(given, str) and given and not any(mark in given for mark in ("/", "@")):
        raise ValueError(f"is no whole address; write http://{given}")
    return given


def _address(url: HttpUrl) -> HttpUrl:
    """Endpoints are written into rows, logs and messages, so nothing secret may stand in them."""
    if url.username or url.password:
        raise ValueError("holds a login, and addresses are stored; put the key into the environment, see api_key_env")
    if url.query or url.fragment:
        raise ValueError("ends with a query or a fragment; write the server's base address alone")
    return url


Endpoint = Annotated[HttpUrl, BeforeValidator(_with_scheme), AfterValidator(_address)]


def _completing(defaults: Mapping[str, Any]) -> BeforeValidator:
    """What a job writes for one task type leaves the rest as it is by default."""

    def complete(given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        own = {key: _merged(defaults.get(key), value) for key, value in given.items()}
        return {**defaults, **own}

    return BeforeValidator(complete)


def _merged(default: Any, given: Any) -> Any:
    return {**default, **given} if isinstance(default, Mapping) and isinstance(given, Mapping) else given


class Section(BaseModel):
    """A part of a job: no unknown keys, no change after reading, no infinity, which JSON has no word for."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
    endpoints: tuple[Endpoint, ...] = Field(min_length=1)
    model: Label | None = None  # its name at the server; without one, whatever the server serves
    licence: Label | None = None  # an SPDX identifier
    family: Name | None = None  # LMs that are akin tend to agree; those of one family share a vote
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
    prompts: Annotated[
        dict[TaskType, Name],
        _completing({"input_output": "instruction_input_output", "output_only": "instruction_output_only"}),
    ] = Field({}, validate_default=True)
    decoding: DecodingOverrides = DecodingOverrides()
    demonstrations: Annotated[
        dict[TaskType, InstructionDemonstrations],
        _completing({"input_output": {"seeds": 20, "generated": 4}, "output_only": {"seeds": 8, "generated": 2}}),
    ] = Field({}, validate_default=True)
    harvest: int = Field(1, ge=1, le=20)  # instructions taken from one answer, at most
    limits: InstructionLimits = InstructionLimits()
    novelty_threshold: float = Field(0.7, gt=0, le=1)
    # Whose instructions count as known: this run's, those of all earlier runs too, or of the runs named.
    novelty_scope: Literal["run", "all"] | Annotated[tuple[str, ...], Field(min_length=1)] = "run"
    reuse: int = Field(1, ge=1)  # calls in a row that show the same seeds, for prefix caching
    lookahead: int = Field(64, ge=1, le=4096)  # proposals of a type that may be ahead of the novelty gate
    patience: int = Field(1000, ge=1)  # proposals in a row without an example before the run gives up


class InstanceStage(Section):
    """How an instruction gets its input and first output."""

    model: Name
    prompts: Annotated[
        dict[TaskType, Name],
        _completing({"input_output": "instance_input_output", "output_only": "instance_output_only"}),
    ] = Field({}, validate_default=True)
    decoding: DecodingOverrides = DecodingOverrides()
    limits: InstanceLimits = InstanceLimits()
    demonstrations: Annotated[
        dict[TaskType, Annotated[int, Field(ge=1, le=200)]], _completing({"input_output": 18, "output_only": 15})
    ] = Field({}, validate_default=True)
    reuse: int = Field(1, ge=1)
    weight: Weight = 1  # of the instance's own output among the voices


class Voice(Section):
    """One more opinion on what the output should be."""

    model: Name
    name: Name | None = None  # by default the model's
    prompt: Name | None = None  # by default zero-shot for an instruct LM, few-shot for a vanilla one
    decoding: DecodingOverrides = DecodingOverrides()
    weight: Weight = 1

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
    crashes: int = Field(6, ge=1)  # workers that vanished with the call in hand
    gone_after_s: float = Field(900, gt=0)  # without one answer of a model, then the run does without it or pauses
    backoff_s: float = Field(1, gt=0)  # the first wait at most; doubled each time, with full jitter
    backoff_cap_s: float = Field(60, gt=0)


class Budget(Section):
    """What a run may cost: it stops when any of this is spent. What has no limit is left out."""

    generations: int | None = Field(None, ge=1)  # LM calls that a server took
    tokens: int | None = Field(None, ge=1)  # read and written
    hours: float | None = Field(None, gt=0)  # at work, pauses left out

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return not (self.generations is None and self.tokens is None and self.hours is None)


class ImportedFile(Section):
    """A file whose outputs are a voice; the first has the instances, with their own outputs."""

    voice: Name
    name: str
    sha256: str
    source: Label | None = None
    licence: Label | None = None  # an SPDX identifier


class Imported(Section):
    """What was made elsewhere, in place of all that a run makes up to the instances and their own outputs.

    `novelty_threshold` and `novelty_scope` hold for it as for what a run makes, with 1 for what was let in however
    alike, the limits only if it was `filtered`.
    """

    files: tuple[ImportedFile, ...] = Field(min_length=1)
    filtered: bool = False


class JobSpec(Section):
    """A whole job. Every default is the paper's or the reference code's.

    That of an imported run says what was brought in; its targets are how many records of each type there were.
    """

    name: Name
    imported: Imported | None = Field(None, exclude_if=lambda imported: imported is None)
    owner: Label | None = None  # whose run it is
    share: float = Field(1, gt=0, le=MOST_SHARE)  # of servers that several runs use at once, against the others' 1
    seed: int = 0  # every random choice derives from it
    seeds: Path | None = None  # by default the 175 tasks that come with the project
    prompts: Path | None = None  # a folder whose templates stand in for the shipped ones of the same id
    targets: dict[TaskType, Annotated[int, Field(ge=1, le=100_000_000, strict=True)]] = Field(
        min_length=1
    )  # examples to make
    models: dict[Name, ModelSpec]
    instructions: InstructionStage
    instances: InstanceStage
    outputs: tuple[Voice, ...] = ()
    consensus: ConsensusStage = ConsensusStage()
    retry: RetryPolicy = RetryPolicy()
    budget: Budget = Budget()

    @field_validator("models")
    @classmethod
    def _some_model(cls, models: dict[str, ModelSpec], given: ValidationInfo) -> dict[str, ModelSpec]:
        if not models and not given.data.get("imported"):
            raise ValueError("name at least one")
        return models

    def voice_prompt(self, voice: Voice) -> str:
        """The id of the template that a voice uses."""
        if voice.prompt:
            return voice.prompt
        instruct = self.models[voice.model].kind is ModelKind.INSTRUCT
        return "output_zero_shot" if instruct else "output_few_shot"

    @property
    def own_voices(self) -> dict[str, str]:
        """The voices besides `outputs`, the instance's own first: the model of each, or `IMPORTED`."""
        files = self.imported.files if self.imported else ()
        return {OWN_VOICE: self.instances.model} | {file.voice: IMPORTED for file in files}

    @property
    def voices(self) -> dict[str, str]:
        """The model of each voice, or `IMPORTED`; an instance's candidates are numbered in this order."""
        return self.own_voices | {voice.label: voice.model for voice in self.outputs}

    @property
    def terms(self) -> Terms:
        """How the run itself decides between the outputs."""
        weights = {OWN_VOICE: self.instances.weight} | {voice.label: voice.weight for voice in self.outputs}
        families = {voice: self.models[model].family for voice, model in self.voices.items() if model in self.models}
        return Terms(
            rule=self.consensus.rule,
            threshold=self.consensus.threshold,
            min_candidates=self.consensus.min_candidates,
            weights={voice: weights.get(voice, 1) for voice in self.voices},
            families={voice: family for voice, family in families.items() if family},
        )

    @property
    def prompt_ids(self) -> dict[str, str]:
        """The template ids that the job's targets need, by the field that names each."""
        ids = {}
        for task_type in () if self.imported else self.targets:
            ids[f"instructions.prompts.{task_type}"] = self.instructions.prompts[task_type]
            ids[f"instances.prompts.{task_type}"] = self.instances.prompts[task_type]
        for index, voice in enumerate(self.outputs):
            ids[f"outputs.{index}.prompt"] = self.voice_prompt(voice)
        return ids
