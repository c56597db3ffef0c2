"""Files of one JSON object a line, as people bring them."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from shared.errors import UserError

STDIN = Path("-")
_SHORT = 900  # bytes
_GZIP = b"\x1f\x8b"
JSON_NAMES = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object"}


class UnreadableFileError(UserError):
    """{path} can't be read: {reason}"""


class EmptyFileError(UserError):
    """{path} holds no record; write one JSON object a line, such as {example}"""


class CompressedFileError(UserError):
    """{path} is compressed by gzip; unpack it first (gzip -dc)"""


class ArrayFileError(UserError):
    """{path} holds a JSON array; write one object a line (jq -c '.[]' makes them of an array of objects)"""


class BrokenLineError(UserError):
    """{path}:{line}: {fault}; mend the line or leave it out"""


class MissingFieldError(UserError):
    """{path}:{line}: there is no field {field!r}, only {fields}; {mend}"""


class FieldTypeError(UserError):
    """{path}:{line}: {field}: has to be a text, not {found}; mend the line or leave it out"""


@dataclass(frozen=True, slots=True)
class Record:
    """A line's object, and where it is; lines count from 1."""

    path: str
    line: int
    fields: dict[str, Any]

    def text(self, field: str, mend: str = "mend the line or leave it out") -> str:
        """A field's text. Raises `MissingFieldError`, `FieldTypeError`."""
        value = self.fields.get(field)
        if isinstance(value, str):
            return value
        if field not in self.fields:
            fields = ", ".join(map(repr, self.fields)) or "an empty object"
            raise MissingFieldError(path=self.path, line=self.line, field=field, fields=fields, mend=mend)
        found = JSON_NAMES.get(type(value), "null")
        raise FieldTypeError(path=self.path, line=self.line, field=field, found=found)


def read_records(path: Path, example: str) -> Iterator[Record]:
    """The records of a JSONL file in UTF-8, read as they are asked for; `-` is stdin. Blank lines are skipped.

    Raises `UnreadableFileError`, `CompressedFileError`, `ArrayFileError`, `EmptyFileError`, which shows the `example`,
    and `BrokenLineError`.
    """
    return (record for record, _ in read_verbatim(path, example))


def read_verbatim(path: Path, example: str) -> Iterator[tuple[Record, str]]:
    """The same, each record with the text of its line."""
    name = "stdin" if path == STDIN else str(path)
    empty = True
    for number, line in enumerate(_lines(path, name), start=1):
        if not line.isspace():
            text = _text(line, name, number)
            value = _value(text, name, number, first=empty)
            empty = False
            yield Record(name, number, as_object(value, name, number)), text.strip()
    if empty:
        raise EmptyFileError(path=name, example=example)


def read_texts(path: Path, field: str, mend: str) -> Iterator[tuple[int, str]]:
    """The number of each record's line, and its text in `field`, as `read_records` and `Record.text` give them."""
    name = "stdin" if path == STDIN else str(path)
    empty = True
    for number, line in enumerate(_lines(path, name), start=1):
        text = _quickly_read(line, field) if number > 1 else None
        if text is None:
            if line.isspace():
                continue
            value = _value(_text(line, name, number), name, number, first=empty)
            text = Record(name, number, as_object(value, name, number)).text(field, mend)
        empty = False
        yield number, text
    if empty:
        raise EmptyFileError(path=name, example=f'{{"{field}": "…"}}')


def _quickly_read(line: bytes, field: str) -> str | None:
    """A field's text if orjson finds one; where it finds none, `json` may still, or knows why not.

    What orjson takes and `json` does not, nests too deeply or has too many digits, and is long.
    """
    if len(line) > _SHORT:
        return None
    try:
        text = orjson.loads(line)[field]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return text if isinstance(text, str) else None


def _lines(path: Path, name: str) -> Iterator[bytes]:
    try:
        with nullcontext(sys.stdin.buffer) if path == STDIN else path.open("rb") as file:
            for number, line in enumerate(file):  # only a line feed ends one: JSON text may hold other separators
                if number == 0 and line.startswith(_GZIP):
                    raise CompressedFileError(path=name)
                yield line
    except OSError as error:
        raise UnreadableFileError(path=name, reason=error.strerror or error) from error


def _text(line: bytes, name: str, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise BrokenLineError(path=name, line=number, fault="is not UTF-8") from error


def _value(text: str, name: str, number: int, *, first: bool) -> Any:
    is_array = first and text.lstrip().startswith("[")
    try:
        value = json.loads(text.rstrip("\r\n"))
    except json.JSONDecodeError as error:
        if is_array:
            raise ArrayFileError(path=name) from None
        fault = f"is not JSON: {error.msg} at column {error.colno}"
        raise BrokenLineError(path=name, line=number, fault=fault) from error
    except (ValueError, RecursionError) as error:
        raise BrokenLineError(path=name, line=number, fault=f"is not JSON: {error}") from error
    if is_array:
        raise ArrayFileError(path=name)
    return value


def as_object(value: Any, name: str, number: int) -> dict[str, Any]:
    """A value in line `number` of a file, which has to be an object. Raises `BrokenLineError`."""
    if not isinstance(value, dict):
        fault = f"has to be a JSON object, not {JSON_NAMES.get(type(value), 'a text' if value else 'null')}"
        raise BrokenLineError(path=name, line=number, fault=fault)
    return value
