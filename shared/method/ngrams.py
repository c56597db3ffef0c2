"""Whether a training example has words in common with an evaluation set, which would make its scores worthless.

An overlap is thirteen words in a row, as GPT-3's authors counted it (Brown et al., 2020, appendix C: at most 13 words,
without regard to case, punctuation and spaces). Words are those of Rouge-L. A text of fewer words overlaps only with
a whole question equal to it: shorter runs of words coincide by chance.
"""

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.method.rouge import words

N = 13
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no word of an n-gram is lost modulo 2^64

_Hashes: TypeAlias = NDArray[np.uint64]


class Texts(NamedTuple):
    """What is compared of an example."""

    instruction: str
    input: str
    output: str


class Overlap(NamedTuple):
    """What an example has in common with an evaluation text: the words, and that text's number."""

    source: int
    words: str


class EvaluationIndex:
    """The n-grams of evaluation texts, and the texts too short to have one.

    An n-gram takes 16 bytes. It is told by a hash of 64 bits with a key of the process's own (Python's): that any of a
    million examples is taken for one of a million texts by mistake has a probability of some 1 in 100,000.
    """

    def __init__(self) -> None:
        self._short: dict[str, int] = {}
        self._hashes: list[_Hashes] = []
        self._sources = array("q")
        self._lengths = array("q")
        self._sorted: tuple[_Hashes, NDArray[np.int64]] | None = None

    def add(self, text: str, source: int) -> bool:
        """Take in a text; returns whether it has a word at all. Of equal n-grams the first one's source is told."""
        found = words(text)
        if len(found) < N:
            self._short.setdefault(" ".join(found), source)
            return bool(found)
        self._hashes.append(_ngrams(_hashed(found)))
        self._sources.append(source)
        self._lengths.append(len(self._hashes[-1]))
        self._sorted = None
        return True

    def overlaps(self, examples: Sequence[Texts]) -> list[Overlap | None]:
        """What each example has in common with the texts: the first n-gram of it, or else a whole short text."""
        parts = [tuple(map(words, example)) for example in examples]
        sequences = [list(chain.from_iterable(each)) for each in parts]
        found: list[Overlap | None] = [self._whole(each) for each in parts]
        for number, start, source in reversed(self._hits(sequences)):
            found[number] = Overlap(source, " ".join(sequences[number][start : start + N]))
        return found

    def _whole(self, parts: Sequence[Sequence[str]]) -> Overlap | None:
        """A question is an instruction, an input or both; short answers, such as "yes", are everybody's."""
        instruction, given, _ = (" ".join(each) for each in parts)
        for question in (instruction, given, f"{instruction} {given}"):
            if question and (source := self._short.get(question)) is not None:
                return Overlap(source, question)
        return None

    def _hits(self, sequences: Sequence[Sequence[str]]) -> list[tuple[int, int, int]]:
        """The n-grams that are known, in order: the sequence, where in it they begin, and their source."""
        known, sources = self._known()
        ends = list(accumulate(map(len, sequences)))
        if not len(known) or not ends or ends[-1] < N:
            return []
        grams = _ngrams(_hashed(chain.from_iterable(sequences), ends[-1]))
        places = np.minimum(np.searchsorted(known, grams), len(known) - 1)
        starts = np.flatnonzero(known[places] == grams)
        numbers = np.searchsorted(ends, starts, side="right")
        return [
            (number, start - ends[number] + len(sequences[number]), int(sources[places[start]]))
            for start, number in zip(starts.tolist(), numbers.tolist(), strict=True)
            if start + N <= ends[number]
        ]

    def _known(self) -> tuple[_Hashes, NDArray[np.int64]]:
        if self._sorted is None:
            hashes = np.concatenate(self._hashes) if self._hashes else np.empty(0, np.uint64)
            sources = np.repeat(np.array(self._sources, np.int64), np.array(self._lengths, np.int64))
            known, first = np.unique(hashes, return_index=True)  # of equal ones the first
            self._sorted = known, sources[first]
        return self._sorted


def _hashed(found: Iterable[str], count: int = -1) -> _Hashes:
    return np.fromiter(map(hash, found), np.int64, count).view(np.uint64)


def _ngrams(hashes: _Hashes) -> _Hashes:
    """A polynomial of each N hashes in a row, modulo 2^64; none if there are fewer."""
    length = max(len(hashes) - N + 1, 0)
    grams = np.zeros(length, np.uint64)
    for offset in range(N):
        grams = grams * _BASE + hashes[offset : offset + length]
    return grams
