"""The novelty indexes that a worker process keeps in memory, one for each run and task type."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import TypeVar

from sqlalchemy.orm import Session

from shared.method.novelty import NoveltyIndex
from shared.method.tasks import TaskType
from shared.store.gate import accepted_elsewhere, accepted_since
from shared.store.loading import RunContext

PAGE = 10_000  # texts
T = TypeVar("T")


@dataclass
class SyncedIndex:
    """An index, and how many of the run's accepted instructions are in it."""

    index: NoveltyIndex
    synced: int = 0

    def catch_up(self, session: Session, run_id: uuid.UUID, task_type: TaskType) -> None:
        """Add what any worker has accepted meanwhile: all of it, if the caller holds the gate's lock."""
        for page in _pages(accepted_since(session, run_id, task_type, self.synced)):
            self.index.add_all([str(each.id) for each in page], [each.text for each in page])
            self.synced = page[-1].order + 1


@dataclass
class NoveltyIndexes:
    """Indexes by run and task type, each touched by one thread at a time."""

    _indexes: dict[tuple[uuid.UUID, TaskType], SyncedIndex] = field(default_factory=dict)
    _turns: defaultdict[tuple[uuid.UUID, TaskType], Lock] = field(default_factory=lambda: defaultdict(Lock))

    @contextmanager
    def turn(self, run_id: uuid.UUID, task_type: TaskType) -> Iterator[None]:
        """This process's turn at an index, around a transaction; if that fails, the index may hold what was
        never committed, and is dropped before anybody else sees it."""
        key = (run_id, task_type)
        with self._turns[key]:
            try:
                yield
            except BaseException:
                self._indexes.pop(key, None)
                raise

    def current(self, session: Session, context: RunContext, task_type: TaskType) -> SyncedIndex:
        """The index over the type's seeds and accepted instructions, other runs' too if the job says so."""
        key = (context.run_id, task_type)
        if key not in self._indexes:
            index = NoveltyIndex(context.job.instructions.novelty_threshold)
            seeds = context.seeds[task_type]
            index.add_all([seed.key for seed in seeds], [seed.task.instruction for seed in seeds])
            if context.novel_to != ():
                for page in _pages(accepted_elsewhere(session, context.run_id, task_type, context.novel_to)):
                    index.add_all([str(id) for id, _ in page], [text for _, text in page])
            self._indexes[key] = SyncedIndex(index)
        synced = self._indexes[key]
        synced.catch_up(session, context.run_id, task_type)
        return synced

    def forget_all_but(self, run_ids: Collection[uuid.UUID]) -> None:
        """Drop the indexes of all other runs."""
        for key in [key for key in list(self._turns) if key[0] not in run_ids]:
            self._indexes.pop(key, None)
            self._turns.pop(key, None)


def _pages(items: Iterable[T]) -> Iterator[list[T]]:
    left = iter(items)
    while page := list(islice(left, PAGE)):
        yield page
