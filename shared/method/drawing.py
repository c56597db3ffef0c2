"""Drawing by chance as Python's own `random` does, to the letter, at half its cost: a call draws some thirty times.

Being our own it also stays the same when Python's changes, and with it the dataset of a job and its seed.
"""

from collections.abc import Sequence
from math import ceil, log
from random import Random
from typing import TypeVar

T = TypeVar("T")


def choice(among: Sequence[T], chance: Random) -> T:
    """One of `among`, which may not be empty."""
    getrandbits, limit = chance.getrandbits, len(among)
    bits = limit.bit_length()
    place = getrandbits(bits)
    while place >= limit:
        place = getrandbits(bits)
    return among[place]


def sample(among: Sequence[T], count: int, chance: Random) -> list[T]:
    """`count` of `among`, or all if they are fewer, none twice, in the order in which they were drawn."""
    left = len(among)
    count = min(count, left)
    if left > _as_large_as_a_set(count):
        return [among[place] for place in _places(left, count, chance)]
    getrandbits, pool, drawn = chance.getrandbits, list(among), []
    for _ in range(count):
        bits = left.bit_length()
        place = getrandbits(bits)
        while place >= left:
            place = getrandbits(bits)
        left -= 1
        drawn.append(pool[place])
        pool[place] = pool[left]
    return drawn


def _places(among: int, count: int, chance: Random) -> list[int]:
    getrandbits, bits = chance.getrandbits, among.bit_length()
    drawn: dict[int, None] = {}  # ordered, as a set is not
    while len(drawn) < count:
        place = getrandbits(bits)
        if place < among:
            drawn[place] = None
    return list(drawn)


def _as_large_as_a_set(count: int) -> int:
    """Up to how many a copy of the list takes less memory than a set of those drawn."""
    return 21 + (4 ** ceil(log(count * 3, 4)) if count > 5 else 0)
