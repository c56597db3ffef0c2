"""Texts in the forms in which they are searched. There are only ever more of them."""

from collections.abc import Sequence

from shared.method.layout import Layout
from shared.method.neighbours import Neighbours, Queries
from shared.method.overlaps import Overlaps
from shared.method.postings import Postings, terms_of
from shared.method.rouge import Symbols, symbols, words
from shared.method.vocabulary import Vocabulary

_AT_ONCE = 20_000  # texts that are taken apart together, ...
_FEW = 16  # ... and alone


class KnownTexts:
    """Texts, numbered as they come: as symbols for rapidfuzz, as postings, and laid out for bitmaps."""

    def __init__(self) -> None:
        self.words = Vocabulary()
        self.postings = Postings()
        self.texts: list[Symbols] = []
        self.layout = Layout()
        self.neighbours = Neighbours(self.texts, Overlaps(self.postings, self.layout), self.layout)

    def __len__(self) -> int:
        return len(self.texts)

    def add(self, text: str) -> None:
        """Put a text at the end."""
        numbers = list(map(self.words.__getitem__, words(text)))
        self.postings.add(terms_of(numbers))
        self.texts.append(symbols(numbers))
        self.layout.append(len(numbers))

    def add_all(self, texts: Sequence[str]) -> None:
        """Put texts at the end; many at a quarter of the cost of each alone."""
        if len(texts) < _FEW:
            for text in texts:
                self.add(text)
            return
        for start in range(0, len(texts), _AT_ONCE):
            numbered = self.words.learn(texts[start : start + _AT_ONCE])
            self.postings.add_all(numbered)
            self.texts += numbered.symbols()
            self.layout.extend(numbered.lengths)

    def queries(self, texts: Sequence[str]) -> Queries:
        """Texts to ask about."""
        return Queries.of(self.words.look_up(texts), self.postings)

    def best_of_each(self, texts: Sequence[str], k: int) -> list[list[tuple[int, float]]]:
        """For each of `texts` the `k` best of those that score above 0, equals in order of insertion."""
        found: list[list[tuple[int, float]]] = [[] for _ in texts]
        for pairs in self.neighbours.find(self.queries(texts), k):
            for query, record, score in pairs.each():
                found[query].append((record, score))
        return [best[:k] for best in found]
