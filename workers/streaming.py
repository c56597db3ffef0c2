"""Keeps a model's window of calls full: claims work as calls end, and writes answers in small batches.

Each call is refilled on its own, never in batches that wait for their slowest. A stream ends when its
queue holds nothing for it, or after a while, so that other queues and runs get their turn.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from shared.lm.errors import LMError
from shared.lm.protocol import Answer, LanguageModel
from shared.queue import names
from shared.queue.hints import publish
from shared.store import work
from shared.store.loading import RunContext
from shared.store.work import Claim, Window
from workers.calls import Outcome, PreparedCall
from workers.runtime import Runtime
from workers.stages import LMStage, give_up_crashed, save

T = TypeVar("T")
log = structlog.get_logger()

BATCH = 32  # answers written at once, at most
FLUSH_S = 0.2  # how long an answer waits for others before it is written, at most
IDLE_S = 0.1  # how often a stream whose model is busy elsewhere looks again
IDLE_LOOKS = 5  # how often in a row, before it leaves its thread to those who have something to do
TURN_S = 30.0  # after which a stream makes room for other runs'
DATABASE_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # how long answers wait for a database that restarts


@dataclass
class Stream:
    """The calls of one stage of one run that one task has under way."""

    runtime: Runtime
    context: RunContext
    stage: LMStage
    queue: str
    model: str
    chance: Random
    calls: set[asyncio.Task[Outcome]] = field(default_factory=set)
    outcomes: list[Outcome] = field(default_factory=list)
    oldest: float = 0.0
    turn_ends: float = 0.0
    claimed: int = 0
    idle_looks: int = 0

    async def run(self) -> None:
        """Work until the queue holds nothing more, the turn is over, or the worker stops.

        One stream of a queue fills its model's whole window, so a second one in this worker leaves at once.
        """
        place = (self.context.run_id, self.queue)
        if place in self.runtime.streaming:
            return
        self.runtime.streaming.add(place)
        try:
            await self._take_turn()
        finally:
            self.runtime.streaming.discard(place)
            self.runtime.draining[self.context.run_id] += 1
            try:
                await self._end()
            finally:
                self.runtime.draining[self.context.run_id] -= 1

    async def _take_turn(self) -> None:
        lm = self.runtime.model(self.context, self.model)
        self.turn_ends = time.monotonic() + TURN_S
        while self._taking() and (await self._refill(lm) or self.calls or self.outcomes or await self._may_get_room()):
            await self._collect()

    def _taking(self) -> bool:
        return time.monotonic() < self.turn_ends and not self.runtime.stopping.is_set()

    async def _refill(self, lm: LanguageModel) -> int:
        free = self.context.job.models[self.model].max_in_flight - len(self.calls)
        if free <= 0:
            return 0
        claims = await self._in_thread(self._claim, free)
        if self.runtime.stopping.is_set():
            await self._in_thread(self._give_back, claims)
            return 0
        prepared = await self._in_thread(self._prepare, claims) if claims else []
        for each in prepared:
            self.calls.add(asyncio.create_task(_call(lm, each)))
        self.claimed += len(claims)
        self.idle_looks = 0 if claims else self.idle_looks
        return len(claims)

    async def _may_get_room(self) -> bool:
        """With nothing to claim: whether that is for want of room alone, and was not so for long."""
        self.idle_looks += 1
        if self.idle_looks > IDLE_LOOKS or not await self._in_thread(self._any_due, self.queue):
            return False
        await asyncio.sleep(IDLE_S)
        return True

    def _claim(self, free: int) -> list[Claim]:
        spec = self.context.job.models[self.model]
        window = Window(self.model, spec.max_in_flight, names.later_queues(self.queue, self.model))
        with self.runtime.sessions.begin() as session:
            return work.claim(
                session,
                self.context.run_id,
                self.queue,
                count=min(free, BATCH),
                lease_s=spec.timeout_s + self.runtime.lease_slack_s,
                worker=self.runtime.worker,
                window=window,
            )

    def _prepare(self, claims: Sequence[Claim]) -> list[PreparedCall]:
        crashed = [each for each in claims if each.crashes >= self.context.job.retry.crashes]
        if crashed:
            give_up_crashed(self.runtime, self.context, self.stage, crashed)
        with self.runtime.sessions() as session:
            return self.stage.prepare(session, self.context, [each for each in claims if each not in crashed])

    async def _collect(self) -> None:
        """Wait for a call to end, then write what is complete or has waited long enough."""
        if self.calls:
            done, self.calls = await asyncio.wait(self.calls, timeout=FLUSH_S, return_when=asyncio.FIRST_COMPLETED)
            if done and not self.outcomes:
                self.oldest = time.monotonic()
            self.outcomes.extend(task.result() for task in done)
        waited = time.monotonic() - self.oldest >= FLUSH_S
        if self.outcomes and (len(self.outcomes) >= BATCH or waited or not self.calls):
            await self._write()

    async def _write(self) -> None:
        """Write answers; a second try is harmless, since what is written holds its lease no more."""
        batch, self.outcomes = self.outcomes, []
        for wait_s in (*DATABASE_WAITS_S, None):
            try:
                return await self._in_thread(save, self.runtime, self.context, self.stage, batch, self.chance)
            except (OperationalError, InterfaceError, TimeoutError) as error:
                if wait_s is None:
                    raise
                log.warning("answers not written, will try again", error=" ".join(str(error).split()))
                await asyncio.sleep(wait_s)

    async def _end(self) -> None:
        """Let others go on at once; let the calls under way come to their end, and write them."""
        try:
            if self.claimed and not self.runtime.stopping.is_set():
                await self._in_thread(self._pass_on)
        finally:
            while self.calls or self.outcomes:
                await self._collect()

    def _give_back(self, claims: Sequence[Claim]) -> None:
        with self.runtime.sessions.begin() as session:
            work.give_back(session, claims)

    def _any_due(self, queue: str) -> bool:
        with self.runtime.sessions() as session:
            return work.any_due(session, self.context.run_id, queue)

    def _pass_on(self) -> None:
        """The room that this stream leaves may be what another queue of its model waits for."""
        waiting = [queue for queue in names.queues_of_model(self.model) if self._any_due(queue)]
        publish(self.runtime.app, self.context.run_id, waiting)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(function, *arguments)


async def _call(lm: LanguageModel, prepared: PreparedCall) -> Outcome:
    started = time.monotonic()
    result: Answer | LMError
    try:
        result = await lm.generate(prepared.call)
    except LMError as error:
        result = error
        log.warning("LM call failed", fault=error.fault, detail=str(error), work_item=str(prepared.claim.id))
    return Outcome(prepared, result, time.monotonic() - started)
