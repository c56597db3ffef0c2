"""The known texts most similar to each of some queries, exactly, many queries at a time.

The words that a pair has in common, with repetitions, bound its longest common subsequence, and with the two lengths
its Rouge-L F1. They are counted for all pairs, 64 records at once (`shared.method.overlaps`). For each query a bound
is guessed that some dozens of records reach; of these the most promising are compared, and the k-th best score is a
floor for all others. Records whose bound lies between the floor and the guess are looked for in further rounds.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

from shared.method.layout import Layout
from shared.method.overlaps import MANY, Overlaps
from shared.method.postings import WORD_BITS, Postings
from shared.method.rouge import Symbols
from shared.method.tallies import Bits, at_least, positions, sums
from shared.method.vocabulary import Numbered, repetitions

_MOST_QUERIES = 96
_MOST_WORDS = 1 << 22  # of all rows of bits that a batch may need
_FIRST = 32  # pairs of a query that are compared before there is a floor, ...
_PROMISING = 4  # ... of so many times as many that are looked at
_STRIDE = 11  # of the words that are looked at for a guess; shelves are 16 words, of which all kinds shall be seen
_HALVINGS = 6
_LOWER = 0.75  # times a guess that was too high
_LOWEST = 0.02  # of guesses
_SLACK = 1e-9  # of a product, rounded

Floats = NDArray[np.float64]
Numbers = NDArray[np.intp]


class Queries(NamedTuple):
    """Texts, and the terms that any record has: those of one text after another, and how many each has."""

    texts: list[Symbols]
    terms: NDArray[np.int64]
    counts: Numbers

    @classmethod
    def of(cls, texts: Numbered, postings: Postings) -> "Queries":
        """Texts as numbers of words."""
        keys = texts.owners() << WORD_BITS | texts.numbers
        keys.sort()
        terms = repetitions(keys) << WORD_BITS | keys & ((1 << WORD_BITS) - 1)
        distinct, numbers = np.unique(terms, return_inverse=True)
        known = np.array(postings.known(distinct.tolist()), np.bool_)[numbers]
        counts = np.bincount(keys[known] >> WORD_BITS, minlength=len(texts.lengths))
        return cls(texts.symbols(), terms[known], counts)

    def some(self, numbers: Numbers) -> "Queries":
        """Those with the given numbers, in their order."""
        starts = np.cumsum(self.counts) - self.counts
        counts = self.counts[numbers]
        skipped = np.repeat(starts[numbers] - (np.cumsum(counts) - counts), counts)
        return Queries([self.texts[n] for n in numbers.tolist()], self.terms[skipped + np.arange(len(skipped))], counts)


class Scope(NamedTuple):
    """Which records queries are compared with, and which of them count among the k best.

    `allowed` has a bit for each of the first places. Allowed records before `certain` count; later ones, before a
    limit which is given for each query, are found if they score as high as the k-th best of those.
    """

    allowed: Bits
    certain: int
    limits: Numbers


class Pairs(NamedTuple):
    """Queries, records, and what a pair scores, or scores at most."""

    queries: Numbers
    records: Numbers
    scores: Floats

    def where(self, condition: NDArray[np.bool_]) -> "Pairs":
        """Those for which the condition holds."""
        return self.take(np.flatnonzero(condition))

    def take(self, numbers: Numbers) -> "Pairs":
        """Those with the given numbers, in their order."""
        return Pairs(self.queries.take(numbers), self.records.take(numbers), self.scores.take(numbers))

    def ranks(self) -> Numbers:
        """For each its place among those of its query, from 0, if they stand query by query."""
        counts = np.bincount(self.queries)
        return np.arange(len(self.queries)) - (counts.cumsum() - counts).take(self.queries)

    def each(self) -> Iterator[tuple[int, int, float]]:
        """Query, record and score of each pair."""
        return zip(self.queries.tolist(), self.records.tolist(), self.scores.tolist(), strict=True)

    @classmethod
    def all(cls, parts: Iterable["Pairs"]) -> "Pairs":
        """Several of them in one."""
        none = cls(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))
        return cls(*map(np.concatenate, zip(none, *parts, strict=True)))


class Neighbours:
    """Looks for the most similar of `texts`, of which `overlaps` and `layout` know."""

    def __init__(self, texts: Sequence[Symbols], overlaps: Overlaps, layout: Layout) -> None:
        self._texts = texts
        self._overlaps = overlaps
        self._layout = layout

    def find(self, queries: Queries, k: int, scope: Scope | None = None) -> Iterator[Pairs]:
        """The `k` records most similar to each query, of those that score above 0, some queries at a time.

        A query's pairs stand together, from the highest score down, equals in order of insertion; with equals of the
        last, and with a `scope` with what does not count, there may be more of them.
        """
        if k < 1:
            return
        for numbers in self._batches(queries.counts):
            of_these = scope and scope._replace(limits=scope.limits[numbers])
            batch = _Batch(self._texts, self._layout, self._overlaps, queries.some(numbers), k, of_these)
            pairs = batch.best()
            yield pairs._replace(queries=numbers.take(pairs.queries))

    def _batches(self, counts: Numbers) -> Iterator[Numbers]:
        """The numbers of queries that are alike in how many terms they have, and have not too many in all."""
        left = np.argsort(counts, kind="stable")
        left = left[counts[left] > 0]
        most_terms = _MOST_WORDS // max(len(self._layout.shortest), 1)
        while len(left):
            some = left[:_MOST_QUERIES]
            fit = (counts[some] <= MANY) & (counts[some].cumsum() <= most_terms)
            some = some[: max(np.count_nonzero(fit), 1)]
            yield some
            left = left[len(some) :]


class _Batch:
    """Some queries at a time."""

    def __init__(
        self,
        texts: Sequence[Symbols],
        layout: Layout,
        overlaps: Overlaps,
        queries: Queries,
        k: int,
        scope: Scope | None,
    ) -> None:
        self._known = texts
        self._layout = layout
        self._scope = scope
        self._k = k
        self._first = max(_FIRST, 2 * k)
        self._texts = queries.texts
        self._lengths = np.array(list(map(len, self._texts)))
        self._shortest = layout.shortest[: len(scope.allowed)] if scope else layout.shortest
        self._counted = list(overlaps.count(queries.terms, queries.counts, len(self._shortest)))

    def best(self) -> Pairs:
        """The best pairs of each query."""
        lowest = self._guess()
        found = self._compared(self._bounded(lowest), np.zeros(len(self._texts)))
        floors = self._floors(found)
        while len(again := np.flatnonzero(floors < lowest)):
            lower = np.where(lowest < _LOWEST, 0, np.maximum(floors, _LOWER * lowest))
            more = self._bounded(lower, again)
            more = self._compared(more.where(more.scores < lowest[more.queries]), floors)
            found = Pairs.all([found, more])
            lowest[again] = lower[again]
            floors = self._floors(found)
        found = found.where(found.scores >= floors.take(found.queries))
        return found.take(np.lexsort((found.records, -found.scores, found.queries)))

    def _guess(self) -> Floats:
        """For each query a bound that about as many records reach as shall be looked at."""
        step = _STRIDE if len(self._shortest) > 4 * _STRIDE else 1
        sampled = [[plane[:, -start % step :: step] for plane in planes] for start, planes in self._counted]
        planes = [np.hstack(parts) for parts in zip(*sampled, strict=True)]
        others, kinds = np.unique(self._shortest[::step], return_inverse=True)
        low, high = np.zeros(len(self._texts)), np.ones(len(self._texts))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            reached = at_least(planes, _least_common(middle, self._lengths, others), kinds)
            if self._scope:
                reached &= self._scope.allowed[::step]
            enough = np.bitwise_count(reached).sum(axis=1) * step >= _PROMISING * self._first
            low, high = np.where(enough, middle, low), np.where(enough, high, middle)
        return low

    def _bounded(self, bounds: Floats, some: Numbers | None = None) -> Pairs:
        """The pairs whose bound is one of `bounds` or more, of all queries or of some; the most promising first."""
        which = np.arange(len(self._texts)) if some is None else some
        return _promising_first(Pairs.all(self._reaching(bounds, which, *counted) for counted in self._counted))

    def _reaching(self, bounds: Floats, which: Numbers, start: int, planes: Sequence[Bits]) -> Pairs:
        if len(which) < len(self._texts):
            planes = [plane[which] for plane in planes]
        width = planes[0].shape[1]
        others, kinds = np.unique(self._shortest[start : start + width], return_inverse=True)
        reached = at_least(planes, _least_common(bounds[which], self._lengths[which], others), kinds)
        if self._scope:
            reached &= self._scope.allowed[start : start + width]
        words, bits = positions(reached)
        rows = words // width
        places = (words - rows * width + start) * 64 + bits.astype(np.intp)
        queries, records = which.take(rows), self._layout.records.take(places).astype(np.intp)
        lengths = self._lengths.take(queries), self._layout.lengths.take(records)
        pairs = Pairs(queries, records, f1(sums(planes, words, bits), *lengths))
        fit = pairs.scores >= bounds.take(queries)
        if self._scope:
            fit &= records < self._scope.limits.take(queries)
        return pairs.where(fit)

    def _compared(self, pairs: Pairs, floors: Floats) -> Pairs:
        """The scores of the first pairs, and of all others whose bound reaches what these make the k-th best."""
        first = pairs.ranks() < self._first
        compared = self._scored(pairs.where(first))
        floors = np.maximum(floors, self._floors(compared))
        rest = pairs.where(~first & (pairs.scores >= floors.take(pairs.queries)))
        compared = Pairs.all([compared, self._scored(rest)])
        return compared.where(compared.scores >= floors.take(compared.queries))

    def _scored(self, pairs: Pairs) -> Pairs:
        ends = np.bincount(pairs.queries, minlength=len(self._texts)).cumsum().tolist()
        others = list(map(self._known.__getitem__, pairs.records.tolist()))
        found = np.empty(len(others), np.int64)
        for text, start, end in zip(self._texts, [0, *ends], ends, strict=False):
            if start < end:
                found[start:end] = lcs(text, others[start:end])
        lengths = self._lengths.take(pairs.queries), self._layout.lengths.take(pairs.records)
        return pairs._replace(scores=f1(found, *lengths))

    def _floors(self, pairs: Pairs) -> Floats:
        """The k-th best score of each query among what counts; 0 where there are fewer."""
        if self._scope:
            pairs = pairs.where(pairs.records < self._scope.certain)
        pairs = pairs.take(np.argsort(pairs.queries, kind="stable"))
        ranks = pairs.ranks()
        scores = np.zeros((len(self._texts), max(int(ranks.max(initial=0)) + 1, self._k)))
        scores[pairs.queries, ranks] = pairs.scores
        return np.partition(scores, -self._k, axis=1)[:, -self._k]


def _least_common(bounds: Floats, lengths: Numbers, others: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """The fewest common words, or one less, with which texts of some lengths reach a bound with others of some."""
    least = np.ceil((bounds * (0.5 - _SLACK))[:, None] * (lengths[:, None] + others))
    return np.maximum(least, 1).astype(np.uint64)


def _promising_first(pairs: Pairs) -> Pairs:
    """Query by query, from the highest score down."""
    order = ((2 - pairs.scores) * (1 << 22)).astype(np.intp)
    keys = pairs.queries << 56 | order << 32 | np.arange(len(order))
    keys.sort()
    return pairs.take(keys & 0xFFFFFFFF)


def lcs(text: Symbols, others: Sequence[Symbols]) -> NDArray[np.int32]:
    """The length of the longest common subsequence of a text with each of the others."""
    lengths: NDArray[np.int32] = cdist((text,), others, scorer=LCSseq.similarity)[0]
    return lengths


def f1(common: NDArray[Any], a_lengths: NDArray[Any] | int, b_lengths: NDArray[Any]) -> Floats:
    """`shared.method.rouge.f1` over arrays, by the same operations."""
    precision, recall = common / b_lengths, common / a_lengths
    total = precision + recall
    result: Floats = 2 * precision * recall / np.where(total > 0, total, 1.0)
    return result
