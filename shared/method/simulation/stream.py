"""A stream of LM calls in a simulation: it claims ahead, sends call by call, and writes in batches."""

from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from random import Random

from shared.method.pace import BATCH, FLUSH_S, UNWRITTEN, WRITES, appetite, calls_ahead
from shared.method.simulation.backlog import Backlog
from shared.method.simulation.clock import Clock
from shared.method.simulation.passage import Work
from shared.method.simulation.scenario import Call, Costs, FaultRate
from shared.method.simulation.windows import Window
from shared.method.simulation.worker import Worker
from shared.method.tasks import Stage

Outcome = tuple[Work, FaultRate | None]
Written = Callable[["Stream", list[Outcome]], None]


class Stream:
    """The calls of one queue and model that one worker has under way; `written` is told of each batch."""

    def __init__(
        self,
        clock: Clock,
        chance: Random,
        costs: Costs,
        worker: Worker,
        queue: str,
        stage: Stage,
        window: Window,
        backlog: Backlog,
        written: Written,
    ) -> None:
        self.worker, self.queue, self.stage, self.backlog = worker, queue, stage, backlog
        self.calls = Counter[str]()  # that servers took, by kind
        self.under_way = 0
        self._clock, self._chance, self._costs = clock, chance, costs
        self._window, self._written = window, written
        self._ready: deque[Work] = deque()
        self._outcomes: list[Outcome] = []
        self._writes = 0  # batches that are being written
        self._writing = 0  # and answers in them
        self._claiming = False
        self._look_again = False
        self._flush = 0  # the number of the latest flush that is due, so that earlier ones are void
        self._flush_is_due = False
        self._overdue = False  # answers have waited long enough for others
        window.join(self)

    @property
    def held(self) -> int:
        """How many pieces of work are waiting to be sent or under way."""
        return len(self._ready) + self.under_way

    @property
    def waiting(self) -> bool:
        """Whether a call may be sent now."""
        return bool(self._ready) and self._has_room

    @property
    def _has_room(self) -> bool:
        return len(self._outcomes) + self._writing < UNWRITTEN

    def wake(self) -> None:
        """Claim as much work as is worth claiming."""
        if self._claiming:
            self._look_again = True
            return
        if not self._window.slots or not self.backlog:
            return
        wanted = appetite(self._window.free, self._ahead, len(self._ready))
        claimed = self.backlog.take(wanted)
        if claimed:
            self._claiming, self._look_again = True, len(claimed) == wanted
            self.worker.work(self.queue, self._costs.transaction_s, partial(self._claimed, claimed))

    @property
    def _ahead(self) -> int:
        return calls_ahead(self._window.calls_per_s)

    def _claimed(self, claimed: list[Work]) -> None:
        self._claiming = False
        self._ready.extend(claimed)
        self._window.fill()
        if self._look_again:
            self.wake()

    def send_next(self) -> None:
        """Send the call that has waited longest."""
        work = self._ready.popleft()
        self.under_way += 1
        sent_at = self.worker.occupy(self.queue, self._costs.call_s / 2)
        call = _call_of(work)
        fault, latency_s = self._fate(call)
        self.calls[call.name] += fault is None or fault.taken
        answered_at = self._window.servers.begin(sent_at, latency_s)
        self._clock.at(answered_at, partial(self._ended, work, fault, answered_at - sent_at))
        if len(self._ready) <= self._ahead // 2:
            self.wake()

    def _fate(self, call: Call) -> tuple[FaultRate | None, float]:
        luck = self._chance.random() if call.faults else 1.0
        for fault in call.faults:
            luck -= fault.share
            if luck < 0:
                return fault, fault.latency.draw(self._chance)
        return None, call.latency.draw(self._chance)

    def _ended(self, work: Work, fault: FaultRate | None, latency_s: float) -> None:
        self.under_way -= 1
        self._outcomes.append((work, fault))
        self._window.servers.end()
        self._window.in_flight -= 1
        if fault is None:
            self._window.took(latency_s)
        self._window.fill()
        self._see_to_answers()

    @property
    def _are_due(self) -> bool:
        return len(self._outcomes) >= BATCH or not self._has_room or not self.held

    def _see_to_answers(self) -> None:
        if self._writes == WRITES or not self._outcomes:
            return
        if self._are_due or self._overdue:
            self._write()
        elif not self._flush_is_due:
            self._flush += 1
            self._flush_is_due = True
            self._clock.after(FLUSH_S, partial(self._flushed, self._flush))

    def _flushed(self, flush: int) -> None:
        if self._flush_is_due and flush == self._flush:
            self._overdue = True
            self._see_to_answers()

    def _write(self) -> None:
        self._flush_is_due = self._overdue = False
        batch, self._outcomes = self._outcomes[:BATCH], self._outcomes[BATCH:]
        self._writes += 1
        self._writing += len(batch)
        seconds = self._costs.transaction_s + self._costs.call_s / 2 * len(batch)
        self.worker.work(self.queue, seconds, partial(self._are_written, batch))

    def _are_written(self, batch: list[Outcome]) -> None:
        self._writes -= 1
        self._writing -= len(batch)
        self._written(self, batch)
        self._window.fill()
        self._see_to_answers()


def _call_of(work: Work) -> Call:
    if work.call is None:
        raise TypeError("a verdict needs no LM call")
    return work.call
