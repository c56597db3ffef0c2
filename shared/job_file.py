"""Reading a job from a YAML file: every fault at once, each with its field and line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shared.errors import UserError
from shared.job import NAME_PATTERN, OWN_VOICE, JobSpec
from shared.method.consensus import Rule

MOST_BYTES = 256 * 1024
MOST_NODES = 20_000  # keys and values, an alias counted as all that it stands for
FROM_SET = 0  # in place of a line: the field came with --set


@dataclass(frozen=True, slots=True)
class JobFault:
    """One thing that is wrong with a job; `line` counts from 1, where it is known, and may be `FROM_SET`."""

    field: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        """The fault in one line."""
        place = "--set" if self.line == FROM_SET else self.line and f"line {self.line}"
        if not self.field:
            return f"{place}: {self.message}" if place else self.message
        return f"{self.field}{f' ({place})' if place else ''}: {self.message}"


class JobError(UserError):
    """{path} is not a job that can run:"""

    def __init__(self, path: Path, faults: Sequence[JobFault]) -> None:
        super().__init__(path=path)
        self.faults = faults

    def __str__(self) -> str:
        """One line for each fault."""
        return "\n".join([super().__str__(), *(f"  {fault}" for fault in self.faults)])


class OverrideError(UserError):
    """--set {text}: {reason}; write it as path=value, for example --set targets.output_only=100"""


def read_job(path: Path, overrides: Sequence[str] = ()) -> JobSpec:
    """The job in a YAML file, with `path=value` overrides put in; paths in it are relative to the file.

    Raises `JobError`, `OverrideError`.
    """
    content, lines = _parse(path)
    job = checked_job(path, content, lines, overrides)
    if job.imported:
        mend = "a job makes what it says; `ensemble-instruct import` brings in what was made elsewhere"
        raise JobError(path, [JobFault("imported", mend, _line("imported", lines))])
    return job.model_copy(update={name: _beside(path, getattr(job, name)) for name in ("seeds", "prompts")})


def checked_job(path: Path, content: dict[str, Any], lines: dict[str, int], overrides: Sequence[str]) -> JobSpec:
    """The job in plain values, with `path=value` overrides put in; `lines` are where its fields stand in the file.

    Raises `JobError`, `OverrideError`.
    """
    for override in overrides:
        _override(content, lines, override)
    try:
        job = JobSpec.model_validate(content)
    except ValidationError as error:
        raise JobError(path, list(_faults(error, lines))) from None
    faults = [JobFault(field, message, _line(field, lines)) for field, message in _cross_faults(job)]
    if faults:
        raise JobError(path, faults)
    return job


def _beside(path: Path, other: Path | None) -> Path | None:
    return other and (path.parent / other).resolve()


def _parse(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        reading = _Reading(yaml.SafeLoader(_text(path)))
        return reading.content(), reading.lines
    except _Unusable as error:
        raise JobError(path, error.faults) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise JobError(path, [JobFault("", f"it is not YAML: {error.problem}", line)]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise JobError(path, [JobFault("", f"it is not YAML: {' '.join(str(error).split())}")]) from None
    except RecursionError:
        raise JobError(path, [JobFault("", "it is nested too deeply for a job")]) from None


class _Unusable(Exception):
    def __init__(self, *faults: JobFault) -> None:
        super().__init__()
        self.faults = faults


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:  # once: it may be a pipe
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise _Unusable(JobFault("", f"it is longer than {MOST_BYTES // 1024} KiB; is it the right file?"))
        return content.decode("utf-8-sig")
    except OSError as error:
        mend = "; `ensemble-instruct init` writes one" if isinstance(error, FileNotFoundError) else ""
        raise _Unusable(JobFault("", f"it can't be read: {error.strerror}{mend}")) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Unusable(JobFault("", "it is not UTF-8; save it as such", line)) from None


class _Reading:
    """A YAML text on its way to plain values. `lines` are where its fields stand."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self.lines: dict[str, int] = {}
        self._loader = loader
        self._nodes = 0

    def content(self) -> dict[str, Any]:
        """Its values. Raises `_Unusable`, YAML's own errors, `ValueError` and `RecursionError`."""
        node = self._loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            what = "it is not a mapping" if node else "it is empty"
            raise _Unusable(JobFault("", f"{what}; `ensemble-instruct init` writes a job to edit"))
        faults = list(self._walk(node, ""))
        if faults:
            raise _Unusable(*faults)
        content: dict[str, Any] = self._loader.construct_document(node)
        return content

    def _walk(self, node: yaml.Node, prefix: str) -> Iterator[JobFault]:
        """Note where each field stands; a key that stands twice is a fault, as YAML would keep the last."""
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _Unusable(JobFault("", f"it holds more than {MOST_NODES} keys and values, aliases counted in full"))
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                field = f"{prefix}{name.value}"
                if field in self.lines:
                    yield JobFault(field, f"stands in line {self.lines[field]} already", name.start_mark.line + 1)
                self.lines[field] = name.start_mark.line + 1
                yield from self._walk(value, f"{field}.")
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self.lines[f"{prefix}{index}"] = value.start_mark.line + 1
                yield from self._walk(value, f"{prefix}{index}.")
        else:
            yield from self._unreadable(node, prefix.rstrip("."))

    def _unreadable(self, node: yaml.Node, field: str) -> Iterator[JobFault]:
        """A value that looks like a date or a number, say, and is none."""
        try:
            self._loader.construct_object(node)
        except (ValueError, yaml.YAMLError):
            yield JobFault(field, "YAML can't tell what this is; put it in quotes", node.start_mark.line + 1)


