"""What became of simulated runs, and what a mean or a longer run makes of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

T = TypeVar("T", "Made", "Use")

Weighted = Sequence[tuple[float, "Simulated"]]


@dataclass(frozen=True, slots=True)
class Made:
    """How much of a task type there was in the end."""

    proposals: float
    instructions: float
    instances: float
    accepted_instances: float
    verdicts: float
    examples: float


@dataclass(frozen=True, slots=True)
class Use:
    """How a pool's servers were used: seconds in which they had any call, and the sums over time of the calls in
    flight and of their square."""

    busy_s: float
    call_s: float
    crowd_s: float

    @property
    def in_flight(self) -> float:
        """Calls in flight while there were any, in the mean."""
        return self.call_s / self.busy_s if self.busy_s else 0.0

    @property
    def crowd(self) -> float:
        """Calls in flight as a call saw it, itself included."""
        return self.crowd_s / self.call_s if self.call_s else 0.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """What became of a run: seconds, LM calls by name, servers by pool, CPU seconds by queue, and what was made.

    It `gave_up` if too many proposals in a row led to no example.
    """

    seconds: float
    calls: Mapping[str, float]
    servers: Mapping[str, Use]
    cpu_s: Mapping[str, float]
    gate_s: float
    made: Mapping[str, Made]
    gave_up: bool

    @property
    def all_calls(self) -> float:
        """LM calls of all kinds."""
        return sum(self.calls.values())


def mean(parts: Sequence[Simulated]) -> Simulated:
    """The mean of several runs of one scenario."""
    return _weighted([(1 / len(parts), part) for part in parts])


def extrapolated(near: Simulated, far: Simulated, times: float) -> Simulated:
    """A run that is longer than `far` by so many `times` as that is longer than `near`: all grows in proportion."""
    return _weighted([(-times, near), (1 + times, far)])


def _weighted(parts: Weighted) -> Simulated:
    _, first = parts[0]
    return Simulated(
        seconds=sum(weight * part.seconds for weight, part in parts),
        calls={name: sum(weight * part.calls.get(name, 0) for weight, part in parts) for name in first.calls},
        servers={name: _sum([(weight, part.servers[name]) for weight, part in parts]) for name in first.servers},
        cpu_s={name: sum(weight * part.cpu_s.get(name, 0) for weight, part in parts) for name in first.cpu_s},
        gate_s=sum(weight * part.gate_s for weight, part in parts),
        made={name: _sum([(weight, part.made[name]) for weight, part in parts]) for name in first.made},
        gave_up=any(part.gave_up for _, part in parts),
    )


def _sum(parts: Sequence[tuple[float, T]]) -> T:
    kind = type(parts[0][1])
    return kind(*(sum(weight * getattr(part, each.name) for weight, part in parts) for each in fields(kind)))
