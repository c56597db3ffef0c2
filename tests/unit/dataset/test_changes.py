"""What another judgement changes, counted."""

import uuid

import pytest

from shared.dataset.changes import SAMPLES_EACH, Change, Changes, Outcome
from shared.method.tasks import TaskType
from shared.store.records import Subject

KEPT, OTHER = Outcome("one", "yes", None), Outcome("two", "no", None)
DISCARDED, ELSEWISE = Outcome(None, None, "low_agreement"), Outcome(None, None, "no_majority")


def a_subject(task_type: TaskType = TaskType.OUTPUT_ONLY) -> Subject:
    return Subject(uuid.uuid4(), task_type, 0, "Say it.", "")


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (KEPT, KEPT, Change.SAME_OUTPUT),
        (KEPT, OTHER, Change.OTHER_OUTPUT),
        (KEPT, DISCARDED, Change.NEWLY_DISCARDED),
        (DISCARDED, KEPT, Change.NEWLY_KEPT),
        (DISCARDED, ELSEWISE, Change.STILL_DISCARDED),
    ],
)
def test_a_change_has_a_name(before: Outcome, after: Outcome, change: Change) -> None:
    changes = Changes()
    changes.add(a_subject(), before, after)
    assert changes.counts == {change: 1}
    sampled = [sample.change for sample in changes.samples]
    assert sampled == ([change] if before.voice != after.voice else [])


def test_a_few_of_each_change_are_kept_to_look_at() -> None:
    changes = Changes()
    for _ in range(100):
        changes.add(a_subject(), KEPT, OTHER)
        changes.add(a_subject(), KEPT, DISCARDED)
    assert [len([each for each in changes.samples if each.change is change]) for change in Change] == [
        0,
        *[SAMPLES_EACH] * 2,
        0,
        0,
    ]


def test_examples_end_at_the_target() -> None:
    changes = Changes()
    for _ in range(3):
        changes.add(a_subject(), DISCARDED, KEPT)
    changes.add(a_subject(TaskType.INPUT_OUTPUT), KEPT, DISCARDED)
    targets = {TaskType.INPUT_OUTPUT: 1, TaskType.OUTPUT_ONLY: 2}
    assert changes.examples(targets) == {TaskType.INPUT_OUTPUT: 0, TaskType.OUTPUT_ONLY: 2}
    assert (changes.wins_before, changes.wins_after) == ({"one": 1}, {"one": 3})
