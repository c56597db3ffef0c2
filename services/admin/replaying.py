"""Sending a stored call again, to the server that answered it or to another of its model's."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from services.admin.console import warn
from services.admin.listed import Listed
from shared.errors import UserError, WorldError
from shared.job import ModelSpec
from shared.lm.connect import connect
from shared.lm.errors import LMError
from shared.lm.protocol import Answer, LanguageModel
from shared.store.stored_calls import StoredCall


class BadEndpointError(UserError):
    """--endpoint {url} can't be used: {problem}. Write a server's base address, such as http://tgi-0:8080"""


class NobodyToAskError(Listed, WorldError):
    """No server of model '{model}' can be asked; start one, or name one with --endpoint URL:"""


@dataclass(frozen=True, slots=True)
class Replays:
    """What came back, in order; `broken_off` says why there are fewer answers than were wanted."""

    answers: list[Answer]
    broken_off: LMError | None = None


def servers_to_ask(stored: StoredCall, endpoint: str | None) -> list[ModelSpec]:
    """The call's model at one server each: at `endpoint` alone, or else first where it was answered, then where the
    job has it now. A server that the job has given up is not asked, as it may be somebody else's by now.

    Raises `BadEndpointError`.
    """
    if endpoint is not None:
        try:
            return [_at(stored, endpoint)]
        except ValidationError as error:
            raise BadEndpointError(url=endpoint, problem=error.errors()[0]["msg"]) from None
    then = stored.answer.endpoint
    return [_at(stored, url) for url in sorted(stored.spec.urls, key=lambda url: url != then)]


def _at(stored: StoredCall, url: str) -> ModelSpec:
    """The model that answered then, even if the job takes whatever is served."""
    wanted = stored.spec.model or stored.answer.served.model_id
    return ModelSpec.model_validate({**stored.spec.model_dump(mode="json"), "endpoints": [url], "model": wanted})


def replay(
    stored: StoredCall, servers: Sequence[ModelSpec], times: int, done: Callable[[int], None] = lambda _: None
) -> Replays:
    """Send a call so many times, one after the other, to the first of `servers` that serves its model.

    Raises `NobodyToAskError`, and the `LMError` of the very first call.
    """
    return asyncio.run(_replay(stored, servers, times, done))


async def _replay(stored: StoredCall, servers: Sequence[ModelSpec], times: int, done: Callable[[int], None]) -> Replays:
    lm = await _reach(stored, servers)
    answers: list[Answer] = []
    try:
        for _ in range(times):
            answers.append(await lm.generate(stored.call))
            done(1)
    except LMError as error:
        if not answers:
            raise
        return Replays(answers, error)
    finally:
        await lm.close()
    return Replays(answers)


async def _reach(stored: StoredCall, servers: Sequence[ModelSpec]) -> LanguageModel:
    refusals: list[LMError] = []
    for spec in servers:
        lm = connect(spec)
        try:
            await lm.describe()
        except LMError as error:
            refusals.append(error)
            await lm.close()
            continue
        for refusal in refusals:
            warn(f"not asked: {refusal}")
        return lm
    raise NobodyToAskError(refusals, model=stored.model)
