"""Which of a model's servers there is news of, so that others are told without a row for every call."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.lm.health import EndpointHealth

EVERY_S = 5.0


@dataclass
class HealthReports:
    """What was told last, and when."""

    _told: dict[str, tuple[float, EndpointHealth]] = field(default_factory=dict)

    def due(self, now: float, health: Sequence[EndpointHealth]) -> list[EndpointHealth]:
        """Those to tell of: at once when a circuit has changed, a limit was cut, or one answers again, else every
        `EVERY_S` seconds.

        A server that is fine and has nothing to do is not told of again.
        """
        return [each for each in health if self._is_due(now, each)]

    def told(self, now: float, health: Sequence[EndpointHealth]) -> None:
        """These are written."""
        self._told.update((each.endpoint, (now, each)) for each in health)

    def _is_due(self, now: float, health: EndpointHealth) -> bool:
        if health.endpoint not in self._told:
            return True
        at, last = self._told[health.endpoint]
        answers_again = health.failing_s is None and last.failing_s is not None
        if health.state is not last.state or health.limit < last.limit or answers_again:
            return True
        answered = health.answered_s is not None and health.answered_s < now - at
        busy = health.in_flight > 0 or answered
        return now - at >= EVERY_S and (busy or not (health.fine and last.fine))
