"""Which of some texts, numbered as they come, have which term: an inverted index that only grows."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.method.vocabulary import Numbered, repetitions

_COMMON = 64  # a term that one record in so many has gets a bitmap, ...
_FEW = 4096  # ... if there are more records than this
WORD_BITS = 32  # of a term: the number of its word
_STALE = 16  # a bitmap is made anew when the index has grown by one part in so many


class _Bitmap(NamedTuple):
    """The records below `covered`, a bit each, and how many of them, `entries`, have the term."""

    bits: NDArray[np.uint8]
    covered: int
    entries: int


class Postings:
    """For each term the ascending records that have it.

    To go through a term's records takes 1 to 3 ns each; a term that many have is added up from a bitmap, at less
    than 0.1 ns for each record there is. A bitmap is made when it is asked for, and what came later is gone through.
    """

    def __init__(self) -> None:
        self.records = 0
        self._postings: defaultdict[int, array[int]] = defaultdict(partial(array, "I"))
        self._bitmaps: dict[int, _Bitmap] = {}

    def add(self, terms: Iterable[int]) -> None:
        """Note the terms of one more record, each of them once."""
        postings, record = self._postings, self.records
        for term in terms:
            try:
                postings[term].append(record)
            except BufferError:  # whoever looks at a thread's frames, as a profiler does, keeps their views alive
                postings[term] = postings[term] + array("I", (record,))
        self.records += 1

    def add_all(self, texts: Numbered) -> None:
        """Note the words of several more records; a word's k-th repetition is a term of its own."""
        keys = texts.numbers.astype(np.int64) << WORD_BITS | (self.records + texts.owners())
        keys.sort()
        before = repetitions(keys)
        terms = keys >> WORD_BITS | before << WORD_BITS
        records = keys.astype(np.uint32)
        self._extend(terms[before == 0], records[before == 0])
        again = np.flatnonzero(before)
        again = again[np.argsort(terms[again], kind="stable")]
        self._extend(terms[again], records[again])
        self.records += len(texts.lengths)

    def _extend(self, terms: NDArray[np.int64], records: NDArray[np.uint32]) -> None:
        """Put records behind those of their terms; both are ascending, the records for each term."""
        starts = np.flatnonzero(np.diff(terms, prepend=-1))
        items = memoryview(records.tobytes())
        ends = [*(starts[1:] * 4).tolist(), len(items)]
        for term, start, end in zip(terms[starts].tolist(), (starts * 4).tolist(), ends, strict=False):
            try:
                self._postings[term].frombytes(items[start:end])
            except BufferError:
                self._postings[term] = self._postings[term] + array("I", items[start:end].tobytes())

    def records_with(self, term: int) -> "array[int]":
        """The records that have `term`, which one must have; not to be kept."""
        return self._postings[term]

    def known(self, terms: Iterable[int]) -> list[bool]:
        """Which of the terms any record has."""
        return list(map(self._postings.__contains__, terms))

    def rarest_first(self, terms: Iterable[int]) -> list[int]:
        """Those of `terms` that any record has, the one that fewest have first."""
        postings = self._postings
        counted = sorted([(len(postings[term]), term) for term in terms if term in postings])
        return [term for _, term in counted]

    def count(self, terms: Sequence[int]) -> NDArray[np.unsignedinteger]:
        """For each record, how many of `terms` it has."""
        counts = np.zeros(self.records, np.min_scalar_type(len(terms)))
        one_by_one = [np.empty(0, np.uintc)]
        for term in terms:
            posting = np.frombuffer(self._postings[term], np.uintc)
            bitmap = self._bitmap(term, posting)
            if bitmap:
                covered = counts[: bitmap.covered]
                covered += np.unpackbits(bitmap.bits, count=bitmap.covered, bitorder="little")
                posting = posting[bitmap.entries :]
            one_by_one.append(posting)
        np.add.at(counts, np.concatenate(one_by_one), counts.dtype.type(1))
        return counts

    def having(self, term: int, records: NDArray[np.uintc]) -> NDArray[np.bool_]:
        """Which of the ascending `records` have `term`."""
        posting = np.frombuffer(self._postings[term], np.uintc)
        bitmap = self._bitmap(term, posting)
        if not bitmap:
            return _among(posting, records)
        known = int(np.searchsorted(records, bitmap.covered))
        early, late = records[:known], records[known:]
        bits = bitmap.bits[early >> 3] >> (early & 7).astype(np.uint8) & 1
        return np.concatenate((bits.astype(np.bool_), _among(posting[bitmap.entries :], late)))

    def _bitmap(self, term: int, posting: NDArray[np.uintc]) -> _Bitmap | None:
        if self.records < _FEW or len(posting) * _COMMON < self.records:
            return None
        bitmap = self._bitmaps.get(term)
        if not bitmap or (self.records - bitmap.covered) * _STALE > self.records:
            present = np.zeros(self.records, np.uint8)
            present[posting] = 1
            bitmap = _Bitmap(np.packbits(present, bitorder="little"), self.records, len(posting))
            self._bitmaps[term] = bitmap
        return bitmap


def _among(posting: NDArray[np.uintc], records: NDArray[np.uintc]) -> NDArray[np.bool_]:
    if not len(posting):
        return np.zeros(len(records), np.bool_)
    found: NDArray[np.bool_] = posting[np.searchsorted(posting[:-1], records)] == records
    return found


def terms_of(numbers: list[int]) -> list[int]:
    """One number for each word, another for each repetition of it: its terms."""
    if len(set(numbers)) == len(numbers):
        return numbers
    repetitions: dict[int, int] = {}
    terms = []
    for number in numbers:
        repetition = repetitions.get(number, 0)
        repetitions[number] = repetition + 1
        terms.append(number | repetition << WORD_BITS)
    return terms
