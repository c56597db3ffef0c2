"""Evaluation sets that no training example may have words in common with, as people keep them: JSONL or plain text."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.dataset.jsonl import EmptyFileError, UnreadableFileError, read_records
from shared.errors import UserError
from shared.method.ngrams import EvaluationIndex, Overlap

EXAMPLE = '{"question": "…", "answer": "…"}'
JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")
_LINES = 1 << 40  # more than a file has


class NotUtf8Error(UserError):
    """{path}:{line}: is not UTF-8; convert the file or leave it out"""


@dataclass(frozen=True, slots=True)
class EvaluationFile:
    """A file by its name, without its folder, and its content."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class EvaluationSets:
    """Some files, and the index of all their texts."""

    files: tuple[EvaluationFile, ...]
    index: EvaluationIndex

    def told(self, overlap: Overlap) -> dict[str, object]:
        """Where an overlap is, and the words."""
        number, line = divmod(overlap.source, _LINES)
        return {"file": self.files[number].name, "line": line, "ngram": overlap.words}


def read_evaluation_sets(paths: Sequence[Path]) -> EvaluationSets:
    """Read files of JSONL (named so) or of plain text, a text a line.

    Of a JSON object each string counts as a text, at whatever depth. Raises the errors of `shared.dataset.jsonl`, and
    `NotUtf8Error`.
    """
    index = EvaluationIndex()
    files = tuple(_read(path, number, index) for number, path in enumerate(paths))
    return EvaluationSets(files, index)


def _read(path: Path, number: int, index: EvaluationIndex) -> EvaluationFile:
    sha256 = _sha256(path)
    texts = _json_texts(path) if path.suffix.lower() in JSON_SUFFIXES else _lines(path)
    if not sum(index.add(text, number * _LINES + line) for line, text in texts):
        raise EmptyFileError(path=path, example=EXAMPLE)
    return EvaluationFile(path.name, sha256)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableFileError(path=path, reason=error.strerror or error) from error


def _json_texts(path: Path) -> Iterator[tuple[int, str]]:
    for record in read_records(path, EXAMPLE):
        for text in _strings(record.fields):
            yield record.line, text


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                yield text
            case dict(fields):
                waiting += reversed(fields.values())
            case list(items):
                waiting += reversed(items)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise NotUtf8Error(path=path, line=number) from error
