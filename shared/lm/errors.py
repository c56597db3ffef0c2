"""What can go wrong with an LM call, in our own words, and whether a retry may help."""

from enum import StrEnum
from typing import ClassVar

from shared.errors import WorldError


class Fault(StrEnum):
    """The classes of LM faults; the same slug labels the row, the log and the metric."""

    OVERLOADED = "overloaded"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    BROKEN_ANSWER = "broken_answer"
    REFUSED_INPUT = "refused_input"
    MISCONFIGURED = "misconfigured"


# Which of a job's limits to tries each counts against (`RetryPolicy`).
COUNTERS = {
    Fault.OVERLOADED: "overloads",
    Fault.UNREACHABLE: "overloads",
    Fault.MISCONFIGURED: "overloads",
    Fault.TIMED_OUT: "timeouts",
    Fault.BROKEN_ANSWER: "failures",
    Fault.REFUSED_INPUT: "failures",
}

# A server that is full, away, or somebody else's has taken no call, so there is no generation to keep.
NOT_TAKEN = frozenset({Fault.OVERLOADED, Fault.UNREACHABLE, Fault.MISCONFIGURED})


class LMError(WorldError):
    """{endpoint}: {detail}"""

    fault: ClassVar[Fault]
    retryable: ClassVar[bool]

    def __init__(self, endpoint: str, detail: str) -> None:
        super().__init__(endpoint=endpoint, detail=detail)
        self.endpoint = endpoint
        self.detail = detail


class Overloaded(LMError):
    """{endpoint} has no room: {detail}"""

    fault, retryable = Fault.OVERLOADED, True
    retry_after_s: float | None = None  # what the server asked for


class Unreachable(LMError):
    """{endpoint} can't be reached: {detail}"""

    fault, retryable = Fault.UNREACHABLE, True


class TimedOut(LMError):
    """{endpoint} did not answer in time: {detail}"""

    fault, retryable = Fault.TIMED_OUT, True


class BrokenAnswer(LMError):
    """{endpoint} gave an answer that can't be used: {detail}"""

    fault, retryable = Fault.BROKEN_ANSWER, True


class RefusedInput(LMError):
    """{endpoint} refused the input: {detail}"""

    fault, retryable = Fault.REFUSED_INPUT, False


class Misconfigured(LMError):
    """{endpoint} can't be used as the job says: {detail}"""

    fault, retryable = Fault.MISCONFIGURED, True
