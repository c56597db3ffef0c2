"""What was done for one proposal, by whichever process, whenever: the steps that traces are made of.

Ids follow from what they stand for, so that steps told by different processes, hours apart, join without anything
being carried from one to the next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

Attribute: TypeAlias = str | bool | int | float | Sequence[str]


def trace_id(*parts: object) -> int:
    """The id of the trace that these name. Its bits are as good as random, which samplers rely on."""
    return _digest(16, parts)


def span_id(*parts: object) -> int:
    """The id of the span that these name."""
    return _digest(8, parts)


def _digest(size: int, parts: Iterable[object]) -> int:
    digest = blake2b("\x1f".join(map(str, parts)).encode(), digest_size=size).digest()
    return int.from_bytes(digest) or 1  # 0 stands for none


@dataclass(frozen=True, slots=True)
class Step:
    """A span: something done from `began` to `ended`, in seconds since the epoch. A root has no `parent`.

    `fault` says why it failed, if it did.
    """

    trace: int
    id: int
    parent: int | None
    name: str
    began: float
    ended: float
    attributes: Mapping[str, Attribute]
    fault: str | None = None
    is_call: bool = False  # of another service
