"""Candidate outputs of several files, brought together by the instruction and input that they answer."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from shared.dataset.jsonl import Record, read_records

EXAMPLE = '{"instruction": "…", "input": "…", "output": "…"}'
Question: TypeAlias = tuple[str, str]
T = TypeVar("T")


def question(instruction: str, input: str) -> Question:
    """What answers belong together by: instruction and input, but for white space around them."""
    return instruction.strip(), input.strip()


class Answers(Generic[T]):
    """What a file answers. What is asked more than once in it is given out in order of appearance."""

    def __init__(self, answers: Iterable[tuple[Question, T]]) -> None:
        self._left: defaultdict[Question, deque[T]] = defaultdict(deque)
        for asked, answer in answers:
            self._left[asked].append(answer)
        self.lacking = 0
        """How often it was asked in vain."""

    def to(self, asked: Question) -> T | None:
        """The next answer to a question, if there is one left."""
        if left := self._left.get(asked):
            return left.popleft()
        self.lacking += 1
        return None

    def left(self) -> Iterator[T]:
        """The answers that nobody has asked for."""
        return (answer for answers in self._left.values() for answer in answers)


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
    known = [Answers(answers) for answers in others]
    answered = [_answered(record, [answers.to(asked) for answers in known]) for asked, record in first]
    left = [sorted(record.line for record in answers.left()) for answers in known]
    return Alignment(answered, [0, *(answers.lacking for answers in known)], [[], *left])


def _answered(first: Record, others: Sequence[Record | None]) -> Answered:
    there = [(number, record) for number, record in enumerate([first, *others]) if record]
    return Answered(first, tuple(number for number, _ in there), tuple(record.fields["output"] for _, record in there))


def _answers(path: Path) -> Iterator[tuple[Question, Record]]:
    for record in read_records(path, EXAMPLE):
        record.text("output")
        asked_about = "" if record.fields.get("input") is None else record.text("input")
        yield question(record.text("instruction"), asked_about), record
