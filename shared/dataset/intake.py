"""Turning what stands in imported files into records: decided on one by one, and written by the thousand."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from shared.dataset.imported_files import Item
from shared.dataset.row_writer import RowWriter
from shared.job import JobSpec
from shared.method.filters import (
    Rejection,
    input_rejection,
    instance_rejection,
    instruction_rejection,
    output_rejection,
)
from shared.method.novelty import NoveltyIndex
from shared.method.tasks import TaskType
from shared.store.judgements import example_row, verdict_row
from shared.store.keys import key, position
from shared.store.new_records import NewCandidate, NewExample, NewInstance, NewInstruction, NewOrigin, NewVerdict
from shared.store.records import Subject
from shared.store.tables.records import RecordState

BATCH = 2000  # items
SIMILAR = 10

Known: TypeAlias = Callable[[TaskType], Iterable[tuple[uuid.UUID, str]]]
IN_ORDER = (
    NewOrigin,
    NewInstruction,
    NewInstance,
    NewCandidate,
    NewVerdict,
    NewExample,
)  # each refers to those before it


class Missing(StrEnum):
    """Why a voice of an imported file has no output for an instance."""

    NO_OUTPUT = "no_output"  # the record has none
    NOT_IN_FILE = "not_in_file"  # the file has no such record


@dataclass(frozen=True, slots=True)
class Answer:
    """What a further file says to an instance: its record's key and line, and the output, if that has one."""

    origin_id: uuid.UUID
    line: int
    output: str | None


@dataclass(slots=True)
class Counts:
    """What came of the items so far: by task type, and what was left out by reason.

    Of the `accepted` instructions, some are `concluded` with a verdict or a rejected instance.
    """

    accepted: Counter[TaskType] = field(default_factory=Counter)
    concluded: Counter[TaskType] = field(default_factory=Counter)
    examples: Counter[TaskType] = field(default_factory=Counter)
    unanswered: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    discarded: Counter[str] = field(default_factory=Counter)


