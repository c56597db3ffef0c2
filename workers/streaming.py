"""Keeps a model's window of calls full: claims work as calls end, and writes answers in small batches.

Each call is refilled on its own, never in batches that wait for their slowest. A stream ends when its
queue holds nothing more, or after a while, so that other runs get their turn.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import structlog

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
TURN_S = 30.0  # after which a stream makes room for other runs'


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

    async def run(self) -> None:
        """Work until the queue holds nothing more, the turn is over, or the worker stops."""
        lm = self.runtime.model(self.context, self.model)
        turn_ends = time.monotonic() + TURN_S
        try:
            while True:
                taking = time.monotonic() < turn_ends and not self.runtime.stopping.is_set()
                claimed = await self._refill(lm) if taking else 0
                if not self.calls and not self.outcomes and not claimed:
                    if not taking or not await self._in_thread(self._any_due):
                        break
                    await asyncio.sleep(IDLE_S)
                await self._collect()
        finally:
            await self._end()
        if not self.runtime.stopping.is_set():
            await self._in_thread(self._pass_on)

    async def _refill(self, lm: LanguageModel) -> int:
        free = self.context.job.models[self.model].max_in_flight - len(self.calls)
        if free <= 0:
            return 0
        claims = await self._in_thread(self._claim, free)
        prepared = await self._in_thread(self._prepare, claims) if claims else []
        for each in prepared:
            self.calls.add(asyncio.create_task(_call(lm, each)))
        return len(claims)

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
        batch, self.outcomes = self.outcomes, []
        await self._in_thread(save, self.runtime, self.context, self.stage, batch, self.chance)

    async def _end(self) -> None:
        """Let the calls under way come to their end, and write them."""
        if self.calls:
            done, _ = await asyncio.wait(self.calls)
            self.outcomes.extend(task.result() for task in done)
        if self.outcomes:
            await self._write()

    def _any_due(self) -> bool:
        with self.runtime.sessions() as session:
            return work.any_due(session, self.context.run_id, self.queue)

    def _pass_on(self) -> None:
        if self._any_due():
            publish(self.runtime.app, self.context.run_id, [self.queue])

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
