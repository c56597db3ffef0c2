"""What waits to be written: it goes in batches, a few of them at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from shared.method.pace import BATCH, FLUSH_S, UNWRITTEN, WRITES

T = TypeVar("T")


class BatchWriter(Generic[T]):
    """Answers and errors on their way to the database. It belongs to the event loop.

    `write` writes a batch, and comes back when that is done; `written` is then told, when there is room again. `hurry`
    tells whether what there is should not wait for more: nothing else is under way, or somebody waits for it.
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[None]],
        written: Callable[[Sequence[T]], None],
        hurry: Callable[[], bool],
    ) -> None:
        self._write, self._written, self._hurry = write, written, hurry
        self.waiting: list[T] = []
        self._being_written = 0
        self._room = asyncio.Semaphore(WRITES)
        self._told = asyncio.Event()
        self._enough = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether another call may be sent: what a crash would have repeated is bounded."""
        return len(self.waiting) + self._being_written < UNWRITTEN

    def keep(self, answer: T) -> None:
        """Have an answer written; `look` is to follow when it is known what comes next."""
        self.waiting.append(answer)

    def look(self) -> None:
        """Something has come, or will come no more."""
        self._told.set()
        if self._are_due:
            self._enough.set()

    @property
    def _are_due(self) -> bool:
        return len(self.waiting) >= BATCH or not self.has_room or self._hurry()

    async def write_until(self, over: Callable[[], bool]) -> None:
        """Write what comes, until that is over and all is written."""
        async with asyncio.TaskGroup() as writing:
            while self.waiting or not over():
                self._told.clear()
                if not self.waiting:
                    await self._told.wait()
                    continue
                if not self._are_due:
                    self._enough.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(FLUSH_S):
                            await self._enough.wait()
                await self._room.acquire()
                batch, self.waiting = self.waiting[:BATCH], self.waiting[BATCH:]
                self._being_written += len(batch)
                writing.create_task(self._write_batch(batch))

    async def _write_batch(self, batch: Sequence[T]) -> None:
        try:
            await self._write(batch)
        finally:
            self._being_written -= len(batch)
            self._room.release()
        self._written(batch)
