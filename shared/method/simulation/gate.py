"""The gate of a simulated run, and its judges: what is planned, decided and concluded between the LM calls."""

from functools import partial

from shared.method.pace import MOST_PROPOSALS, VERDICTS
from shared.method.simulation.passage import Passage, Work
from shared.method.simulation.pipeline import Pipeline
from shared.method.simulation.scenario import CONSENSUS
from shared.method.simulation.worker import Worker

Turn = tuple[Passage, list[int]]


class Gate:
    """Takes proposals in the order of their numbers, plans as many as are still needed, concludes. One at a time."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.spent_s = 0.0
        self._pipeline = pipeline
        self._busy = False
        self._next: tuple[Worker, str] | None = None

    def advance(self, worker: Worker, queue: str) -> None:
        """Have a worker bring the run on, for what it did in a queue; while another does, one waits."""
        if self._busy:
            self._next = (worker, queue)
        else:
            self._begin(worker, queue)

    def _begin(self, worker: Worker, queue: str) -> None:
        self._busy = True
        turns = [(passage, passage.in_turn()) for passage in self._pipeline.passages if not passage.over]
        seconds = sum(self._cost(passage, len(turn)) for passage, turn in turns)
        self.spent_s += seconds
        worker.work(queue, seconds, partial(self._passed, worker, queue, turns))

    def _cost(self, passage: Passage, proposals: int) -> float:
        costs = self._pipeline.scenario.costs
        known = passage.accepted * self._pipeline.scenario.stands_for
        return costs.transaction_s + proposals * (costs.decision_s + costs.text_s * known)

    def _passed(self, worker: Worker, queue: str, turns: list[Turn]) -> None:
        for passage, turn in turns:
            accepted = passage.pass_gate(turn, self._pipeline.chance)
            call = passage.kind.instance
            self._pipeline.add([Work(passage, subject.position, call, subject) for subject in accepted])
            self._conclude_or_plan(passage)
        self._busy = False
        if any(len(turn) == MOST_PROPOSALS for _, turn in turns):
            self._begin(worker, queue)
        elif self._next:
            following, self._next = self._next, None
            self._begin(*following)

    def _conclude_or_plan(self, passage: Passage) -> None:
        last = passage.last_wanted()
        if last is not None:
            self._conclude(passage, last)
        elif not passage.barren(self._pipeline.scenario.patience):
            self._pipeline.add(passage.propose(self._pipeline.scenario.lookahead))

    def _conclude(self, passage: Passage, last: int) -> None:
        self._pipeline.drop(lambda work: work.passage is passage and work.position > last)
        if not passage.open_before(last):
            passage.completed = True
            self._pipeline.drop(lambda work: work.passage is passage)


class Judges:
    """The workers that listen to the queue of verdicts."""

    def __init__(self, pipeline: Pipeline, gate: Gate) -> None:
        self._pipeline, self._gate = pipeline, gate
        self._idle = [worker for worker in pipeline.workers if CONSENSUS in worker.queues]

    def wake(self) -> None:
        """There are verdicts to make."""
        if self._idle:
            self._judge(self._idle.pop(0))

    def _judge(self, worker: Worker) -> None:
        claimed = self._pipeline.backlogs[CONSENSUS].take(VERDICTS)
        if not claimed:
            self._idle.append(worker)
            return
        costs = self._pipeline.scenario.costs
        seconds = 2 * costs.transaction_s + costs.verdict_s * len(claimed)
        worker.work(CONSENSUS, seconds, partial(self._judged, worker, claimed))

    def _judged(self, worker: Worker, claimed: list[Work]) -> None:
        for work in claimed:
            if work.subject:
                work.passage.verdicts += 1
                kept = self._pipeline.chance.random() < work.passage.kind.verdicts
                work.passage.conclude(work.subject, example=kept)
        self._gate.advance(worker, CONSENSUS)
        self._judge(worker)
