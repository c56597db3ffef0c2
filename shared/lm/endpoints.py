"""Several servers of one LM, used as one."""

import asyncio
from collections.abc import Sequence
from itertools import count

from shared.lm.endpoint import Endpoint
from shared.lm.protocol import Answer, Call, Description


class Endpoints:
    """A `LanguageModel` that sends each call to the server with the fewest in flight, in turn among equals.

    One that turned a call away rests a little while another is there: it would always have the fewest.

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
        return await self._least_busy().generate(call)

    async def close(self) -> None:
        """Give back the connections."""
        for each in self._endpoints:
            await each.close()

    def _least_busy(self) -> Endpoint:
        turn = next(self._turns) % len(self._endpoints)
        in_turn = [*self._endpoints[turn:], *self._endpoints[:turn]]
        return min(in_turn, key=lambda endpoint: (endpoint.resting, endpoint.in_flight))
