"""Candidate outputs of several files, brought together by the instruction and input that they answer."""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from shared.dataset.jsonl import Record, read_records

EXAMPLE = '{"instruction": "…", "input": "…", "output": "…"}'
Question: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Answered:
    """A record of the first file, and the outputs that answer it.

    `files` says which file each of `outputs` is from, by its number; the first is file 0 and always there.
    """

    record: Record
    files: tuple[int, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alignment:
    """All records of the first file in order, and for each file what does not fit to the first.

    `lacking`: how many records of the first it has no output for. `unmatched`: lines that answer no record of the
    first, or one more often than the first asks.
    """

    answered: list[Answered]
    lacking: list[int]
    unmatched: list[list[int]]


def align(paths: Sequence[Path]) -> Alignment:
    """Read JSONL files of `{instruction, input, output}` and align them with the first.

    Records belong together if instruction and input are equal but for white space around them; no input, null and
    the empty text are the same. What is repeated in a file is matched in order of appearance. Other fields are
    left alone. Raises the errors of `shared.dataset.jsonl`.
    """
    first, *others = [list(_answers(path)) for path in paths]
    by_question = [_by_question(answers) for answers in others]
    answered, lacking = [], [0] * len(paths)
    for question, record in first:
        files, outputs = [0], [record.fields["output"]]
        for number, known in enumerate(by_question, start=1):
            if candidates := known.get(question):
                files.append(number)
                outputs.append(candidates.popleft().fields["output"])
            else:
                lacking[number] += 1
        answered.append(Answered(record, tuple(files), tuple(outputs)))
    left = [sorted(record.line for rest in known.values() for record in rest) for known in by_question]
    return Alignment(answered, lacking, [[], *left])


def _answers(path: Path) -> Iterator[tuple[Question, Record]]:
    for record in read_records(path, EXAMPLE):
        record.text("output")
        asked_about = "" if record.fields.get("input") is None else record.text("input")
        yield (record.text("instruction").strip(), asked_about.strip()), record


def _by_question(answers: Sequence[tuple[Question, Record]]) -> dict[Question, deque[Record]]:
    known: defaultdict[Question, deque[Record]] = defaultdict(deque)
    for question, record in answers:
        known[question].append(record)
    return known
