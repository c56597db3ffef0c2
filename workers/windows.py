"""A model's window in this worker: how many calls may be under way, and which stream sends the next.

A call that ends makes room for the next one at once, without a question to the database; what the worker may have
under way is agreed with the other workers every now and then (`shared.store.shares`).
"""

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from shared.method.tasks import LM_STAGES, Stage
from shared.store import shares, work
from shared.store.runs import is_running
from shared.store.session import Sessions

log = structlog.get_logger()

RENEW_S = 0.25  # how often a share is renewed while others want some of the window
RENEW_ALONE_S = 1.0  # and how often while nobody does


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
    def waiting(self) -> bool:
        """Whether a call is ready to be sent."""

    def send_next(self) -> None:
        """Send it."""

    def wake(self) -> None:
        """Look again at how much work is worth claiming."""


@dataclass
class CallWindow:
    """How many calls of a model this worker may have under way in a run. It belongs to the event loop."""

    sessions: Sessions
    run_id: uuid.UUID
    model: str
    size: int
    worker: str
    slots: int = 0
    in_flight: int = 0
    latency_s: float = 0.0  # of a call, as it is of late
    over: bool = False  # whether the run has ended: no more calls for it
    _callers: list[Caller] = field(default_factory=list)
    _renewing: asyncio.Task[None] | None = None
    _agreeing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def free(self) -> int:
        """How many more calls may be sent now."""
        return max(0, self.slots - self.in_flight)

    @property
    def calls_per_s(self) -> float:
        """How many calls the model answers this worker in a second; 0 while that is unknown."""
        return self.slots / self.latency_s if self.latency_s else 0

    def took(self, latency_s: float) -> None:
        """A call took this long."""
        self.latency_s += (latency_s - self.latency_s) / (16 if self.latency_s else 1)

    def join(self, caller: Caller) -> None:
        """Have a stream's calls sent from now on."""
        self._callers.append(caller)
        self._callers.sort(key=lambda each: LM_STAGES.index(each.stage_name), reverse=True)  # nearest to the end first
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._keep_renewing())

    async def leave(self, caller: Caller) -> None:
        """A stream has ended, and none of its calls is under way; the last one gives the share back."""
        self._callers.remove(caller)
        if self._callers or self._renewing is None:
            return
        renewing, self._renewing = self._renewing, None
        renewing.cancel()
        await asyncio.wait([renewing])
        async with self._agreeing:
            if not self._callers:
                self.slots = 0
                await asyncio.to_thread(self._release)

    def ended(self) -> None:
        """A call is over: send the next."""
        self.in_flight -= 1
        self.fill()

    def fill(self) -> None:
        """Send calls while there is room, those nearest to the end of the pipeline first."""
        while self.free:
            caller = next((each for each in self._callers if each.waiting), None)
            if caller is None:
                return self._wake_all()
            self.in_flight += 1
            caller.send_next()

    def _wake_all(self) -> None:
        for each in self._callers:
            each.wake()

    async def _keep_renewing(self) -> None:
        alone = False
        while True:
            try:
                async with self._agreeing:
                    alone = await self._renew()
            except Exception:  # whatever it is: without a share no call is sent
                log.exception("share not renewed, will try again", model=self.model)
            await asyncio.sleep(RENEW_ALONE_S if alone and self.slots else RENEW_S)

    async def _renew(self) -> bool:
        """Agree with the other workers; returns whether there are none."""
        holding = max(self.slots, self.in_flight)
        held = [(each.stage_name, each.queue, each.held) for each in self._callers]
        share = await asyncio.to_thread(self._agree, held, holding)
        self.over = share is None
        if share and share.slots == self.slots:
            return share.alone
        self.slots = share.slots if share else 0
        self.fill()
        self._wake_all()
        return share is None or share.alone

    def _agree(self, held: list[tuple[Stage, str, int]], holding: int) -> shares.Share | None:
        wanted = dict.fromkeys(LM_STAGES, 0)
        with self.sessions.begin() as session:
            if not is_running(session, self.run_id):
                return None
            for stage, queue, count in held:
                wanted[stage] += count + work.count_due(session, self.run_id, queue, self.size)
            counts = [min(count, self.size) for count in wanted.values()]
            return shares.renew(
                session, self.run_id, self.model, self.size, worker=self.worker, wanted=counts, holding=holding
            )

    def _release(self) -> None:
        with self.sessions.begin() as session:
            shares.release(session, self.run_id, self.model, self.worker)
