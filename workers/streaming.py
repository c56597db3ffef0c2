"""Keeps a model's window of calls full: claims work before it is needed, and writes answers in batches.

Three things go on at once, and none waits for another: work is claimed and rendered ahead, each call that ends is
followed by the next (`workers.windows`), and answers are written some dozens at a time. A stream ends when its
queue holds nothing for it, or when other runs wait for their turn.
"""

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar, cast

from shared.lm.protocol import Answer, LanguageModel
from shared.method.pace import appetite, calls_ahead
from shared.method.tasks import Stage
from shared.queue import names
from shared.store import budgets, sweeping, work
from shared.store.loading import RunContext
from shared.store.work import Claim
from shared.telemetry.metrics import Operation
from workers.batch_writer import BatchWriter
from workers.calls import Outcome, PreparedCall
from workers.measuring import Timed
from workers.patience import patiently
from workers.preparing import prepare_all
from workers.runtime import Runtime
from workers.sending import send
from workers.stages import LMStage, save
from workers.windows import CallWindow

T = TypeVar("T")

LOOK_S = 0.5  # how often a stream looks for work that nobody told it of
LOOK_HUNGRILY_S = 0.1  # and how often while it has room for calls
LOOK_AGAIN_S = 0.02  # how soon it looks again at most
WAIT_FOR_ROOM_S = 20.0  # how long it waits for room in a window that others fill, before it leaves its thread
TURN_S = 30.0  # after which a stream makes room for other runs', if there are any


