"""What another judgement changes: counted instance by instance, with a few of them to look at."""

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.method.tasks import TaskType
from shared.store.records import Subject

SAMPLES_EACH = 3


class Change(StrEnum):
    """What became of an instance's verdict."""

    SAME_OUTPUT = "same_output"
    OTHER_OUTPUT = "other_output"
    NEWLY_DISCARDED = "newly_discarded"
    NEWLY_KEPT = "newly_kept"
    STILL_DISCARDED = "still_discarded"


SHOWN = (Change.OTHER_OUTPUT, Change.NEWLY_DISCARDED, Change.NEWLY_KEPT)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One verdict on an instance: whose output was kept, or for what reason none was."""

    voice: str | None
    output: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Sample:
    """An instance whose verdict changed."""

    change: Change
    instance_id: uuid.UUID
    instruction: str
    input: str
    before: Outcome
    after: Outcome


@dataclass(slots=True)
class Changes:
    """What a judgement changes of the run's own: instances by change, kept outputs by voice and by type.

    Retracted instances are discarded; of others, `retracted_outputs` had no part in the decision.
    """

    instances: int = 0
    counts: Counter[Change] = field(default_factory=Counter)
    wins_before: Counter[str] = field(default_factory=Counter)
    wins_after: Counter[str] = field(default_factory=Counter)
    kept: Counter[TaskType] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    retracted_instances: int = 0
    retracted_outputs: int = 0

    def add(self, subject: Subject, before: Outcome, after: Outcome) -> None:
        """Count one instance."""
        change = _change(before, after)
        self.instances += 1
        self.counts[change] += 1
        self.wins_before.update([before.voice] if before.voice else [])
        self.wins_after.update([after.voice] if after.voice else [])
        self.kept.update([subject.task_type] if after.voice else [])
        if change in SHOWN and self.counts[change] <= SAMPLES_EACH:
            texts = (subject.instruction, subject.input)
            self.samples.append(Sample(change, subject.instance_id, *texts, before, after))

    def examples(self, targets: Mapping[TaskType, int]) -> dict[TaskType, int]:
        """How many examples there are now of each type, those past the target left out."""
        return {task_type: min(self.kept[task_type], target) for task_type, target in targets.items()}


def _change(before: Outcome, after: Outcome) -> Change:
    if before.voice and after.voice:
        return Change.SAME_OUTPUT if before.voice == after.voice else Change.OTHER_OUTPUT
    if before.voice:
        return Change.NEWLY_DISCARDED
    return Change.NEWLY_KEPT if after.voice else Change.STILL_DISCARDED
