"""What a process knows of one of a model's servers, for others to read."""

from dataclasses import dataclass
from enum import StrEnum

from shared.lm.errors import Fault


class CircuitState(StrEnum):
    """Whether calls are sent to a server: all that it takes, none, or one to see whether it is back."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """A server at one moment. Times are in seconds before that moment, `None` if there was no such moment.

    It is in its state since `since_s`, where open and half-open count as one, and `failing_s` ago some call failed
    and none has been answered since. `detail` holds no secrets and is one line.
    """

    endpoint: str
    state: CircuitState
    limit: int
    ceiling: int
    in_flight: int
    since_s: float
    failing_s: float | None
    failed_s: float | None
    answered_s: float | None
    fault: Fault | None
    detail: str | None

    @property
    def fine(self) -> bool:
        """Whether there is nothing to tell."""
        return self.state is CircuitState.CLOSED and self.limit == self.ceiling and self.failing_s is None
