"""Seed tasks in Self-Instruct's record format: one JSON object a line.

`{"id", "name", "instruction", "instances": [{"input", "output"}, …], "is_classification"}`; other keys
are allowed, since other seed files have them. Source: `seed_tasks.jsonl` of Self-Instruct.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.errors import UserError
from shared.method.tasks import SeedInstance, SeedTask


@dataclass(frozen=True, slots=True)
class SeedFault:
    """What is wrong with a seed file: the line, from 1; the field, empty for the whole line; what."""

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        """As a person reads it."""
        return f"line {self.line}: {self.field + ': ' if self.field else ''}{self.message}"


class SeedFileError(UserError):
    """{path} is not a file of seed tasks:"""

    def __init__(self, path: str, faults: Sequence[SeedFault]) -> None:
        self.faults = tuple(faults)
        super().__init__(path=path)

    def __str__(self) -> str:
        """One line for each fault."""
        return "\n".join([super().__str__(), *(f"  {fault}" for fault in self.faults)])


def _storable(text: str) -> str:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds a NUL or half a surrogate pair, which a database can't store")
    return text


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


Text = Annotated[str, AfterValidator(_storable)]
FilledText = Annotated[Text, AfterValidator(_filled)]


class _Instance(BaseModel):
    model_config = ConfigDict(strict=True)

    input: Text
    output: FilledText


class _Record(BaseModel):
    model_config = ConfigDict(strict=True)

    id: FilledText
    name: Text
    instruction: FilledText
    instances: list[_Instance] = Field(min_length=1)
    is_classification: bool

    @field_validator("instances")
    @classmethod
    def _one_task_type(cls, instances: list[_Instance]) -> list[_Instance]:
        if len({bool(instance.input.strip()) for instance in instances}) > 1:
            raise ValueError("either all have an input or none has")
        return instances

    def task(self) -> SeedTask:
        instances = tuple(SeedInstance(one.input.strip(), one.output.strip()) for one in self.instances)
        return SeedTask(self.id, self.name, self.instruction.strip(), instances, self.is_classification)


def parse_seeds(lines: Iterable[str], path: str = "the text") -> list[SeedTask]:
    """The seed tasks of `lines`, in order, outer white space stripped from their texts.

    Blank lines are skipped. Raises `SeedFileError` with every fault there is.
    """
    tasks, faults = _read(lines)
    if faults:
        raise SeedFileError(path, faults)
    return tasks


def seed_faults(lines: Iterable[str]) -> list[SeedFault]:
    """Every fault of `lines`, in order; none when `parse_seeds` would take them."""
    return _read(lines)[1]


def seed_digest(tasks: Iterable[SeedTask]) -> str:
    """The sha256 of what the tasks say, in their order, however the file wrote it."""
    canonical = json.dumps([asdict(task) for task in tasks], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read(lines: Iterable[str]) -> tuple[list[SeedTask], list[SeedFault]]:
    tasks: list[SeedTask] = []
    faults: list[SeedFault] = []
    first_lines: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            faults.append(SeedFault(number, "", f"is not JSON: {error}"))
            continue
        faults.extend(_repeated_id(record, number, first_lines))
        try:
            tasks.append(_Record.model_validate(record).task())
        except ValidationError as error:
            faults.extend(_faults_of(error, number))
    if not tasks and not faults:
        faults.append(SeedFault(1, "", "there is no seed task"))
    return tasks, faults


def _repeated_id(record: object, line: int, first_lines: dict[str, int]) -> Iterator[SeedFault]:
    id = record.get("id") if isinstance(record, dict) else None
    if isinstance(id, str) and (first := first_lines.setdefault(id, line)) != line:
        yield SeedFault(line, "id", f"'{id}' is taken by line {first}")


def _faults_of(error: ValidationError, line: int) -> Iterator[SeedFault]:
    for fault in error.errors():
        field = ".".join(map(str, fault["loc"]))
        message = "has to be a JSON object" if fault["type"] == "model_type" else fault["msg"]
        yield SeedFault(line, field, message.removeprefix("Value error, "))
