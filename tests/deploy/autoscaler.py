"""What KEDA and the HorizontalPodAutoscaler that it makes would do with a ScaledObject. Time is passed in.

After https://keda.sh/docs/latest/reference/scaledobject-spec/ and Kubernetes' description of the autoscaler's
algorithm: the rule for averages, its tolerance, the windows of stabilization, the rates of change.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import ceil, floor
from typing import Any

from tests.deploy.rendering import Manifest

SYNC_S = 15.0  # how often an autoscaler looks
TOLERANCE = 0.1  # of a change that is not worth while


@dataclass(frozen=True, slots=True)
class Change:
    """How many replicas came or went, and when."""

    at: float
    replicas: int


@dataclass
class Autoscaler:
    """Decides how many replicas there should be, from a ScaledObject as it was rendered."""

    spec: Mapping[str, Any]
    _wanted: deque[Change] = field(default_factory=deque)  # what each look recommended
    _came: list[Change] = field(default_factory=list)
    _went: list[Change] = field(default_factory=list)
    _failures: int = 0

    @classmethod
    def of(cls, scaled: Manifest) -> "Autoscaler":
        """The autoscaler that KEDA makes of it."""
        return cls(scaled["spec"])

    @property
    def question(self) -> str:
        """What it asks Postgres."""
        return str(self.spec["triggers"][0]["metadata"]["query"])

    @property
    def target(self) -> float:
        """How much unfinished work each replica should have."""
        return float(self.spec["triggers"][0]["metadata"]["targetQueryValue"])

    def decide(self, now: float, replicas: int, unfinished: float | None) -> int:
        """How many replicas there should be; `unfinished` is `None` if Postgres did not answer."""
        length = self._with_fallback(replicas, unfinished)
        wanted = replicas if self._is_near(length, replicas) else ceil(length / self.target)
        wanted = self._bounded(self._stabilized(now, replicas, wanted))
        if wanted > replicas:
            wanted = min(wanted, max(replicas, self._most(now, replicas)))
            self._came.append(Change(now, wanted - replicas))
        elif wanted < replicas:
            wanted = max(wanted, min(replicas, self._least(now, replicas)))
            self._went.append(Change(now, replicas - wanted))
        return wanted

    def _with_fallback(self, replicas: int, unfinished: float | None) -> float:
        if unfinished is not None:
            self._failures = 0
            return unfinished
        self._failures += 1
        fallback = self.spec["fallback"]
        return self.target * (fallback["replicas"] if self._failures >= fallback["failureThreshold"] else replicas)

    def _is_near(self, length: float, replicas: int) -> bool:
        return abs(length / (self.target * replicas) - 1) <= TOLERANCE

    def _bounded(self, replicas: int) -> int:
        return int(min(max(replicas, self.spec["minReplicaCount"]), self.spec["maxReplicaCount"]))

    def _stabilized(self, now: float, replicas: int, wanted: int) -> int:
        """As it is, unless all of the one window asks for more, or all of the other for less."""
        self._wanted.append(Change(now, wanted))
        least = min(each.replicas for each in self._of_late(now, "scaleUp"))
        most = max(each.replicas for each in self._of_late(now, "scaleDown"))
        return min(max(replicas, least), most)

    def _of_late(self, now: float, direction: str) -> Iterable[Change]:
        window_s = self._behavior(direction)["stabilizationWindowSeconds"]
        return (each for each in self._wanted if each.at >= now - window_s)

    def _most(self, now: float, replicas: int) -> int:
        return max(
            ceil(start * (1 + value / 100)) if kind == "Percent" else start + value
            for kind, value, start in self._policies("scaleUp", now, replicas)
        )

    def _least(self, now: float, replicas: int) -> int:
        return min(
            floor(start * (1 - value / 100)) if kind == "Percent" else start - value
            for kind, value, start in self._policies("scaleDown", now, replicas)
        )

    def _policies(self, direction: str, now: float, replicas: int) -> Sequence[tuple[str, int, int]]:
        """The kind and value of each policy, and how many replicas there were when its period began."""
        return [
            (each["type"], each["value"], replicas - self._change(now - each["periodSeconds"]))
            for each in self._behavior(direction)["policies"]
        ]

    def _change(self, since: float) -> int:
        """How many more replicas there are than there were then."""
        changes = chain(self._came, (Change(each.at, -each.replicas) for each in self._went))
        return sum(each.replicas for each in changes if each.at > since)

    def _behavior(self, direction: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"][direction]
        return found
