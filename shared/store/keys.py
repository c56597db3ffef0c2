"""Deterministic keys: the same thing made twice has the same key, so it exists once."""

import hashlib
import uuid
from collections.abc import Iterable
from functools import lru_cache

from shared.method.planning import POSITIONS_PER_PROPOSAL

NAMESPACE = uuid.UUID("6f1b3c52-6a5e-5a0e-9d6c-2f3a54c1e7b0")
_NAMESPACE = NAMESPACE.bytes
_MARKS = (5 << 76) | (2 << 62)  # of version 5 and of RFC 4122's variant
_UNMARKED = ((1 << 128) - 1) & ~((15 << 76) | (3 << 62))


def key(*parts: object) -> uuid.UUID:
    """The key of the thing that these parts name, e.g. `key("instance", instruction_id)`."""
    # As uuid5 makes it, but for a copy or two: five of these are made for each call.
    digest = hashlib.sha1(_NAMESPACE + "\x1f".join(map(str, parts)).encode(), usedforsecurity=False).digest()
    return uuid.UUID(int=int.from_bytes(digest[:16]) & _UNMARKED | _MARKS)


@lru_cache(maxsize=256)
def judgement_key(run_id: uuid.UUID, number: int = 0) -> uuid.UUID:
    """The key of a run's judgement; number 0 is the run's own."""
    return key("judgement", run_id, number)


def pool_key(urls: Iterable[str], served_model: str | None) -> uuid.UUID:
    """The key of the window that models share if they have these servers, and one name there."""
    return key("pool", served_model or "", *sorted(set(urls)))


def position(ordinal: int, offset: int = 0) -> int:
    """Where an instruction stands in its run: by proposal, then by place in the LM's answer."""
    return ordinal * POSITIONS_PER_PROPOSAL + offset


def ordinal(position: int) -> int:
    """The proposal that a position belongs to."""
    return position // POSITIONS_PER_PROPOSAL
