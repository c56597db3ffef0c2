"""Novelty: does any known text have Rouge-L F1 above a threshold with a new one, and which are most like it.

Exact, though few pairs are compared. A pair scores above the threshold only if its longest common subsequence
has some least number of words, which follows from the two lengths (`least_common`), and the texts share at
least that many words. A known text that must share w of a query's c known words lacks c - w of them at most, so
it is met among the postings of the rarest c - w + 1, and twice among the rarest c - w + 2. Texts that are met
too seldom for their length fall away unseen; the rest are compared, by their integer LCS. This is a prefix filter
(Chaudhuri, Ganti and Kaushik, ICDE 2006) on the query's side alone: nothing that is stored depends on how rare a
word is, so the index only ever grows.

The k-th repetition of a word counts as a word of its own, so that words are shared as between multisets.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

from shared.method.rouge import Symbols, number_words, symbols, words

_LONGEST = 1023  # words; longer texts are bounded as if they had so many, and scored as they are
_NEVER = 1 << 30  # more common words than any two texts have
_FEW = 64  # records that are compared sooner than thought about
_LEVELS = (0.7, 0.55, 0.45, 0.35, 0.25, 0.15)  # where to look for the few highest bounds, without sorting


@dataclass(frozen=True, slots=True)
class Match:
    """A known text's key, and its Rouge-L F1 (0 to 1, no stemmer) with the text asked about."""

    key: str
    score: float


@dataclass(frozen=True, slots=True)
class Novelty:
    """The gate's answer on a text: accepted unless some known text scores above the threshold.

    `max_similarity` is 0 when nothing is known; `most_similar` begins with the most similar.
    """

    accepted: bool
    max_similarity: float
    most_similar: tuple[Match, ...]


class _Query(NamedTuple):
    text: Symbols
    postings: "list[array[int]]"  # the ascending records of each of its known words, the rarest word first


class NoveltyIndex:
    """Texts made known under keys of the caller's. It only grows, and threads may share it.

    It takes about 300 bytes a text of twelve words, and the key. A key may be added twice: nothing checks.
    """

    def __init__(self, threshold: float = 0.7) -> None:
        """`threshold`: the F1, 0 to 1, that a novel text may reach but not exceed."""
        if not 0 <= threshold <= 1:
            raise ValueError(f"a Rouge-L threshold lies between 0 and 1, not at {threshold}")
        self.threshold = threshold
        self._least_common = lru_cache(maxsize=_LONGEST)(partial(least_common, threshold))
        self._numbers = number_words()
        self._postings: defaultdict[int, array[int]] = defaultdict(partial(array, "I"))
        self._keys: list[str] = []
        self._texts: list[Symbols] = []
        self._lengths = array("H")
        self._lock = Lock()  # an array that numpy looks into refuses to grow

    def __len__(self) -> int:
        """How many texts are known."""
        return len(self._keys)

    def add(self, key: str, text: str) -> None:
        """Make `text` known under `key`."""
        with self._lock:
            numbers = [self._numbers[word] for word in words(text)]
            for term in _terms(numbers):
                self._postings[term].append(len(self._keys))
            self._texts.append(symbols(numbers))
            self._lengths.append(min(len(numbers), _LONGEST))
            self._keys.append(key)

    def nearest_above(self, text: str) -> Match | None:
        """The most similar known text if it scores above the threshold, the earliest of equals; else none."""
        with self._lock:
            query = self._query(text)
            records = self._suspects(query)
            if not records:
                return None
            scores = self._scores(query, records)
            best = int(scores.argmax())
            if scores[best] <= self.threshold:
                return None
            return Match(self._keys[records[best]], float(scores[best]))

    def most_similar(self, text: str, k: int = 10) -> list[Match]:
        """The `k` known texts that score highest (all, if they are fewer), equals in order of insertion.

        Where too few score above 0, the earliest of the others fill the list.
        """
        with self._lock:
            query = self._query(text)
            records = self._promising(query, k)
            scores = self._scores(query, records)
            best_first = np.lexsort((np.array(records), -scores))[:k]
            matches = [Match(self._keys[records[i]], float(scores[i])) for i in best_first]
            unlike = islice(self._all_but(records), max(k - len(matches), 0))
            return matches + [Match(self._keys[record], 0.0) for record in unlike]

    def assess(self, text: str, k: int = 10) -> Novelty:
        """The decision of `nearest_above`, with the `k` most similar texts."""
        matches = tuple(self.most_similar(text, max(k, 1)))
        highest = matches[0].score if matches else 0.0
        return Novelty(highest <= self.threshold, highest, matches[:k])

    def _query(self, text: str) -> _Query:
        unknown = len(self._numbers)
        numbers = [self._numbers.get(word, unknown) for word in words(text)]
        postings = [posting for term in _terms(numbers) if (posting := self._postings.get(term))]
        return _Query(symbols(numbers), sorted(postings, key=len))

    def _suspects(self, query: _Query) -> list[int]:
        """Records in order of insertion, among them all that score above the threshold."""
        least = self._least_common(len(query.text))
        known, fewest = len(query.postings), int(least.min())
        if known < fewest:
            return []
        probes = min(known - fewest + 2, known)
        met = self._met(query, probes)
        records = np.flatnonzero(met >= fewest - (known - probes)).astype(np.uintc)
        return _with_enough(query.postings, probes, records, met[records], least[self._bounded_lengths()[records]])

    def _promising(self, query: _Query, k: int) -> list[int]:
        """Records in order of insertion, among them the `k` best of those that score above 0."""
        lengths = self._bounded_lengths() + min(max(len(query.text), 1), _LONGEST)
        bounds = 2 * np.divide(self._met(query, len(query.postings)), lengths, dtype=np.float32)
        scores = np.sort(self._scores(query, _highest(bounds, max(k, _FEW))))
        floor = scores[-k] * (1 - 1e-6) if len(scores) >= k > 0 else 0.0  # the bounds have 24 bits
        return np.flatnonzero(bounds >= floor if floor else bounds > 0).tolist()

    def _met(self, query: _Query, probes: int) -> NDArray[np.unsignedinteger]:
        """For each record, how many of the query's `probes` rarest words it has."""
        met = np.zeros(len(self._keys), np.min_scalar_type(len(query.postings)))
        for posting in query.postings[:probes]:
            met[np.frombuffer(posting, np.uintc).astype(np.intp)] += 1
        return met

    def _bounded_lengths(self) -> NDArray[np.ushort]:
        return np.frombuffer(self._lengths, np.ushort)

    def _scores(self, query: _Query, records: list[int]) -> NDArray[np.float64]:
        """The score of each record; neither the query nor a record may be empty."""
        if not records:
            return np.empty(0)
        texts = [self._texts[record] for record in records]
        lcs = cdist([query.text], texts, scorer=LCSseq.similarity, dtype=np.int32)[0]
        return _f1(lcs, len(query.text), np.fromiter(map(len, texts), np.int64, len(texts)))

    def _all_but(self, records: list[int]) -> Iterator[int]:
        excluded = set(records)
        return (record for record in range(len(self._keys)) if record not in excluded)