@dataclass
class Stream:
    """The calls of one stage of one run that this process has under way."""

    runtime: Runtime
    context: RunContext
    stage: LMStage
    queue: str
    model: str
    chance: Random
    linger_s: float = 0  # how long to wait for work when there is none, before it leaves its thread to others
    window: CallWindow = field(init=False)
    lm: LanguageModel = field(init=False)
    _logged: Context = field(default_factory=copy_context)  # what lines tell of it, whoever has a call of it sent
    _ready: deque[tuple[float, PreparedCall]] = field(default_factory=deque)  # and when it was claimed
    _calls: dict[asyncio.Task[None], Claim] = field(default_factory=dict)  # by the slot that they are sent in
    _aborted: list[Claim] = field(default_factory=list)
    _answers: BatchWriter[Outcome] = field(init=False)
    _claimed: int = 0
    _suspect: uuid.UUID | None = None  # work held that may be what makes workers vanish
    _leaving: bool = False
    _dry: bool = False  # its queue held less than it asked for, and nobody told of more since
    _feeding: bool = True
    _look: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._answers = BatchWriter(self._write, self._written, self._are_wanted)

    async def run(self) -> None:
        """Work until the queue holds nothing more, others wait for their turn, or the worker stops.

        One stream of a queue fills its model's whole window, so a second one in this process leaves at once.
        """
        place = (self.context.run_id, self.queue)
        if place in self.runtime.streams:
            return self.runtime.streams[place].wake()
        self.lm = self.runtime.model(self.context, self.model)
        self.window = self.runtime.window(self.context, self.model)
        self.runtime.streams[place] = self
        self.window.join(self)
        self.runtime.streaming[self.context.run_id] += 1
        try:
            async with asyncio.TaskGroup() as writing:
                writing.create_task(self._answers.write_until(self._is_over))
                try:
                    await self._feed()
                finally:
                    del self.runtime.streams[place]
                    await self._stop_feeding()
            if self._aborted:
                await self._patiently(self._return_tried, self._aborted)
            await self._patiently(self._drop_stragglers)  # whose transaction met the run's end halfway
        finally:
            for call in self._calls:
                call.cancel()
            self.runtime.suspecting.release(self)
            self.window.leave(self)
            self.runtime.streaming[self.context.run_id] -= 1

    @property
    def stage_name(self) -> Stage:
        """The stage whose calls these are."""
        return self.stage.name

    @property
    def held(self) -> int:
        """How many pieces of work are waiting to be sent or under way."""
        return len(self._ready) + len(self._calls)

    @property
    def feeding(self) -> bool:
        """Whether it will claim more."""
        return not (self._leaving or self.runtime.stopping.is_set())

    @property
    def waiting(self) -> bool:
        """Whether a call may be sent now."""
        return bool(self._ready) and self._answers.has_room and not self.runtime.stopping.is_set()

    def send_next(self) -> None:
        """Send the call that has waited longest."""
        prepared = self._next()
        # A copy for each slot: a client keeps what belongs to its call in the context, too.
        slot = asyncio.create_task(self._make_calls(prepared), context=self._logged.copy())
        self._calls[slot] = prepared.claim
        slot.add_done_callback(self._ended)

    def _next(self) -> PreparedCall:
        _, prepared = self._ready.popleft()
        if not self._dry and len(self._ready) <= self._ahead() // 2:
            self._look.set()
        return prepared

    def abort(self) -> None:
        """Break off the calls under way: a server stops writing when its client leaves. Their work is given back."""
        for call, claim in self._calls.items():
            if call.cancel():
                self._aborted.append(claim)

    def wake(self) -> None:
        """There may be work."""
        self._dry = False
        self._look.set()

    def has_room(self) -> None:
        """Look again at how much work is worth claiming, unless there was none a moment ago."""
        if not self._dry:
            self._look.set()

    async def _make_calls(self, prepared: PreparedCall) -> None:
        """Make a call, and then the next in its place, as long as the window has it so.

        A new task for each would leave the slot idle for two more turns of the loop, and a busy interpreter has some
        milliseconds go by in each.
        """
        slot = cast(asyncio.Task[None], asyncio.current_task())
        while True:
            outcome = await send(self.lm, prepared)
            self._answers.keep(outcome)
            if isinstance(outcome.result, Answer):
                self.window.took(outcome.latency_s)
            if not self.window.goes_on(self):
                break
            prepared = self._next()
            self._calls[slot] = prepared.claim
            self.window.fill()
            self._answers.look()
        del self._calls[slot]
        self.window.ended()
        self._answers.look()

    def _ended(self, slot: asyncio.Task[None]) -> None:
        if self._calls.pop(slot, None):  # its call was broken off
            self.window.ended()
            self._answers.look()

    async def _feed(self) -> None:
        """Claim and render work before it is needed."""
        turn_ends = time.monotonic() + TURN_S
        busy = time.monotonic()  # when it last had something to do
        while not (self.runtime.stopping.is_set() or self.window.over):
            if time.monotonic() >= turn_ends:
                if await self._patiently(self._do_others_wait):
                    return
                turn_ends = time.monotonic() + TURN_S
            self._look.clear()
            wanted = self._appetite()
            if wanted:
                self._dry = True  # unless somebody tells of work in the meantime
                if await self._refill(wanted) == wanted:
                    self._dry = False
                    continue
            if self.held or self._answers.waiting:
                busy = time.monotonic()
            elif await self._has_waited(time.monotonic() - busy):
                return
            await asyncio.sleep(LOOK_AGAIN_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_HUNGRILY_S if self.window.free else LOOK_S):
                    await self._look.wait()
            # With every server away nothing is kept from other workers, who may see it otherwise.
            keeps_s = 0 if self.lm.away else self.runtime.lease_slack_s / 2
            await self._give_back(before=time.monotonic() - keeps_s)

    async def _has_waited(self, idle_s: float) -> bool:
        """Whether a stream with nothing to do has waited long enough for work, or for room to do it."""
        if idle_s < self.linger_s:
            return False
        return idle_s >= WAIT_FOR_ROOM_S or not await self._patiently(self._is_due, self.queue)

    def _ahead(self) -> int:
        return calls_ahead(self.window.calls_per_s)

    def _appetite(self) -> int:
        """How much work to claim now."""
        if not self.window.slots:
            return 0
        return appetite(self.window.free, 0 if self.lm.away else self._ahead(), len(self._ready))

    async def _refill(self, wanted: int) -> int:
        now = time.monotonic()
        may_suspect = self.runtime.suspecting.take(self)
        prepared: list[PreparedCall] = []
        try:
            claims = await self._patiently(self._claim, wanted, self.lm.away, may_suspect)
            if claims:
                prepared = await self._patiently(prepare_all, self.runtime, self.context, self.stage, claims)
        finally:
            if may_suspect:
                self._suspect = next((each.claim.id for each in prepared if each.claim.suspect), None)
                if self._suspect is None:
                    self.runtime.suspecting.release(self)
        self._ready.extend((now, each) for each in prepared)
        self._claimed += len(claims)
        self.window.fill()
        return len(claims)

    async def _stop_feeding(self) -> None:
        """Give back what was not begun, and let others go on at once; the calls under way come to their end."""
        self._leaving = True
        try:
            await self._give_back(before=time.monotonic())
            if self._claimed and not self.runtime.stopping.is_set():
                await self._patiently(self._pass_on)
        finally:
            self._feeding = False
            self._answers.look()

    async def _give_back(self, before: float) -> None:
        """Return what was claimed before this time and is still waiting: its lease would not last for a call."""
        late = []
        while self._ready and self._ready[0][0] <= before:
            late.append(self._ready.popleft()[1].claim)
        if late:
            await self._patiently(self._return, late)
            self._no_more_held(late)

    def _no_more_held(self, claims: Sequence[Claim]) -> None:
        if self._suspect in {each.id for each in claims}:
            self._suspect = None
            self.runtime.suspecting.release(self)
            self.runtime.wake_all()

    def _is_over(self) -> bool:
        """Whether nothing more will be answered."""
        return not (self._feeding or self._calls)

    def _are_wanted(self) -> bool:
        """Whether the answers that there are should be written at once."""
        if not self.held:
            return True
        return self._suspect is not None and any(
            each.prepared.claim.id == self._suspect for each in self._answers.waiting
        )

    async def _write(self, batch: Sequence[Outcome]) -> None:
        # A second try is harmless: what is written holds its lease no more.
        await self._patiently(save, self.runtime, self.context, self.stage, batch, self.chance)

    def _written(self, batch: Sequence[Outcome]) -> None:
        self._no_more_held([each.prepared.claim for each in batch])
        self.window.fill()

    def _claim(self, count: int, away: bool, may_suspect: bool) -> list[Claim]:
        """While its servers are away each call is a probe, which is not to cost the same work all its tries."""
        timeout_s = self.context.job.models[self.model].timeout_s
        with Timed(Operation.CLAIM) as timed, self.runtime.sessions.begin() as session:
            affordable = budgets.affordable(session, self.context.run_id, self.context.job.budget, count)
            claims = work.claim(
                session,
                self.context.run_id,
                self.queue,
                count=affordable,
                lease_s=timeout_s + self.runtime.lease_slack_s,
                worker=self.runtime.worker,
                revision=self.context.revision,
                suspect=may_suspect,
                least_tried=away,
            )
            timed.size = len(claims)
        return claims

    def _return(self, claims: Sequence[Claim]) -> None:
        with self.runtime.sessions.begin() as session:
            work.give_back(session, claims)

    def _return_tried(self, claims: Sequence[Claim]) -> None:
        with self.runtime.sessions.begin() as session:
            work.give_back(session, claims, tried=True)

    def _drop_stragglers(self) -> None:
        with self.runtime.sessions.begin() as session:
            sweeping.drop_stragglers(session, self.context.run_id)

    def _is_due(self, queue: str) -> bool:
        with self.runtime.sessions.begin() as session:
            return work.count_due(session, self.context.run_id, queue, 1) > 0

    def _do_others_wait(self) -> bool:
        with self.runtime.sessions.begin() as session:
            due = sweeping.due_queues(session)
        return any(each.queue == self.queue and (each.run_id, each.queue) not in self.runtime.streams for each in due)

    def _pass_on(self) -> None:
        """The room that this stream leaves may be what another queue of its model waits for."""
        waiting = [queue for queue in names.queues_of_model(self.model) if self._is_due(queue)]
        self.runtime.hinting.hint(self.context.run_id, waiting)

    async def _patiently(self, function: Callable[..., T], *arguments: object) -> T:
        return await patiently(self.runtime.stopping, function, *arguments)
