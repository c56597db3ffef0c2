"""The pipeline of a simulated run: work in its queues, the streams that do it, and what follows from their answers."""

from collections.abc import Callable, Iterable
from functools import partial
from random import Random

from shared.method.simulation.backlog import Backlog
from shared.method.simulation.clock import Clock
from shared.method.simulation.passage import Passage, Subject, Work
from shared.method.simulation.scenario import CONSENSUS, FaultRate, Scenario
from shared.method.simulation.stream import Outcome, Stream
from shared.method.simulation.worker import Worker
from shared.method.tasks import Stage

Advance = Callable[[Worker, str], None]
"""Has a worker bring the run on through the gate, for what it did in a queue."""


class Pipeline:
    """What all parts of a simulation know."""

    def __init__(self, scenario: Scenario, chance: Random) -> None:
        self.scenario, self.chance, self.clock = scenario, chance, Clock()
        self.passages = [Passage(kind) for kind in scenario.kinds]
        self.workers = [Worker(self.clock, queues) for queues in scenario.workers]
        queues = {queue for worker in self.workers for queue in worker.queues} | {CONSENSUS}
        self.backlogs = {queue: Backlog() for queue in queues}
        self.streams: list[Stream] = []
        self._advance: Advance = lambda worker, queue: None
        self._judge: Callable[[], None] = lambda: None

    def connect(self, advance: Advance, judge: Callable[[], None]) -> None:
        """Tell it of the gate, and of whom to tell that there are verdicts to make."""
        self._advance, self._judge = advance, judge

    def add(self, works: Iterable[Work]) -> None:
        """Plan work, and tell those who do it."""
        queues = set()
        for work in works:
            queue = work.call.queue if work.call else CONSENSUS
            self.backlogs[queue].add(work)
            queues.add(queue)
        if CONSENSUS in queues:
            self._judge()
        for stream in self.streams:
            if stream.queue in queues:
                stream.wake()

    def drop(self, unneeded: Callable[[Work], bool]) -> None:
        """Drop work that nobody has claimed."""
        for backlog in self.backlogs.values():
            backlog.drop(unneeded)

    def written(self, stream: Stream, batch: list[Outcome]) -> None:
        """A stream has written a batch: plan what follows."""
        planned: list[Work] = []
        advances = [self._follow(work, fault, planned) for work, fault in batch]
        self.add(planned)
        if any(advances):
            self._advance(stream.worker, stream.queue)

    def _follow(self, work: Work, fault: FaultRate | None, planned: list[Work]) -> bool:
        """Plan what follows from an outcome; returns whether the gate is to look at it."""
        if fault and self._is_tried_again(work, fault):
            return False
        if work.subject is None:
            work.passage.ended(work, answered=fault is None)
            return True
        if work.call and work.call.stage is Stage.INSTANCE:
            return self._after_instance(work.passage, work.subject, fault, planned)
        work.subject.pending -= 1
        if not work.subject.pending:
            planned.append(Work(work.passage, work.position, subject=work.subject))
        return False

    def _after_instance(self, passage: Passage, subject: Subject, fault: FaultRate | None, planned: list[Work]) -> bool:
        passage.instances += 1
        if fault or self.chance.random() >= passage.kind.instances:
            passage.conclude(subject, example=False)
            return True
        passage.accepted_instances += 1
        outputs = passage.kind.outputs
        subject.pending = len(outputs)
        planned += [Work(passage, subject.position, call, subject) for call in outputs or (None,)]
        return False

    def _is_tried_again(self, work: Work, fault: FaultRate) -> bool:
        tried = work.tries.get(fault.counter, 0)
        if tried + 1 >= fault.tries:
            return False
        work.tries[fault.counter] = tried + 1
        if work.subject is None:
            work.passage.tried(work)
        most = min(self.scenario.back_off.cap_s, self.scenario.back_off.first_s * 2.0 ** min(tried, 30))
        self.clock.after(self.chance.uniform(0, most), partial(self._again, work))
        return True

    def _again(self, work: Work) -> None:
        if not work.passage.over:
            self.add([work])
