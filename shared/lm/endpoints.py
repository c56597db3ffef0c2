"""Several servers of one LM, used as one."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count

from shared.lm.endpoint import Endpoint
from shared.lm.health import EndpointHealth
from shared.lm.protocol import Answer, Call, Description


class Endpoints:
    """A `LanguageModel` that sends each call to the server with the fewest in flight, in turn among equals.

    A server that is away, or has as many calls as it takes, gets none while another has room. A call for which no
    server has room is sent all the same: who can wait asks for `capacity` before.

    It belongs to the event loop in which it is first used.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._turns = count()

    async def describe(self) -> list[Description]:
        """Ask each endpoint what it serves. Raises the first one's `LMError`."""
        answers = await asyncio.gather(*(each.describe() for each in self._endpoints), return_exceptions=True)
        descriptions = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            descriptions.append(answer)
        return descriptions

    async def generate(self, call: Call) -> Answer:
        """Complete one prompt. Raises `LMError` and nothing else."""
        return await self._best().generate(call)

    @property
    def capacity(self) -> int:
        """How many calls may be under way now, those that are included."""
        return sum(each.breaker.in_flight + each.breaker.room for each in self._endpoints)

    @property
    def away(self) -> bool:
        """Whether every server is taken to be away: no call is sent but, now and then, one to see."""
        return not any(each.breaker.closed for each in self._endpoints)

    def health(self) -> list[EndpointHealth]:
        """How each server is now."""
        return [each.health() for each in self._endpoints]

    def when_room(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when there is room again that no call's end has made."""
        for each in self._endpoints:
            each.on_room = tell

    async def close(self) -> None:
        """Give back the connections."""
        for each in self._endpoints:
            await each.close()

    def _best(self) -> Endpoint:
        turn = next(self._turns) % len(self._endpoints)
        in_turn = [*self._endpoints[turn:], *self._endpoints[:turn]]
        return min(in_turn, key=_unsuitability)


def _unsuitability(endpoint: Endpoint) -> tuple[bool, bool, int]:
    """One that has room first, and of those one that may be back: it gets but one call to see."""
    has_room, closed = endpoint.breaker.room > 0, endpoint.breaker.closed
    return not has_room, closed is has_room, endpoint.breaker.in_flight
