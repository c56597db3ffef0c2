"""One server of an LM: its patience, what it said of itself, its errors in our words, and whether to call it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from shared.lm.api_key import ApiKey
from shared.lm.breaker import Breaker
from shared.lm.errors import BrokenAnswer, LMError, Misconfigured, TimedOut, Unreachable
from shared.lm.faults import lm_error, one_line
from shared.lm.health import CircuitState, EndpointHealth
from shared.lm.protocol import Answer, Call, Description, FinishReason
from shared.lm.reading import cut

T = TypeVar("T")

SLOW = 0.5  # the part of its patience after which a call has taken too long, though not in vain
TIMERS_ARE_EARLY_S = 0.01  # by so much at most
DESCRIBE_TIMEOUT_S = 10.0  # a first call waits for this as well, and its lease has to outlast both


@dataclass(frozen=True, slots=True)
class Completion:
    """What one protocol's answer holds; `text` as the server wrote it, stop sequence and all."""

    text: str
    finish_reason: FinishReason
    prompt_tokens: int | None
    completion_tokens: int | None


class ProtocolClient(Protocol):
    """One server spoken to in one protocol. Its methods raise whatever the library beneath raises."""

    url: str

    async def describe(self) -> Description:
        """Ask the server what it serves."""

    async def complete(self, call: Call, served: Description) -> Completion:
        """Complete one prompt with the LM that `served` names."""

    async def close(self) -> None:
        """Give back the connections."""


class Endpoint:
    """A server that is asked once what it serves, and then for completions. Raises `LMError` alone."""

    def __init__(self, client: ProtocolClient, key: ApiKey, timeout_s: float, max_in_flight: int) -> None:
        self._client = client
        self._key = key
        self._timeout_s = timeout_s
        self._served: Description | None = None
        self._describing: asyncio.Task[Description] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.breaker = Breaker(max_in_flight, SLOW * timeout_s)
        self.on_room: Callable[[], None] = lambda: None  # called when a call may be sent again, though none ended

    async def describe(self) -> Description:
        """Ask the server anew what it serves."""
        if self._key.fault:
            raise Misconfigured(self._client.url, self._key.fault)
        patience_s = min(self._timeout_s, DESCRIBE_TIMEOUT_S)
        try:
            self._served = await self._ask(self._client.describe(), patience_s)
        except TimedOut as error:  # which says nothing of the call that waits for it
            raise Unreachable(self._client.url, f"it did not say within {patience_s:g} s what it serves") from error
        return self._served

    async def generate(self, call: Call) -> Answer:
        """Complete one prompt."""
        trip = self.breaker.begin()
        try:
            answer = await self._generate(call)
        except LMError as error:
            if isinstance(error, Unreachable | BrokenAnswer | Misconfigured):
                self._served = None  # it may come back as another model or version
            self.breaker.failed(trip, error)
            self._set_timer()
            raise
        except BaseException:
            self.breaker.cancelled(trip)
            raise
        self.breaker.answered(trip)
        return answer

    def health(self) -> EndpointHealth:
        """How it is now."""
        breaker, now = self.breaker, time.monotonic()

        def ago(moment: float | None) -> float | None:
            return None if moment is None else now - moment

        return EndpointHealth(
            endpoint=self._client.url,
            state=breaker.state,
            limit=breaker.limit.value,
            ceiling=breaker.limit.ceiling,
            in_flight=breaker.in_flight,
            since_s=now - breaker.since,
            failing_s=ago(breaker.failing_since),
            failed_s=ago(breaker.failed_at),
            answered_s=ago(breaker.answered_at),
            fault=breaker.fault,
            detail=breaker.detail and one_line(self._key.hide(breaker.detail)),
        )

    async def close(self) -> None:
        """Give back the connections."""
        if self._timer:
            self._timer.cancel()
        if self._describing:
            self._describing.cancel()
        await self._client.close()

    def _set_timer(self) -> None:
        """Tell when the circuit is half open."""
        if self.breaker.state is not CircuitState.OPEN:
            return
        if self._timer:
            self._timer.cancel()
        wait_s = self.breaker.wait_s + TIMERS_ARE_EARLY_S
        self._timer = asyncio.get_running_loop().call_later(wait_s, lambda: self.on_room())

    async def _generate(self, call: Call) -> Answer:
        served = await self._description()
        began = time.perf_counter()
        completion = await self._ask(self._client.complete(call, served), self._timeout_s)
        latency_s = time.perf_counter() - began
        text = cut(completion.text, call.stop)
        return Answer(
            text=text,
            # The stop sequence may have come with the last token that the limit allowed.
            finish_reason=completion.finish_reason if text == completion.text else FinishReason.STOP,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            latency_s=latency_s,
            served=served,
        )

    async def _description(self) -> Description:
        if self._served:
            return self._served
        if self._describing is None or self._describing.done():
            self._describing = asyncio.create_task(self.describe())
            self._describing.add_done_callback(_look_at)
        return await asyncio.shield(self._describing)  # the first calls come together: all wait for one

    async def _ask(self, question: Awaitable[T], timeout_s: float) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                return await question
        except LMError:
            raise
        except Exception as error:
            raise lm_error(error, self._client.url, self._key) from error


def _look_at(task: asyncio.Task[Description]) -> None:
    if not task.cancelled():
        task.exception()  # or asyncio complains, when every call that waited for it was cancelled