def least_common(threshold: float, length: int) -> NDArray[np.int32]:
    """The fewest common words with which a pair's F1 exceeds `threshold`, for a text of `length` words.

    Entry m is for another text of m words, 0 to 1023, and the last one holds for all longer texts too. Where no
    number of words is enough, it is more than any text has.
    """
    if not length:
        return np.full(_LONGEST + 1, _NEVER, np.int32)
    others = np.arange(1, _LONGEST + 1)
    least = np.maximum((threshold * (length + others) / 2).astype(np.int32) - 1, 1)
    while (too_few := _f1(least, length, others) <= threshold).any():
        least += too_few
    most = np.minimum(length, others)
    most[-1] = length
    return np.concatenate(([_NEVER], np.where(least <= most, least, _NEVER)), dtype=np.int32)


def _f1(lcs: NDArray[Any], a_length: int, b_lengths: NDArray[Any]) -> NDArray[np.float64]:
    """`shared.method.rouge.f1` over arrays, by the same operations."""
    precision, recall = lcs / b_lengths, lcs / a_length
    total = precision + recall
    result: NDArray[np.float64] = 2 * precision * recall / np.where(total > 0, total, 1.0)
    return result


def _with_enough(
    postings: "list[array[int]]",
    probes: int,
    records: NDArray[np.uintc],
    met: NDArray[np.unsignedinteger],
    least: NDArray[np.int32],
) -> list[int]:
    """Those of `records` that can have as many of the words as they need.

    `met` says how many of the `probes` rarest words each record has, `least` how many of all it needs. While
    many records are left, the other words are looked up in turn.
    """
    for unprobed, posting in zip(range(len(postings) - probes, -1, -1), [*postings[probes:], None], strict=True):
        enough = met >= least - unprobed
        records, met, least = records[enough], met[enough], least[enough]
        if posting is None or len(records) <= _FEW:
            break
        having = np.frombuffer(posting, np.uintc)
        met += having[np.searchsorted(having[:-1], records)] == records
    return list(records.tolist())


def _highest(bounds: NDArray[np.float32], count: int) -> list[int]:
    """The records with the `count` highest bounds above 0, or all of them if they are fewer."""
    level = next((level for level in _LEVELS if np.count_nonzero(bounds > level) >= count), 0.0)
    records = np.flatnonzero(bounds > level)
    if len(records) > count:
        records = records[np.argpartition(bounds[records], -count)[-count:]]
    return records.tolist()


def _terms(numbers: list[int]) -> list[int]:
    """One number for each word, another for each repetition of it."""
    if len(set(numbers)) == len(numbers):
        return numbers
    repetitions: Counter[int] = Counter()
    terms = []
    for number in numbers:
        terms.append(number | repetitions[number] << 32)
        repetitions[number] += 1
    return terms
