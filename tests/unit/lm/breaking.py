"""What the tests of the circuit breaker share."""

from shared.lm.errors import BrokenAnswer, LMError, Misconfigured, RefusedInput, TimedOut, Unreachable

CEILING = 8
SLOW_S = 10.0
AWAY = [Unreachable, Misconfigured, TimedOut]
ANSWERS = [BrokenAnswer, RefusedInput]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def of(kind: type[LMError]) -> LMError:
    """An error of a kind."""
    return kind("http://lm", "detail")
