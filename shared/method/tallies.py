"""Adding up rows of bits, 64 columns at once: vertical counters, filled by carry-save adders.

A sum is spread over planes: plane p holds bit p of the sum of every column. Five operations on whole words add two
rows, and half of what they carry goes on to the next plane.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bits: TypeAlias = NDArray[np.uint64]
"""64 columns to a word, the first in the lowest bit; any shape."""

_ONE = np.uint64(1)


def packed(columns: NDArray[np.uint8]) -> Bits:
    """A row of 0s and 1s as bits; there are as many of them as bits in some words."""
    return np.packbits(columns, bitorder="little").view(np.uint64)


def tally(rows: Iterable[Bits]) -> list[Bits]:
    """The planes of the sums of the rows, which are used up: there must be one, and all of one shape."""
    planes: list[Bits] = []
    waiting: list[Bits | None] = []
    for row in rows:
        _add(planes, waiting, 0, row)
    for level, left in enumerate(waiting):  # it grows meanwhile
        if left is not None:
            _add(planes, waiting, level + 1, planes[level] & left)
            planes[level] ^= left
    return planes


def _add(planes: list[Bits], waiting: list[Bits | None], level: int, row: Bits) -> None:
    """Add a row to a plane when a second one is there, and go on with the carry."""
    while level < len(planes):
        other, waiting[level] = waiting[level], None
        if other is None:
            waiting[level] = row
            return
        plane = planes[level]
        either = other ^ row
        row &= other
        other = either & plane
        plane ^= either
        row |= other
        level += 1
    planes.append(row)
    waiting.append(None)


def at_least(planes: Sequence[Bits], least: NDArray[np.uint64], kinds: NDArray[np.intp]) -> Bits:
    """The columns whose sum is `least` or more; that is given for each row and kind of word.

    `kinds` tells of which kind the words of a row are. Where no sum that fits the planes is enough, those with the
    highest sum that fits.
    """
    least = np.minimum(least, (1 << len(planes)) - 1)
    unasked = (least & _ONE) - _ONE  # all bits where the lowest one of a sum need not be set
    reached = planes[0] | unasked[:, kinds]
    for level, plane in enumerate(planes[1:], start=1):
        unasked = (least >> np.uint64(level) & _ONE) - _ONE
        if unasked.all():
            reached |= plane
            continue
        either = plane | reached
        either &= unasked[:, kinds]
        reached &= plane
        reached |= either
    return reached


def positions(bits: Bits) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
    """Where bits are set: the number of the word, in a flat count, and of the bit in it; in no order."""
    words = np.flatnonzero(bits)
    left = bits.reshape(-1)[words]
    found = [(words[:0], left[:0])]
    while len(left):
        lowest = left & (~left + _ONE)
        found.append((words, np.bitwise_count(lowest - _ONE).astype(np.uint64)))
        left = left ^ lowest
        more = np.flatnonzero(left)
        words, left = words[more], left[more]
    return np.concatenate([words for words, _ in found]), np.concatenate([bit for _, bit in found])


def sums(planes: Sequence[Bits], words: NDArray[np.intp], bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The sums of some columns, given as by `positions`."""
    result = np.zeros(len(words), np.uint64)
    for level, plane in enumerate(planes):
        result |= (plane.reshape(-1)[words] >> bits & _ONE) << np.uint64(level)
    return result.astype(np.int64)