def _line(field: str, lines: Mapping[str, int]) -> int | None:
    """The line of a field, or of the nearest thing around it that the file has."""
    parts = field.split(".")
    found = (lines.get(".".join(parts[:count])) for count in range(len(parts), 0, -1))
    return next((line for line in found if line is not None), None)


def _faults(error: ValidationError, lines: Mapping[str, int]) -> Iterator[JobFault]:
    places = [fault["loc"] for fault in error.errors()]
    for fault in error.errors():
        place = fault["loc"]
        if fault["type"] == "too_short" and any(other[: len(place)] == place != other for other in places):
            continue  # it has items, and they are faulty
        field = ".".join(str(part) for part in place if part != "[key]")
        pattern = fault.get("ctx", {}).get("pattern")
        yield JobFault(field, _message(fault["type"], place, fault["msg"], pattern), _line(field, lines))


def _message(kind: str, place: tuple[int | str, ...], told: str, pattern: str | None) -> str:
    """pydantic's words, or better ones where we know them."""
    if kind == "greater_than_equal" and "targets" in place:
        return "must be 1 or more; to make none of a type, leave it out"
    if pattern == NAME_PATTERN:
        return "a name is of small letters, digits, '-' and '_', begins with a letter or digit, and has 63 at most"
    return {
        "extra_forbidden": "there is no such setting; check its spelling",
        "missing": "is missing",
        "too_short": "name at least one",
    }.get(kind, told.removeprefix("Value error, "))


def _override(content: dict[str, Any], lines: dict[str, int], text: str) -> None:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise OverrideError(text=text, reason="it has no path" if equals else "it has no '='")
    *parents, last = path.split(".")
    place: Any = content
    try:
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        place[int(last) if isinstance(place, list) else last] = yaml.safe_load(value)
    except (yaml.YAMLError, RecursionError):
        raise OverrideError(text=text, reason="the value is not YAML") from None
    except (ValueError, IndexError, TypeError, AttributeError):
        raise OverrideError(text=text, reason="the job has no such place, or the value is malformed") from None
    for field in [field for field in lines if field.startswith(f"{path}.")]:
        del lines[field]
    lines[path] = FROM_SET


def _cross_faults(job: JobSpec) -> Iterator[tuple[str, str]]:
    """What no single field shows: names that lead nowhere, voices that say the same thing twice."""
    yield from _unstorable(job.model_dump(), "")
    unknown = list(_unknown_models(job))
    yield from unknown
    if not unknown:
        yield from _repeated_voices(job)
        yield from _one_vote(job)
    voices = len(job.own_voices) + len(job.outputs)
    if job.consensus.rule is not Rule.NONE and voices < 2:
        yield "outputs", "a consensus needs a voice besides the instance's own; or set consensus.rule: none"
    elif job.consensus.rule is not Rule.NONE and job.consensus.min_candidates > voices:
        yield "consensus.min_candidates", f"the job has only {voices} voices, the instance's own included"


def _unstorable(value: Any, field: str) -> Iterator[tuple[str, str]]:
    """Texts that Postgres refuses."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _unstorable(inner, f"{field}.{name}" if field else str(name))
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from _unstorable(inner, f"{field}.{index}")
    elif isinstance(value, str | Path) and any(each == "\0" or "\ud800" <= each <= "\udfff" for each in str(value)):
        yield field, "holds a NUL or half a surrogate pair, which can't be stored"


def _unknown_models(job: JobSpec) -> Iterator[tuple[str, str]]:
    named = {"instructions.model": job.instructions.model, "instances.model": job.instances.model}
    if job.imported:
        named = {}
    named |= {f"outputs.{index}.model": voice.model for index, voice in enumerate(job.outputs)}
    for field, model in named.items():
        if model not in job.models:
            yield field, f"there is no model '{model}'; models: {', '.join(sorted(job.models))}"


def _one_vote(job: JobSpec) -> Iterator[tuple[str, str]]:
    family = job.terms.one_family
    if family and job.consensus.rule is not Rule.NONE:
        mend = "take `family` from a model, or add a voice of another"
        yield "outputs", f"every voice is of the family '{family}', which has one vote; {mend}"


def _repeated_voices(job: JobSpec) -> Iterator[tuple[str, str]]:
    labels = [voice.label for voice in job.outputs]
    asked = [(voice.model, job.voice_prompt(voice), voice.decoding) for voice in job.outputs]
    for index, voice in enumerate(job.outputs):
        if labels[index] == OWN_VOICE:
            yield (
                f"outputs.{index}",
                f"'{OWN_VOICE}' is what the instance's own output is called; give it another `name`",
            )
        elif labels[index] in job.own_voices or labels[index] in labels[:index]:
            yield f"outputs.{index}", f"the voice '{labels[index]}' speaks twice; give it a `name` of its own"
        elif asked[index] in asked[:index] and not voice.decoding.temperature:  # a sample may differ from another
            mend = "change its prompt, or set a temperature above 0"
            yield f"outputs.{index}", f"asks the same model the same thing as an earlier voice; {mend}"