class Intake:
    """Takes items in, in their order, into a run whose own judgement is by its job's terms."""

    def __init__(self, writer: RowWriter, run_id: uuid.UUID, job: JobSpec, known: Known) -> None:
        """`known` tells the keys and texts of a type that other runs hold, if there are any to be novel to."""
        self._writer, self._run_id, self._job, self._known = writer, run_id, job, known
        self._terms, self._voices = job.terms, list(job.voices)
        self._filtered = job.imported is not None and job.imported.filtered
        self._indexes: dict[TaskType, NoveltyIndex] = {}
        self._last: tuple[uuid.UUID, int] | None = None
        self._taken = 0
        self.counts = Counts()

    def origin(self, file_id: uuid.UUID, item: Item) -> uuid.UUID:
        """The key of the record that an item stands in, which is written with the first of its items."""
        id = key("origin", file_id, item.number)
        if self._last != (file_id, item.number):
            self._last = (file_id, item.number)
            if self._writer.count(NewOrigin) >= BATCH:
                self._writer.flush()
            self._writer.add(NewOrigin(id=id, file_id=file_id, number=item.number, line=item.line, record=item.text))
        return id

    def take(self, file_id: uuid.UUID, item: Item, answers: Sequence[Answer | None]) -> None:
        """An item of the first file, with what each further file says to it."""
        own = Answer(self.origin(file_id, item), item.line, item.output)
        instruction = self._instruction(own.origin_id, item)
        self._taken += 1
        if self._is_rejected(instruction):
            return
        self.counts.accepted[item.task_type] += 1
        instance = self._instance(own.origin_id, instruction, item)
        self.counts.concluded[item.task_type] += 1
        if self._is_rejected(instance):
            return
        candidates = [self._candidate(instance.id, number, each, item) for number, each in enumerate([own, *answers])]
        for candidate in candidates:
            self._writer.add(candidate)
        subject = Subject(instance.id, item.task_type, instruction.position, item.instruction, item.input)
        self._judge(subject, [each for each in candidates if each.reason is None])

    def _is_rejected(self, record: NewInstruction | NewInstance) -> bool:
        """Have a record written; whether it goes no further."""
        record.state = _state(record.reason)
        self._writer.add(record)
        self.counts.rejected.update([record.reason] if record.reason else [])
        return record.reason is not None

    def _instruction(self, origin_id: uuid.UUID, item: Item) -> NewInstruction:
        record = NewInstruction(
            id=key("instruction", origin_id, item.part),
            run_id=self._run_id,
            task_type=item.task_type,
            position=position(self._taken),
            generation_id=None,
            origin_id=origin_id,
            text=item.instruction,
            reason=self._instruction_rejection(item.instruction),
        )
        if record.reason is None and self._job.instructions.novelty_threshold < 1:
            self._compare(record)
        if record.reason is None:
            record.accepted_order = self.counts.accepted[item.task_type]
        return record

    def _instruction_rejection(self, text: str) -> Rejection | None:
        if self._filtered:
            return instruction_rejection(text, self._job.instructions.limits)
        return None if text.strip() else Rejection.EMPTY_INSTRUCTION

    def _compare(self, record: NewInstruction) -> None:
        index = self._indexes.get(record.task_type) or self._index(record.task_type)
        novelty = index.assess(record.text, SIMILAR)
        record.max_similarity = novelty.max_similarity
        record.most_similar = [{"id": match.key, "score": match.score} for match in novelty.most_similar]
        if novelty.accepted:
            index.add(str(record.id), record.text)
        else:
            record.reason = Rejection.NOT_NOVEL

    def _index(self, task_type: TaskType) -> NoveltyIndex:
        index = self._indexes[task_type] = NoveltyIndex(self._job.instructions.novelty_threshold)
        self._writer.settle()
        for id, text in self._known(task_type):
            index.add(str(id), text)
        return index

    def _instance(self, origin_id: uuid.UUID, instruction: NewInstruction, item: Item) -> NewInstance:
        return NewInstance(
            id=key("instance", instruction.id),
            run_id=self._run_id,
            task_type=item.task_type,
            instruction_id=instruction.id,
            generation_id=None,
            origin_id=origin_id,
            input=item.input,
            reason=self._instance_rejection(item) if self._filtered else None,
        )

    def _instance_rejection(self, item: Item) -> Rejection | None:
        limits = self._job.instances.limits
        if item.output is not None:
            return instance_rejection(item.instruction, item.input, item.output, item.task_type, limits)
        return input_rejection(item.instruction, item.input, limits) if item.input else None

    def _candidate(self, instance_id: uuid.UUID, number: int, answer: Answer | None, item: Item) -> NewCandidate:
        reason = self._output_rejection(answer, item)
        return NewCandidate(
            id=key("candidate", instance_id, number),
            run_id=self._run_id,
            instance_id=instance_id,
            number=number,
            voice=self._voices[number],
            generation_id=None,
            origin_id=answer.origin_id if answer else None,
            output=answer.output if answer else None,
            state=_state(reason),
            reason=reason,
        )

    def _output_rejection(self, answer: Answer | None, item: Item) -> Rejection | Missing | None:
        if answer is None:
            return Missing.NOT_IN_FILE
        if answer.output is None:
            return Missing.NO_OUTPUT
        if not self._filtered:
            return None
        return output_rejection(item.instruction, item.input, answer.output, self._job.instances.limits)

    def _judge(self, subject: Subject, compared: Sequence[NewCandidate]) -> None:
        decided = self._terms.judge([each.voice for each in compared], [each.output or "" for each in compared])
        verdict = verdict_row(self._run_id, 0, subject.instance_id, compared, decided, decided.reason)
        self._writer.add(verdict)
        if decided.choice is not None:
            self._writer.add(example_row(verdict, subject, compared, surplus=False))
            self.counts.examples[subject.task_type] += 1
        elif compared:
            self.counts.discarded.update([decided.reason] if decided.reason else [])
        else:
            self.counts.unanswered += 1


def _state(reason: str | None) -> RecordState:
    return RecordState.REJECTED if reason else RecordState.ACCEPTED
