"""Novelty of many candidates, decided one after another: each against a pool and those accepted before it.

What costs is the comparing. Who was accepted matters to it only in that a refused candidate is compared with nobody;
so candidates are compared ahead, piece by piece and in other processes too, with all earlier ones of which it is not
known yet that they are refused. Those that turn out to be are left out when it is decided.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.method.known import KnownTexts
from shared.method.neighbours import Pairs, Scope
from shared.method.tallies import Bits, packed


class Piece(NamedTuple):
    """Candidates to be compared, by number from 0, and what is decided by now: a bit for each that is refused."""

    start: int
    stop: int
    decided: int
    refused: bytes


class Compared(NamedTuple):
    """How many texts each candidate of a piece is like, and which: one candidate's after another's.

    The most similar come first, equals in order. Texts are numbered through, the pool's first.
    """

    start: int
    counts: NDArray[np.intp]
    texts: NDArray[np.uint32]
    scores: NDArray[np.float64]


class Decision(NamedTuple):
    """A candidate's number, and whether it is accepted: unless a text scores above the threshold with it.

    `most_similar` has numbers of texts with their scores, the most similar first, equals in order.
    """

    candidate: int
    accepted: bool
    max_similarity: float
    most_similar: list[tuple[int, float]]


class Selection:
    """A pool and candidates. Any copy can `compare`; one has to `decide`, piece by piece in order."""

    def __init__(self, pool: Iterable[Sequence[str]], candidates: Sequence[str], threshold: float, k: int) -> None:
        """`pool`: some texts at a time. `threshold`: the Rouge-L F1 that an accepted candidate may reach. `k`: how
        many of the most similar texts are told, 1 or more."""
        self._threshold = threshold
        self._k = k
        self._known = KnownTexts()
        for texts in pool:
            self._known.add_all(texts)
        self._pool = len(self._known)
        self._known.add_all(candidates)
        self._queries = self._known.queries(candidates)
        self._accepted = bytearray()  # a byte for each that is decided

    def piece(self, start: int, stop: int) -> Piece:
        """Candidates that are to be compared as things stand."""
        accepted = np.frombuffer(self._accepted, np.uint8)
        return Piece(start, stop, len(accepted), np.packbits(accepted == 0).tobytes())

    def compare(self, piece: Piece) -> Compared:
        """What the candidates of a piece are like."""
        candidates = np.arange(piece.start, piece.stop)
        scope = Scope(self._allowed(piece), self._pool + piece.decided, self._pool + candidates)
        pairs = Pairs.all(self._known.neighbours.find(self._queries.some(candidates), self._k, scope))
        pairs = pairs.take(np.argsort(pairs.queries, kind="stable"))
        counts = np.bincount(pairs.queries, minlength=len(candidates))
        return Compared(piece.start, counts, pairs.records.astype(np.uint32), pairs.scores)

    def decide(self, compared: Compared) -> Iterator[Decision]:
        """Decide on the candidates of the next piece."""
        each = zip(compared.texts.tolist(), compared.scores.tolist(), strict=True)
        for candidate, count in enumerate(compared.counts.tolist(), compared.start):
            best = [(text, score) for text, score in islice(each, count) if self._is_known(text)][: self._k]
            if len(best) < self._k:
                best += [(text, 0.0) for text in islice(self._others(best), self._k - len(best))]
            highest = best[0][1] if best else 0.0
            accepted = highest <= self._threshold
            self._accepted.append(accepted)
            yield Decision(candidate, accepted, highest, best)

    def _is_known(self, text: int) -> bool:
        return text < self._pool or bool(self._accepted[text - self._pool])

    def _others(self, best: Sequence[tuple[int, float]]) -> Iterator[int]:
        """What else is known, in order."""
        found = {text for text, _ in best}
        accepted = compress(range(self._pool, self._pool + len(self._accepted)), self._accepted)
        return (text for text in chain(range(self._pool), accepted) if text not in found)

    def _allowed(self, piece: Piece) -> Bits:
        """The places of all that comes before the end of a piece and is not known to be refused."""
        layout = self._known.layout
        allowed = np.ones(len(self._known), np.uint8)
        refused = np.unpackbits(np.frombuffer(piece.refused, np.uint8), count=piece.decided)
        allowed[self._pool : self._pool + piece.decided] -= refused
        words = layout.words(self._pool + piece.stop)
        places = np.zeros(64 * words, np.uint8)
        records = layout.records[: 64 * words]
        places[: len(records)] = allowed[records]
        return packed(places)
