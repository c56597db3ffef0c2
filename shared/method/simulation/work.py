"""The work of a simulated run, and the queues in which it waits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from shared.method.simulation.scenario import Call

if TYPE_CHECKING:
    from shared.method.simulation.passage import Passage

POSITIONS_PER_PROPOSAL = 32


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


class Backlog:
    """The work of a queue that nobody has claimed, the earliest first."""

    def __init__(self) -> None:
        self._ready: list[Work] = []

    def __len__(self) -> int:
        """How much there is."""
        return len(self._ready)

    def add(self, work: Work) -> None:
        """Put work in."""
        heappush(self._ready, work)

    def take(self, most: int) -> list[Work]:
        """Claim up to so much."""
        return [heappop(self._ready) for _ in range(min(most, len(self._ready)))]

    def drop(self, unneeded: Callable[[Work], bool]) -> None:
        """Drop what nobody needs any more."""
        self._ready = [work for work in self._ready if not unneeded(work)]
        heapify(self._ready)
