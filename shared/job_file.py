"""Reading a job from a YAML file: every fault at once, each with its field and line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shared.errors import UserError
from shared.job import JobSpec
from shared.method.consensus import Rule


@dataclass(frozen=True, slots=True)
class JobFault:
    """One thing that is wrong with a job; `line` counts from 1, where it is known."""

    field: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        """The fault in one line."""
        where = f" (line {self.line})" if self.line else ""
        return f"{self.field}{where}: {self.message}" if self.field else self.message


class JobError(UserError):
    """{path} is not a job that can run:"""

    def __init__(self, path: Path, faults: Sequence[JobFault]) -> None:
        super().__init__(path=path)
        self.faults = faults

    def __str__(self) -> str:
        """One line for each fault."""
        return "\n".join([super().__str__(), *(f"  {fault}" for fault in self.faults)])


class OverrideError(UserError):
    """--set {text}: write it as path=value, for example --set targets.output_only=100"""


def read_job(path: Path, overrides: Sequence[str] = ()) -> JobSpec:
    """The job in a YAML file, with `path=value` overrides put in; paths in it are relative to the file.

    Raises `JobError`, `OverrideError`.
    """
    content, lines = _parse(path)
    for override in overrides:
        _override(content, override)
    try:
        job = JobSpec.model_validate(content)
    except ValidationError as error:
        raise JobError(path, [_fault(each, lines) for each in error.errors()]) from None
    faults = [JobFault(field, message, _line(field, lines)) for field, message in _cross_faults(job)]
    if faults:
        raise JobError(path, faults)
    return job.model_copy(update={name: _beside(path, getattr(job, name)) for name in ("seeds", "prompts")})


def _beside(path: Path, other: Path | None) -> Path | None:
    return other and (path.parent / other).resolve()


def _parse(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise JobError(path, [JobFault("", f"it can't be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise JobError(path, [JobFault("", f"it is not UTF-8 at byte {error.start}")]) from error
    except yaml.YAMLError as error:
        raise JobError(path, [JobFault("", f"it is not YAML: {' '.join(str(error).split())}")]) from error
    if not isinstance(node, yaml.MappingNode):
        raise JobError(path, [JobFault("", "it is not a mapping; `ensemble-instruct init` writes one")])
    lines: dict[str, int] = {}
    faults = list(_walk(node, "", lines))
    if faults:
        raise JobError(path, faults)
    return yaml.safe_load(path.read_text(encoding="utf-8")), lines


def _walk(node: yaml.Node, prefix: str, lines: dict[str, int]) -> Iterator[JobFault]:
    """Note where each field stands; a key that stands twice is a fault, as YAML would keep the last."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            field = f"{prefix}{name.value}"
            if field in lines:
                yield JobFault(field, f"stands in line {lines[field]} already", name.start_mark.line + 1)
            lines[field] = name.start_mark.line + 1
            yield from _walk(value, f"{field}.", lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[f"{prefix}{index}"] = value.start_mark.line + 1
            yield from _walk(value, f"{prefix}{index}.", lines)


def _line(field: str, lines: dict[str, int]) -> int | None:
    """The line of a field, or of the nearest thing around it that the file has."""
    parts = field.split(".")
    found = (lines.get(".".join(parts[:count])) for count in range(len(parts), 0, -1))
    return next((line for line in found if line), None)


def _fault(error: Any, lines: dict[str, int]) -> JobFault:
    field = ".".join(str(part) for part in error["loc"] if part != "[key]")
    message = {
        "extra_forbidden": "there is no such setting; check its spelling",
        "missing": "is missing",
    }.get(error["type"], error["msg"])
    return JobFault(field, message, _line(field, lines))


def _override(content: dict[str, Any], text: str) -> None:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise OverrideError(text=text)
    *parents, last = path.split(".")
    place: Any = content
    try:
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        place[int(last) if isinstance(place, list) else last] = yaml.safe_load(value)
    except (ValueError, IndexError, TypeError, AttributeError, yaml.YAMLError):
        raise OverrideError(text=text) from None


def _cross_faults(job: JobSpec) -> Iterator[tuple[str, str]]:
    """What no single field shows: names that lead nowhere, voices that say the same thing twice."""
    yield from _unknown_models(job)
    yield from _repeated_voices(job)
    voices = 1 + len(job.outputs)
    if job.consensus.rule is not Rule.NONE and voices < 2:
        yield "outputs", "a consensus needs a voice besides the instance's own; or set consensus.rule: none"
    if job.consensus.rule is not Rule.NONE and job.consensus.min_candidates > voices:
        yield "consensus.min_candidates", f"the job has only {voices} voices, the instance's own included"
    for task_type in job.targets:
        for stage in ("instructions", "instances"):
            for setting in ("prompts", "demonstrations"):
                if task_type not in getattr(getattr(job, stage), setting):
                    yield f"{stage}.{setting}", f"'{task_type}' is missing, and targets asks for it"


def _unknown_models(job: JobSpec) -> Iterator[tuple[str, str]]:
    named = {"instructions.model": job.instructions.model, "instances.model": job.instances.model}
    named |= {f"outputs.{index}.model": voice.model for index, voice in enumerate(job.outputs)}
    for field, model in named.items():
        if model not in job.models:
            yield field, f"there is no model '{model}'; models: {', '.join(sorted(job.models))}"


def _repeated_voices(job: JobSpec) -> Iterator[tuple[str, str]]:
    labels = [voice.label for voice in job.outputs]
    for index, label in enumerate(labels):
        if label in labels[:index]:
            yield f"outputs.{index}", f"the voice '{label}' speaks twice; give it a `name` of its own"
    asked = [(voice.model, voice.prompt, voice.decoding) for voice in job.outputs]
    for index, question in enumerate(asked):
        if question in asked[:index] and labels[index] not in labels[:index]:
            yield (
                f"outputs.{index}",
                "asks the same model the same thing as an earlier voice; change its prompt",
            )
