"""Answers are written in batches, a few at once, and what a crash would cost is bounded."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain

import pytest

from shared.method.pace import BATCH, UNWRITTEN, WRITES
from workers.batch_writer import BatchWriter


class Database:
    """Writes a batch when it is let, and says how much room there was when it was written."""

    def __init__(self) -> None:
        self.begun: list[list[int]] = []
        self.room_after: list[bool] = []
        self.hurry = False
        self.over = False
        self.broken = False
        self.answers = BatchWriter[int](self._write, self._written, lambda: self.hurry)
        self._lets = asyncio.Semaphore(0)

    async def _write(self, batch: Sequence[int]) -> None:
        self.begun.append(list(batch))
        await self._lets.acquire()
        if self.broken:
            raise OSError

    def _written(self, _: Sequence[int]) -> None:
        self.room_after.append(self.answers.has_room)

    async def let(self, batches: int = 1) -> None:
        for _ in range(batches):
            self._lets.release()
        await turns()

    async def keep(self, answers: Iterable[int]) -> None:
        for each in answers:
            self.answers.keep(each)
        await self.look()

    async def look(self) -> None:
        self.answers.look()
        await turns()


async def turns() -> None:
    """Whatever can go on goes on, and hardly any time passes."""
    for _ in range(20):
        await asyncio.sleep(0)


Scene = Callable[[Database], Awaitable[None]]


def play(scene: Scene) -> Database:
    async def run() -> Database:
        database = Database()
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(database.answers.write_until(lambda: database.over))
            await turns()
            await scene(database)
            database.over = database.hurry = True
            await database.look()
            await database.let(99)
        return database

    return asyncio.run(run())


def test_a_few_batches_are_written_at_once_and_the_next_when_one_is_done() -> None:
    begun = []

    async def scene(database: Database) -> None:
        await database.keep(range(UNWRITTEN))
        await database.keep(range(UNWRITTEN, UNWRITTEN + 3))  # of calls that were under way, as no more are sent
        begun.append(list(map(len, database.begun)))
        await database.keep(range(UNWRITTEN + 3, UNWRITTEN + 5))
        begun.append(list(map(len, database.begun)))
        await database.let()
        begun.append(list(map(len, database.begun)))

    database = play(scene)
    assert WRITES == 3
    assert begun == [[BATCH, BATCH, 3], [BATCH, BATCH, 3], [BATCH, BATCH, 3, 2]]
    assert list(chain.from_iterable(database.begun)) == list(range(UNWRITTEN + 5))


def test_there_is_room_until_a_crash_would_cost_too_much_and_again_when_a_batch_is_written() -> None:
    room = []

    async def scene(database: Database) -> None:
        await database.keep(range(UNWRITTEN - 1))
        room.append(database.answers.has_room)
        await database.keep([0])
        room.append(database.answers.has_room)
        await database.let()

    assert play(scene).room_after[0]
    assert room == [True, False]


def test_a_few_answers_wait_for_others_unless_there_is_a_hurry() -> None:
    async def scene(database: Database) -> None:
        await database.keep(range(3))
        assert not database.begun
        database.hurry = True
        await database.look()
        assert database.begun == [[0, 1, 2]]

    play(scene)


def test_a_few_answers_are_written_after_a_while_though_nothing_hurries_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.batch_writer.FLUSH_S", 0.01)

    async def scene(database: Database) -> None:
        await database.keep(range(3))
        while not database.begun:
            await asyncio.sleep(0.005)

    assert play(scene).begun == [[0, 1, 2]]


def test_nothing_is_left_behind_when_no_more_will_come() -> None:
    async def scene(database: Database) -> None:
        await database.keep(range(BATCH + 3))
        assert len(database.begun) == 1

    assert play(scene).begun[1] == [BATCH, BATCH + 1, BATCH + 2]


def test_what_can_not_be_written_ends_it() -> None:
    async def scene(database: Database) -> None:
        database.broken = True
        await database.keep(range(BATCH))
        await database.let()

    with pytest.raises(ExceptionGroup) as raised:
        play(scene)
    assert raised.group_contains(OSError)
