"""Novelty: does any known text have Rouge-L F1 above a threshold with a new one, and which are most like it.

Exact, though few pairs are compared. A pair scores above the threshold only if its longest common subsequence
has some least number of words, which follows from the two lengths (`least_common`), and the texts share at
least that many words. A known text that must share w of a query's c known words lacks c - w of them at most, so
it is met among the postings of the rarest c - w + 1, and twice among the rarest c - w + 2. Texts that are met
too seldom for their length fall away unseen; the rest are compared, by their integer LCS. This is a prefix filter
(Chaudhuri, Ganti and Kaushik, ICDE 2006) on the query's side alone: nothing that is stored depends on how rare a
word is, so the index only ever grows.

The k-th repetition of a word counts as a word of its own, so that words are shared as between multisets.

The most similar of a few texts are found in the postings, too, those of many at once as `shared.method.neighbours`
says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.method.known import KnownTexts
from shared.method.neighbours import f1, lcs
from shared.method.postings import terms_of
from shared.method.rouge import Symbols, symbols, words

_LONGEST = 1023  # words; longer texts are bounded as if they had so many, and scored as they are
_NEVER = 1 << 30  # more common words than any two texts have
_FEW = 64  # records that are compared sooner than thought about
_SOME = 4  # as many likely records are looked at as are compared
_SAMPLE = 1 << 14  # records
_TOGETHER = 8  # texts that are ranked with less effort together than each alone


class Match(NamedTuple):
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
    terms: Sequence[int]  # those that any record has, the rarest first


class Ranking(NamedTuple):
    """The `k` texts most similar to one, among the first `known` of an index."""

    matches: tuple[Match, ...]
    known: int
    k: int


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
        self._known = KnownTexts()
        self._keys: list[str] = []
        self._lock = Lock()

    def __len__(self) -> int:
        """How many texts are known."""
        return len(self._keys)

    def add(self, key: str, text: str) -> None:
        """Make `text` known under `key`."""
        with self._lock:
            self._known.add(text)
            self._keys.append(key)

    def add_all(self, keys: Iterable[str], texts: Sequence[str]) -> None:
        """Make each of `texts` known under its key, at a quarter of the cost of `add`."""
        with self._lock:
            self._known.add_all(texts)
            self._keys += keys

    def nearest_above(self, text: str) -> Match | None:
        """The most similar known text if it scores above the threshold, the earliest of equals; else none."""
        with self._lock:
            query = self._query(text)
            records = self._suspects(query, self._least_common(len(query.text)))
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
        return list(self.rank(text, k).matches)

    def rank(self, text: str, k: int = 10) -> Ranking:
        """What `most_similar` finds, and among how many texts, so that it can be brought up to date."""
        return self.rank_all([text], k)[0]

    def rank_all(self, texts: Sequence[str], k: int = 10) -> list[Ranking]:
        """The ranking of each of `texts`: of many together at a fraction of what each costs alone."""
        with self._lock:
            alone = len(texts) < _TOGETHER
            found = [self._best(text, k) for text in texts] if alone else self._known.best_of_each(texts, k)
            return [Ranking(self._matches(best, k), len(self._keys), k) for best in found]

    def _matches(self, best: Sequence[tuple[int, float]], k: int) -> tuple[Match, ...]:
        """The best that score above 0, and the earliest of the others where there are too few."""
        matches = [Match(self._keys[record], score) for record, score in best]
        if len(best) < k:
            found = {record for record, _ in best}
            others = (record for record in range(len(self._keys)) if record not in found)
            matches += [Match(self._keys[record], 0.0) for record in islice(others, k - len(best))]
        return tuple(matches)

    def updated(self, text: str, ranking: Ranking) -> Ranking:
        """The ranking of `text` among all that is known, from that among what was known some time ago.

        Its cost grows with what has come since, not with what is known.
        """
        with self._lock:
            new = range(ranking.known, len(self._keys))
            # The last of a full list gives way to what scores higher, never to its equal.
            least = ranking.matches[-1].score if len(ranking.matches) == ranking.k > 0 else -1.0
            scores = self._scores(self._query(text), new)
            better = [Match(self._keys[new[n]], float(scores[n])) for n in np.flatnonzero(scores > least).tolist()]
            matches = sorted([*ranking.matches, *better], key=lambda match: -match.score)  # equals: as inserted
            return Ranking(tuple(matches[: ranking.k]), len(self._keys), ranking.k)

    def assess(self, text: str, k: int = 10) -> Novelty:
        """The decision of `nearest_above`, with the `k` most similar texts, 1 at least."""
        return self.decide(self.rank(text, k))

    def decide(self, ranking: Ranking) -> Novelty:
        """The decision that follows from a ranking that is up to date."""
        highest = ranking.matches[0].score if ranking.matches else 0.0
        return Novelty(highest <= self.threshold, highest, ranking.matches)

    def _query(self, text: str) -> _Query:
        unknown = len(self._known.words)
        numbers = [self._known.words.get(word, unknown) for word in words(text)]
        return _Query(symbols(numbers), self._known.postings.rarest_first(terms_of(numbers)))

    def _suspects(self, query: _Query, least: NDArray[np.int32]) -> list[int]:
        """Records in order of insertion, among them all that have the `least` words in common with the query."""
        known, fewest = len(query.terms), int(least.min())
        if known < fewest:
            return []
        probes = min(known - fewest + 2, known)
        met = self._known.postings.count(query.terms[:probes])
        records = np.flatnonzero(met >= fewest - (known - probes)).astype(np.uintc)
        lengths = np.minimum(self._known.layout.lengths[records], _LONGEST)
        return self._with_enough(query.terms[probes:], records, met[records], least[lengths])

    def _with_enough(
        self,
        others: Sequence[int],
        records: NDArray[np.uintc],
        met: NDArray[np.unsignedinteger],
        least: NDArray[np.int32],
    ) -> list[int]:
        """Those of `records` that can have as many of the words as they need.

        `met` says how many of the query's words but the `others` each record has, `least` how many of all it
        needs. While many records are left, the others are looked up in turn.
        """
        for unprobed, term in zip(range(len(others), -1, -1), [*others, None], strict=True):
            enough = met >= least - unprobed
            records, met, least = records[enough], met[enough], least[enough]
            if term is None or len(records) <= _FEW:
                break
            met += self._known.postings.having(term, records)
        return list(records.tolist())

    def _best(self, text: str, k: int) -> list[tuple[int, float]]:
        """The `k` best of those that score above 0, equals in order of insertion."""
        query = self._query(text)
        records = self._promising(query, k)
        scores = self._scores(query, records)
        return [(records[n], float(scores[n])) for n in np.lexsort((np.array(records), -scores))[:k].tolist()]

    def _promising(self, query: _Query, k: int) -> list[int]:
        """Records in order of insertion, among them the `k` best of those that score above 0.

        The k-th best of some that have much in common with the query is a floor for all others. Even a record
        with no word of its own needs some number of common words to reach it.
        """
        length = min(max(len(query.text), 1), _LONGEST)
        met = self._known.postings.count(query.terms)
        likely = _with_most(met, _SOME * max(k, _FEW))
        bounds = self._bounds(met, likely, length)
        if len(likely) > max(k, _FEW):
            likely = likely[np.argpartition(bounds, -max(k, _FEW))[-max(k, _FEW) :]]
        scores = np.sort(self._scores(query, likely.tolist()))
        floor = scores[-k] * (1 - 1e-6) if len(scores) >= k > 0 else 0.0  # the bounds have 24 bits
        records = np.flatnonzero(met >= max(floor * length / (2 - floor), 1))
        return list(records[self._bounds(met, records, length) >= floor].tolist())

    def _bounds(self, met: NDArray[np.unsignedinteger], records: NDArray[np.intp], length: int) -> NDArray[np.float32]:
        """What each of `records` scores at most with a text of `length` words, `met` of which it has."""
        lengths = np.minimum(self._known.layout.lengths[records], _LONGEST) + length
        bounds: NDArray[np.float32] = np.divide(met[records], lengths, dtype=np.float32)
        return 2 * bounds

    def _scores(self, query: _Query, records: Sequence[int]) -> NDArray[np.float64]:
        """The score of each record."""
        texts = [self._known.texts[record] for record in records]
        if not texts or not query.text:
            return np.zeros(len(texts))
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        return f1(lcs(query.text, texts), len(query.text), np.maximum(lengths, 1))


def least_common(threshold: float, length: int) -> NDArray[np.int32]:
    """The fewest common words with which a pair's F1 exceeds `threshold`, for a text of `length` words.

    Entry m is for another text of m words, 0 to 1023, and the last one holds for all longer texts too. Where no
    number of words is enough, it is more than any text has.
    """
    if not length:
        return np.full(_LONGEST + 1, _NEVER, np.int32)
    others = np.arange(1, _LONGEST + 1)
    least = np.maximum((threshold * (length + others) / 2).astype(np.int32) - 1, 1)
    while (too_few := f1(least, length, others) <= threshold).any():
        least += too_few
    most = np.minimum(length, others)
    most[-1] = length
    return np.concatenate(([_NEVER], np.where(least <= most, least, _NEVER)), dtype=np.int32)


def _with_most(met: NDArray[np.unsignedinteger], count: int) -> NDArray[np.intp]:
    """About `count` records, or more, that have met most often, and at least once."""
    stride = 1 + len(met) // _SAMPLE
    how_many = np.bincount(met[::stride])[::-1].cumsum()  # that have met as often as the most, or 1, 2, 3 … less
    level = len(how_many) - 1 - int(np.searchsorted(how_many, count / stride))
    return np.flatnonzero(met >= max(level, 1))
