"""One task type on its way through a simulated run: its work, what its gate sees, and when it has come to its end."""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from shared.method.pace import MOST_PROPOSALS
from shared.method.planning import POSITIONS_PER_PROPOSAL, Progress, barren, drained, proposals_to_add
from shared.method.simulation.scenario import Call, Kind


@dataclass(slots=True)
class Subject:
    """An accepted instruction, and how many voices are still to speak on its instance."""

    position: int
    pending: int = 0


@dataclass(slots=True)
class Work:
    """One LM call or one verdict to make: for a proposal by its place alone, or for an instruction."""

    passage: "Passage"
    position: int
    call: Call | None = None
    subject: Subject | None = None
    tries: dict[str, int] = field(default_factory=dict)

    def __lt__(self, other: "Work") -> bool:
        """Whether it is claimed before the other."""
        return (self.position, self.passage.kind.name) < (other.position, other.passage.kind.name)


class Passage:
    """A task type's counters, its proposals in the order of their numbers, and its examples."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.proposed = self.gated = self.accepted = self.concluded = 0
        self.instances = self.accepted_instances = self.verdicts = 0
        self.last_gain = 0  # proposals gated when the latest example came
        self.completed = self.gave_up = False
        self._first_open = 0  # the earliest proposal on its first try
        self._settled: set[int] = set()  # later ones that are not
        self._ended: list[int] = []  # those that the gate has not seen
        self._failed: set[int] = set()
        self._examples: list[int] = []  # their positions
        self._open: list[int] = []  # positions of accepted instructions, some of which have come to their end
        self._gone: set[int] = set()  # those that have

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.completed or self.gave_up

    @property
    def examples(self) -> int:
        """How many there are."""
        return len(self._examples)

    def propose(self, lookahead: int) -> Iterator[Work]:
        """The proposals that the target still needs."""
        added = proposals_to_add(self._progress, lookahead)
        for ordinal in range(self.proposed, self.proposed + added):
            yield Work(self, ordinal * POSITIONS_PER_PROPOSAL, self.kind.proposal)
        self.proposed += added

    def tried(self, work: Work) -> None:
        """A proposal's first try is over."""
        ordinal = work.position // POSITIONS_PER_PROPOSAL
        if ordinal >= self._first_open:
            self._settled.add(ordinal)
        while self._first_open in self._settled:
            self._settled.remove(self._first_open)
            self._first_open += 1

    def ended(self, work: Work, *, answered: bool) -> None:
        """A proposal has been answered, or given up."""
        self.tried(work)
        ordinal = work.position // POSITIONS_PER_PROPOSAL
        heappush(self._ended, ordinal)
        if not answered:
            self._failed.add(ordinal)

    def in_turn(self) -> list[int]:
        """The ended proposals that the gate comes to now, in order."""
        turn: list[int] = []
        while self._ended and self._ended[0] < self._first_open and len(turn) < MOST_PROPOSALS:
            turn.append(heappop(self._ended))
        return turn

    def pass_gate(self, turn: list[int], chance: Random) -> Iterator[Subject]:
        """The accepted instructions of these proposals."""
        for ordinal in turn:
            self.gated += 1
            for offset in range(0 if ordinal in self._failed else _whole(self.kind.instructions, chance)):
                subject = Subject(ordinal * POSITIONS_PER_PROPOSAL + offset)
                self.accepted += 1
                heappush(self._open, subject.position)
                yield subject

    def conclude(self, subject: Subject, *, example: bool) -> None:
        """An instruction has come to its end."""
        self.concluded += 1
        self._gone.add(subject.position)
        if example:
            insort(self._examples, subject.position)
            self.last_gain = self.gated

    def last_wanted(self) -> int | None:
        """Where the last wanted example stands; `None` while there are fewer."""
        target = self.kind.target
        return self._examples[target - 1] if len(self._examples) >= target else None

    def open_before(self, position: int) -> bool:
        """Whether an instruction before this one may still become an example."""
        while self._open and self._open[0] in self._gone:
            self._gone.remove(heappop(self._open))
        return bool(self._open) and self._open[0] < position

    def barren(self, patience: int) -> bool:
        """Whether no more should be proposed; if nothing is under way either, it has given up."""
        if not barren(self._progress, patience):
            return False
        self.gave_up = drained(self._progress)
        return True

    @property
    def _progress(self) -> Progress:
        return Progress(
            target=self.kind.target,
            proposed=self.proposed,
            gated=self.gated,
            accepted=self.accepted,
            concluded=self.concluded,
            examples=self.examples,
            gated_at_last_example=self.last_gain,
        )


def _whole(mean: float, chance: Random) -> int:
    """A whole number with this mean, next to it."""
    return int(mean) + (chance.random() < mean % 1)
