"""Files of instructions or complete examples that were made elsewhere: JSONL, or one JSON array as Alpaca's.

A record has an `instruction`, perhaps an `input` and an `output`; or `instances` of these two, as in Self-Instruct's.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from shared.dataset.json_array import read_array
from shared.dataset.jsonl import STDIN, BrokenLineError, Record, UnreadableFileError, read_verbatim
from shared.errors import UserError
from shared.method.tasks import TaskType

EXAMPLE = '{"instruction": "…", "input": "…", "output": "…"}'
_SUSPICIOUS = re.compile(r"\\u(?:0000|[dD][89a-fA-F])|NaN|Infinity")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

Told = Callable[[int], None]
"""Called with the number of things that have just been dealt with."""


class NotAFileError(UserError):
    """{path} is no file that can be read twice, as an import does; save what it holds to one first"""


class NotRecordsError(UserError):
    """{path} is neither a JSON array of records, as Alpaca's file is, nor one JSON object a line: {reason}"""


@dataclass(frozen=True, slots=True)
class Item:
    """An instruction with its input (none is empty) and its output, if there is one.

    It is of the file's record `number`, from 1, which begins in `line`; `part` tells the instances of one apart.
    `text` is the whole record, as it stands there.
    """

    number: int
    line: int
    part: int
    text: str
    instruction: str
    input: str
    output: str | None

    @property
    def task_type(self) -> TaskType:
        """`input_output` when there is an input, else `output_only`."""
        return TaskType.INPUT_OUTPUT if self.input else TaskType.OUTPUT_ONLY


@dataclass(slots=True)
class Contents:
    """What a file holds: its sha256, how many records, how many items of each type, how many of them have an output."""

    sha256: str
    records: int = 0
    items: Counter[TaskType] = field(default_factory=Counter)
    answered: int = 0


def digest(path: Path) -> str:
    """The sha256 of a file. Raises `NotAFileError`, `UnreadableFileError`."""
    if path == STDIN or (path.exists() and not (path.is_file() or path.is_dir())):
        raise NotAFileError(path=path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableFileError(path=path, reason=error.strerror or error) from error


def look_through(path: Path, told: Told = lambda _: None) -> Contents:
    """Read a whole file; `told` is called with the characters of each record. Raises what `items` raises."""
    contents = Contents(digest(path))
    for item in items(path):
        if contents.records < item.number:
            contents.records = item.number
            told(len(item.text) + 1)
        contents.items[item.task_type] += 1
        contents.answered += item.output is not None
    return contents


def items(path: Path) -> Iterator[Item]:
    """What stands in a file, in its order.

    Raises the errors of `shared.dataset.jsonl`, and `NotRecordsError` for JSON that is laid out otherwise.
    """
    number = 0
    try:
        for number, (record, text) in enumerate(_records(path), start=1):
            if _SUSPICIOUS.search(text) and (fault := next(_unstorable(record.fields, ""), None)):
                raise BrokenLineError(path=record.path, line=record.line, fault=fault)
            yield from _items(record, number, text)
    except BrokenLineError as error:
        if number or path.suffix != ".json":
            raise
        raise NotRecordsError(path=path, reason=f"line {error.values['line']} {error.values['fault']}") from None


def _records(path: Path) -> Iterator[tuple[Record, str]]:
    return read_array(path, EXAMPLE) if _first_character(path) == b"[" else read_verbatim(path, EXAMPLE)


def _first_character(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            while line := file.readline(1 << 16):
                if bare := line.removeprefix(b"\xef\xbb\xbf").lstrip():
                    return bare[:1]
    except OSError as error:
        raise UnreadableFileError(path=path, reason=error.strerror or error) from error
    return b""


def _items(record: Record, number: int, text: str) -> Iterator[Item]:
    instruction = record.text("instruction")
    instances = [record.fields]
    if record.fields.get("instances") is not None and not record.fields.keys() & {"input", "output"}:
        instances = _instances(record)
    for part, fields in enumerate(instances):
        place = f"instances.{part}." if fields is not record.fields else ""
        input, output = (_optional(record, fields, name, place) for name in ("input", "output"))
        yield Item(number, record.line, part, text, instruction, input or "", output)


def _instances(record: Record) -> list[dict[str, Any]]:
    given = record.fields["instances"]
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        fault = "instances: has to be a list of objects with input and output"
        raise BrokenLineError(path=record.path, line=record.line, fault=fault)
    return given or [{}]


def _optional(record: Record, fields: dict[str, Any], name: str, place: str) -> str | None:
    """A text; one of white space alone says as little as none."""
    value = fields.get(name)
    if isinstance(value, str):
        return value if value.strip() else None
    if value is None:
        return None
    return Record(record.path, record.line, {f"{place}{name}": value}).text(f"{place}{name}")


def _unstorable(value: Any, place: str) -> Iterator[str]:
    """What a database can't keep, though Python reads it: where it is, and what."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _unstorable(name, place)
            yield from _unstorable(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unstorable(inner, f"{place}.{index}")
    elif isinstance(value, str) and _UNSTORABLE.search(value):
        yield f"{place or 'a name'}: holds a NUL or half a surrogate pair, which can't be stored"
    elif isinstance(value, float) and not isfinite(value):
        yield f"{place}: is not JSON, which has no word for NaN and Infinity"
