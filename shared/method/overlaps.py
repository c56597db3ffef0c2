"""How many of some terms each record has, for all records and several lists of terms at once."""

from array import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.method.layout import Layout
from shared.method.postings import Postings
from shared.method.tallies import Bits, packed, tally

MANY = 256  # terms of a list that is counted in another way
_COMMON = 128  # a term that one record in so many has keeps its row
_STALE = 16  # which is made anew when there are more records by one part in so many
_AT_ONCE = 40_000  # words of a plane that fit a processor's cache, with others


class Counted(NamedTuple):
    """Planes of a tally, each with a row for each list, for the words of places from `start` on."""

    start: int
    planes: list[Bits]


class _Kept(NamedTuple):
    """A row that is complete up to the place `covered`, before which `entries` records have the term."""

    row: int
    covered: int
    entries: int


class Overlaps:
    """A matrix of bits, a row for each term, a column for each place: common terms' rows are kept."""

    def __init__(self, postings: Postings, layout: Layout) -> None:
        self._postings = postings
        self._layout = layout
        self._kept: dict[int, _Kept] = {}
        self._matrix = np.zeros((1, 0), np.uint64)  # of the first row nothing is ever set

    def count(self, terms: NDArray[np.int64], counts: NDArray[np.intp], width: int) -> Iterator[Counted]:
        """For some lists of terms, how many of the terms the records at the places of the first `width` words have.

        The lists stand one after another, and `counts` tells how long they are: each has a term, and a single one
        may have more than `MANY`. The postings have all the terms.
        """
        if len(terms) > MANY and len(counts) == 1:
            yield Counted(0, [plane[:, :width] for plane in self._one_by_one(terms.tolist())])
            return
        distinct, numbers = np.unique(terms, return_inverse=True)
        lists = np.repeat(np.arange(len(counts)), counts)
        ranks = np.arange(len(terms)) - np.repeat(np.cumsum(counts) - counts, counts)
        columns = np.zeros((int(counts.max()), len(counts)), np.intp)
        columns[ranks, lists] = self._made(distinct.tolist())[numbers]
        some = 1 + _AT_ONCE // len(counts)
        for start in range(0, width, some):
            bits = self._matrix[:, start : min(start + some, width)]
            yield Counted(start, tally(map(bits.__getitem__, columns)))

    def _one_by_one(self, terms: list[int]) -> list[Bits]:
        """The planes for one list."""
        records = np.frombuffer(b"".join(map(self._postings.records_with, terms)), np.uintc)
        counts = np.bincount(self._layout.places[records], minlength=64 * len(self._layout.shortest))
        levels = range(int(counts.max()).bit_length())
        return [packed((counts >> level & 1).astype(np.uint8))[None] for level in levels]

    def _made(self, terms: list[int]) -> NDArray[np.intp]:
        """The numbers of the terms' rows, which are right until the next call."""
        self._make_room(1 + len(self._kept) + len(terms), len(self._layout.shortest))
        records = list(map(self._postings.records_with, terms))
        sizes = np.fromiter(map(len, records), np.intp, len(terms))
        final = self._layout.final
        is_common = (sizes * _COMMON >= len(self._layout.lengths)) & (final > 0)
        rows = np.empty(len(terms), np.intp)
        for number in np.flatnonzero(is_common).tolist():
            kept = self._up_to_date(terms[number], records[number], final)
            self._matrix[kept.row, kept.covered // 64 :] = 0
            rows[number], records[number] = kept.row, records[number][kept.entries :]
        rare = np.flatnonzero(~is_common)
        first = 1 + len(self._kept)
        self._matrix[first : first + len(rare)] = 0
        rows[rare] = np.arange(first, first + len(rare))
        self._set(rows, records)
        return rows

    def _set(self, rows: NDArray[np.intp], records: list["array[int]"]) -> None:
        """Set the bits of some records in each of the rows."""
        sizes = np.fromiter(map(len, records), np.intp, len(records))
        places = self._layout.places[np.frombuffer(b"".join(records), np.uintc)]
        bits = np.repeat(rows * (64 * self._matrix.shape[1]), sizes) + places
        bytewise = self._matrix.view(np.uint8).reshape(-1)
        np.add.at(bytewise, bits >> 3, np.uint8(1) << (bits & 7).astype(np.uint8))

    def _up_to_date(self, term: int, records: "array[int]", final: int) -> _Kept:
        """The kept row of a term that is common."""
        kept = self._kept.get(term)
        if not kept or (final - kept.covered) * _STALE > final:
            early = np.frombuffer(records, np.uintc)
            early = early[: np.searchsorted(early, final)]
            present = np.zeros(final, np.uint8)
            present[self._layout.places[early]] = 1
            kept = _Kept(kept.row if kept else 1 + len(self._kept), final, len(early))
            self._matrix[kept.row, : final // 64] = packed(present)
            self._kept[term] = kept
        return kept

    def _make_room(self, rows: int, width: int) -> None:
        high, wide = self._matrix.shape
        if rows > high or width > wide:
            kept = self._matrix[: 1 + len(self._kept)]
            high, wide = max(rows * 3 // 2, high), (width * 9 // 8 if width > wide else wide)
            self._matrix = np.zeros((high, wide), np.uint64)
            self._matrix[: len(kept), : kept.shape[1]] = kept
