"""A file that is one JSON array of records, as Alpaca's is, read record by record: it may be larger than memory."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from shared.dataset.jsonl import BrokenLineError, EmptyFileError, Record, UnreadableFileError, as_object

CHUNK = 1 << 18  # characters read at once
LONGEST = 1 << 24  # characters of one record
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def read_array(path: Path, example: str) -> Iterator[tuple[Record, str]]:
    """The objects of a JSON array in UTF-8, each with its text and the line that it begins in.

    Raises `UnreadableFileError`, `EmptyFileError`, which shows the `example`, and `BrokenLineError`.
    """
    empty = True
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for record in _records(_Ahead(file, str(path))):
                empty = False
                yield record
    except OSError as error:
        raise UnreadableFileError(path=path, reason=error.strerror or error) from error
    if empty:
        raise EmptyFileError(path=path, example=example)


@dataclass
class _Ahead:
    """What was read of a file beyond the `place` up to which it is decoded, which is in line `line`."""

    file: TextIO
    name: str
    text: str = ""
    place: int = 0
    line: int = 1

    def next(self) -> str:
        """The next character that is no space, not yet taken; empty at the end of the file."""
        while True:
            space = _SPACE.match(self.text, self.place)
            self._take(space.end() if space else self.place)
            if self.place < len(self.text) or not self._read():
                return self.text[self.place : self.place + 1]

    def skip(self) -> None:
        """Take one character."""
        self._take(self.place + 1)

    def value(self) -> tuple[Any, str]:
        """Take a value, with its text: as much more is read as it needs."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.place)
            except (ValueError, RecursionError) as error:
                if len(self.text) - self.place > LONGEST or not self._read():
                    raise self.broken(f"is not JSON: {_told(error)}") from error
                continue
            text = self.text[self.place : end]
            self._take(end)
            return value, text

    def broken(self, fault: str) -> BrokenLineError:
        """What is wrong here."""
        return BrokenLineError(path=self.name, line=self.line, fault=fault)

    def _read(self) -> bool:
        """Read on, as much again as there is, so that a long value is not decoded from its start too often."""
        left = self.text[self.place :]
        try:
            more = self.file.read(max(CHUNK, len(left)))
        except UnicodeDecodeError as error:
            raise self.broken("the text from here on is not UTF-8") from error
        self.text, self.place = left + more, 0
        return bool(more)

    def _take(self, end: int) -> None:
        self.line += self.text.count("\n", self.place, end)
        self.place = end


def _records(ahead: _Ahead) -> Iterator[tuple[Record, str]]:
    if ahead.next() != "[":
        raise ahead.broken("has to begin with '[', as an array does")
    ahead.skip()
    closed = ahead.next() == "]"
    while not closed:
        ahead.next()
        line = ahead.line
        value, text = ahead.value()
        yield Record(ahead.name, line, as_object(value, ahead.name, line)), text
        after = ahead.next()
        if after not in (",", "]") or not after:
            raise ahead.broken("a comma or the array's end has to stand here")
        closed = after == "]"
        if not closed:
            ahead.skip()
    ahead.skip()
    if ahead.next():
        raise ahead.broken("something stands after the array's end")


def _told(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)
