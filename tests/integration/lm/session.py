"""Short sessions with a real client, for tests that are not about the event loop."""

import asyncio
from collections.abc import Mapping
from typing import Any

from shared.job import ModelSpec
from shared.lm.connect import connect
from shared.lm.protocol import Answer, Call, Description


def make_spec(protocol: str, urls: str | list[str], **fields: Any) -> ModelSpec:
    """A model at `urls`, with the given fields of `ModelSpec`."""
    endpoints = [urls] if isinstance(urls, str) else urls
    return ModelSpec.model_validate(
        {"protocol": protocol, "kind": "instruct", "endpoints": endpoints, "timeout_s": 20, **fields}
    )


def ask(
    protocol: str,
    urls: str | list[str],
    *calls: Call,
    environ: Mapping[str, str] | None = None,
    **fields: Any,
) -> list[Answer]:
    """Connect, make the calls one after the other, close."""

    async def session() -> list[Answer]:
        lm = connect(make_spec(protocol, urls, **fields), environ or {})
        try:
            return [await lm.generate(call) for call in calls]
        finally:
            await lm.close()

    return asyncio.run(session())


def describe(protocol: str, urls: str | list[str], **fields: Any) -> list[Description]:
    """Connect, ask what is served, close."""

    async def session() -> list[Description]:
        lm = connect(make_spec(protocol, urls, **fields), {})
        try:
            return await lm.describe()
        finally:
            await lm.close()

    return asyncio.run(session())
