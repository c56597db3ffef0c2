"""What a simulation of a run is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.method.simulation.spread import Spread
from shared.method.tasks import Stage

CONSENSUS = "consensus"


@dataclass(frozen=True, slots=True)
class FaultRate:
    """A fault that `share` of the calls meet with, after some seconds.

    `tries` is how many of a `counter` end the work; a call that the server has not `taken` is none.
    """

    counter: str
    share: float
    latency: Spread
    tries: int
    taken: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of LM call, and the queue in which it waits."""

    name: str
    queue: str
    stage: Stage
    model: str
    latency: Spread
    faults: tuple[FaultRate, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A task type: how many examples are wanted of it, the calls that lead to one, and how much comes of each.

    `instructions` are the accepted ones of a proposal, in the mean; `instances` and `verdicts` the share that is kept.
    """

    name: str
    target: int
    proposal: Call
    instance: Call
    outputs: tuple[Call, ...]
    instructions: float
    instances: float
    verdicts: float

    @property
    def examples(self) -> float:
        """How many come of a proposal, in the mean."""
        return self.instructions * self.instances * self.verdicts

    @property
    def calls(self) -> tuple[Call, ...]:
        """All kinds of calls that lead to an example."""
        return (self.proposal, self.instance, *self.outputs)


@dataclass(frozen=True, slots=True)
class Pool:
    """Servers and the window of calls that they share, by model; `calls_per_s` is the most that all of them answer."""

    name: str
    limits: Mapping[str, int]
    calls_per_s: float | None = None

    @property
    def size(self) -> int:
        """How many calls may be under way at once."""
        return max(self.limits.values())


@dataclass(frozen=True, slots=True)
class Costs:
    """What things cost a worker's process, one thing after the other, in seconds.

    Of a call's, half is spent in sending it and half in writing its answer. A decision of the gate becomes dearer with
    each known text.
    """

    call_s: float = 0.0011
    transaction_s: float = 0.014
    verdict_s: float = 0.0003
    decision_s: float = 0.00005
    text_s: float = 1.2e-9


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long a failed call waits: a chance part of the first wait, doubled each time up to the cap."""

    first_s: float = 1.0
    cap_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run: each of the `workers` is a process, given by its queues.

    `stands_for` tells how many instructions each accepted one stands for, where a run is a scaled-down one.
    """

    kinds: tuple[Kind, ...]
    pools: tuple[Pool, ...]
    workers: Sequence[frozenset[str]]
    lookahead: int = 64
    patience: int = 1000
    costs: Costs = field(default_factory=Costs)
    back_off: BackOff = field(default_factory=BackOff)
    start_s: float = 0.5
    stands_for: float = 1.0
