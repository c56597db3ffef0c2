"""What the rest of the system knows of an LM: a call, an answer, a description."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shared.lm.health import EndpointHealth
from shared.method.decoding import Decoding


class FinishReason(StrEnum):
    """Why the LM stopped writing."""

    STOP = "stop"  # a stop sequence or its end-of-text token
    LENGTH = "length"  # it ran into `max_new_tokens`


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `chat` sends the prompt as a user message to an instruction-tuned LM."""

    prompt: str
    decoding: Decoding
    stop: tuple[str, ...] = ()
    seed: int | None = None
    chat: bool = False


@dataclass(frozen=True, slots=True)
class Description:
    """What a server says of itself; `None` where its protocol has no place for it."""

    endpoint: str
    model_id: str | None
    model_revision: str | None
    server_version: str | None
    max_input_tokens: int | None
    max_total_tokens: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `text` holds no stop sequence. `latency_s` is wall-clock seconds."""

    text: str
    finish_reason: FinishReason
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_s: float
    served: Description

    @property
    def endpoint(self) -> str:
        """The server that answered."""
        return self.served.endpoint


class LanguageModel(Protocol):
    """One served LM, whatever protocol it speaks."""

    async def describe(self) -> list[Description]:
        """Ask each endpoint what it serves. Raises `LMError`."""

    async def generate(self, call: Call) -> Answer:
        """Complete one prompt. Raises `LMError` and nothing else."""

    @property
    def capacity(self) -> int:
        """How many calls may be under way now, those that are included."""

    @property
    def away(self) -> bool:
        """Whether no server is taken to be there: no call should be sent but one, now and then, to see."""

    def health(self) -> list[EndpointHealth]:
        """How each server is now."""

    def when_room(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when there is room again that no call's end has made."""

    async def close(self) -> None:
        """Give back the connections."""
