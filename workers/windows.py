"""A model's window in this worker: how many calls may be under way, and which stream sends the next.

A call that ends makes room for the next one at once, without a question to the database; what the worker may have
under way is agreed with the other workers every now and then (`shared.store.shares`).
"""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog

from shared.lm.health import EndpointHealth
from shared.lm.protocol import LanguageModel
from shared.method.pace import RENEW_S
from shared.method.tasks import LM_STAGES, Stage
from shared.store import endpoints, shares, work
from shared.store.loading import revision_of
from shared.store.runs import state_of
from shared.store.session import Sessions
from shared.store.tables.runs import RunState
from shared.telemetry.logging import context_without
from shared.telemetry.metrics import Operation
from workers.health_reports import HealthReports
from workers.measuring import Timed

T = TypeVar("T")
log = structlog.get_logger()

RENEW_ALONE_S = 1.0  # and how often while nobody does
ABANDONED = (RunState.CANCELLED, RunState.FAILED)  # nobody waits for the calls of such a run
SAFETY_S = 3.0  # how long before its share expires a worker stops sending calls on it
OTHERS_RETURN_S = 2.0  # for how long a share that ran out may not grow: others' did too, with calls under way


class Caller(Protocol):
    """A stream that has calls of the model to send."""

    queue: str

    @property
    def stage_name(self) -> Stage:
        """The stage whose calls these are."""

    @property
    def held(self) -> int:
        """How many pieces of work it holds that are waiting to be sent or under way."""

    @property
    def feeding(self) -> bool:
        """Whether it will claim more."""

    @property
    def waiting(self) -> bool:
        """Whether a call is ready to be sent."""

    def send_next(self) -> None:
        """Send it."""

    def abort(self) -> None:
        """Break off the calls under way."""

    def wake(self) -> None:
        """There may be work, or another share."""

    def has_room(self) -> None:
        """More calls could be sent than are ready."""


