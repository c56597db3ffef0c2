"""Which split an example belongs to: decided by the root of its lineage alone, so that relatives stay together.

The root is the LM call that proposed the example's instruction. Instructions that were taken from one answer share
it, and so do the examples that several judgements made of one instance. Since nothing else has a say, no example moves
to another split when others come or go.
"""

import hashlib
import re
import uuid
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import accumulate

from shared.errors import UserError

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
RESERVED = ("all",)  # in the `datasets` library it means every split
_WHOLE = 1 << 64


class SplitError(UserError):
    """--split {given}: {fault}; write it like train=0.95,test=0.05"""


@dataclass(frozen=True, slots=True)
class Splits:
    """Splits by name, each with its fraction of all roots; they sum to 1."""

    fractions: tuple[tuple[str, Decimal], ...]

    def __post_init__(self) -> None:
        if sum(fraction for _, fraction in self.fractions) != 1:
            raise ValueError(f"fractions sum to {sum(fraction for _, fraction in self.fractions)}, not 1")

    @property
    def names(self) -> list[str]:
        """The splits in their order."""
        return [name for name, _ in self.fractions]

    def of(self, root: uuid.UUID) -> str:
        """The split of all that descends from this root."""
        place = int.from_bytes(hashlib.sha256(root.bytes).digest()[:8], "big")
        return self.fractions[bisect_right(_ends(self.fractions), place)][0]


@lru_cache(maxsize=16)
def _ends(fractions: tuple[tuple[str, Decimal], ...]) -> list[int]:
    return [int(end * _WHOLE) for end in accumulate(fraction for _, fraction in fractions)]


def read_splits(given: str) -> Splits:
    """`train=0.95,test=0.05`, in words that `datasets` takes for names of splits. Raises `SplitError`."""
    fractions = tuple(_fraction(given, part) for part in given.split(","))
    _refuse_twins(given, [name for name, _ in fractions])
    total = sum(fraction for _, fraction in fractions)
    if total != 1:
        raise SplitError(given=given, fault=f"the fractions sum to {total}, not 1")
    return Splits(fractions)


def _fraction(given: str, part: str) -> tuple[str, Decimal]:
    name, equals, value = (text.strip() for text in part.partition("="))
    if not equals:
        raise SplitError(given=given, fault=f"'{part.strip()}' has no fraction")
    if not NAME.fullmatch(name) or name in RESERVED:
        raise SplitError(given=given, fault=f"'{name}' is no name: lower-case letters, digits and _, and not 'all'")
    try:
        fraction = Decimal(value)
    except InvalidOperation:
        raise SplitError(given=given, fault=f"'{value}' is no number") from None
    if not (fraction.is_finite() and 0 < fraction <= 1):
        raise SplitError(given=given, fault=f"{value} is not above 0 and at most 1")
    return name, fraction.normalize()


def _refuse_twins(given: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SplitError(given=given, fault=f"'{name}' stands there twice")