@dataclass
class CallWindow:
    """How many calls of a model this worker may have under way in a run. It belongs to the event loop."""

    sessions: Sessions
    executor: Executor  # in whose threads it agrees with the other workers
    holder: shares.Holder
    revision: int  # of the run's job
    lm: LanguageModel
    slots: int = 0
    in_flight: int = 0
    latency_s: float = 0.0  # of a call, as it is of late
    over: bool = False  # whether the run is not running, or with another job: no more calls for it
    _alone: bool = True  # whether no other worker wants some of the window
    _reports: HealthReports = field(default_factory=HealthReports)
    _callers: list[Caller] = field(default_factory=list)
    _renewing: asyncio.Task[None] | None = None
    _good_until: float = 0.0  # 0 while it has no share
    _may_grow_at: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)  # the last stream has left

    def __post_init__(self) -> None:
        self.lm.when_room(self.fill)

    @property
    def agreed(self) -> bool:
        """Whether it has a share that nobody else may have been given."""
        return time.monotonic() < self._good_until

    @property
    def free(self) -> int:
        """How many more calls may be sent now."""
        return max(0, self._most - self.in_flight)

    @property
    def _most(self) -> int:
        """How many may be under way now: none on a share that others may have been given meanwhile."""
        return min(self.slots, self.lm.capacity) if self.agreed else 0

    @property
    def calls_per_s(self) -> float:
        """How many calls the model answers this worker in a second; 0 while that is unknown."""
        return min(self.slots, self.lm.capacity) / self.latency_s if self.latency_s else 0

    @property
    def _usable(self) -> int:
        """The largest share worth having: what the servers don't take of it may go to others."""
        return self.holder.size if self._alone else min(self.holder.size, self.lm.capacity)

    def took(self, latency_s: float) -> None:
        """A call took this long."""
        self.latency_s += (latency_s - self.latency_s) / (16 if self.latency_s else 1)

    def join(self, caller: Caller) -> None:
        """Have a stream's calls sent from now on."""
        if not self._callers:
            self.over = False  # what it knows of the run is old
        self._callers.append(caller)
        self._callers.sort(key=lambda each: LM_STAGES.index(each.stage_name), reverse=True)  # nearest to the end first
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._keep_renewing(), context=context_without("queue", "stage"))

    def leave(self, caller: Caller) -> None:
        """A stream has ended, its calls too; after the last one the share is given back."""
        self._callers.remove(caller)
        if not self._callers:
            self._changed.set()

    @property
    def is_released(self) -> bool:
        """Whether no stream is left and the share is given back."""
        return self._renewing is None

    async def released(self) -> None:
        """Wait until no stream is left and the share is given back."""
        while self._renewing:
            await asyncio.wait([self._renewing])

    def ended(self) -> None:
        """A call is over: send the next."""
        self.in_flight -= 1
        self.fill()

    def goes_on(self, caller: Caller) -> bool:
        """Whether a stream whose call is over is to send its next one in the same slot."""
        return self.in_flight <= self._most and self._next is caller

    @property
    def _next(self) -> Caller | None:
        """Whose call is sent next: the nearest to the end of the pipeline."""
        return next((each for each in self._callers if each.waiting), None)

    def fill(self) -> None:
        """Send calls while there is room, those nearest to the end of the pipeline first."""
        while self.free:
            caller = self._next
            if caller is None:
                for each in self._callers:
                    each.has_room()
                return
            self.in_flight += 1
            caller.send_next()

    def abort(self) -> None:
        """Break off the calls under way."""
        for each in self._callers:
            each.abort()

    def _wake_all(self) -> None:
        for each in self._callers:
            each.wake()

    async def _keep_renewing(self) -> None:
        while self._renewing:
            while self._callers:
                self._changed.clear()
                pause_s = await self._in_spite_of_errors(self._renew())
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s or RENEW_S):
                        await self._changed.wait()
            self.slots = 0
            await self._in_spite_of_errors(self._give_back())
            if not self._callers:  # none has joined meanwhile
                self._renewing = None

    async def _give_back(self) -> None:
        await asyncio.to_thread(self._release)
        self._good_until = 0.0

    async def _in_spite_of_errors(self, work: Awaitable[T]) -> T | None:
        try:
            return await work
        except Exception:  # whatever it is: without a share no call is sent, so it must be tried again
            log.exception("share not agreed on", model=self.holder.model)
            return None

    async def _renew(self) -> float:
        """Agree with the other workers; returns when to do so again, in seconds."""
        began, had, holding = time.monotonic(), self.slots, max(self.slots, self.in_flight)
        held = [(each.stage_name, each.queue if each.feeding else None, each.held) for each in self._callers]
        lapsed = 0 < self._good_until <= began
        if lapsed:
            self._may_grow_at = began + OTHERS_RETURN_S
        news = self._reports.due(began, self.lm.health())
        state, share = await asyncio.get_running_loop().run_in_executor(
            self.executor, self._agree, held, had, holding, began >= self._may_grow_at, news
        )
        if state is RunState.RUNNING:
            self._reports.told(began, news)
        self._good_until = began + shares.EXPIRES_S - SAFETY_S
        self.over = state is not RunState.RUNNING
        self._alone = share.alone
        changed = share.slots != self.slots or self.over or lapsed
        self.slots = share.slots
        if state in ABANDONED:
            self.abort()
        self.fill()
        if changed:
            self._wake_all()
        return RENEW_ALONE_S if share.alone and share.slots else RENEW_S

    def _agree(
        self,
        held: list[tuple[Stage, str | None, int]],
        had: int,
        holding: int,
        may_grow: bool,
        news: Sequence[EndpointHealth],
    ) -> tuple[RunState | None, shares.Share]:
        """A run that is not running wants nothing, but its calls under way still take their room."""
        holder, wanted = self.holder, dict.fromkeys(LM_STAGES, 0)
        with Timed(Operation.AGREE), self.sessions.begin() as session:
            state = state_of(session, holder.run_id)
            if state is RunState.RUNNING and revision_of(session, holder.run_id) != self.revision:
                state = None  # another job's calls are not ours to make
            if state is RunState.RUNNING:
                endpoints.report(session, holder.run_id, holder.model, holder.worker, news)
                for stage, queue, count in held:
                    due = work.count_due(session, holder.run_id, queue, holder.size) if queue else 0
                    wanted[stage] += count + due
            counts = [min(count, self._usable) for count in wanted.values()]
            agreed = shares.renew(session, holder, wanted=counts, share=had, holding=holding, may_grow=may_grow)
            return state, agreed

    def _release(self) -> None:
        with self.sessions.begin() as session:
            endpoints.report(session, self.holder.run_id, self.holder.model, self.holder.worker, self.lm.health())
            shares.release(session, self.holder)
