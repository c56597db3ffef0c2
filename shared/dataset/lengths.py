"""How long many texts are: how many of them have so many words."""

from collections.abc import Iterable
from dataclasses import dataclass

from shared.store.export_facts import Words

PARTS = ("instruction", "input", "output")


@dataclass(frozen=True, slots=True)
class Lengths:
    """Pairs of a number of words and how many texts have it, the shortest first."""

    counts: tuple[tuple[int, int], ...]

    @property
    def texts(self) -> int:
        """How many texts there are."""
        return sum(texts for _, texts in self.counts)

    @property
    def mean(self) -> float:
        """Words on average."""
        return sum(words * texts for words, texts in self.counts) / self.texts

    @property
    def longest(self) -> int:
        """Words of the longest."""
        return self.counts[-1][0]

    def at(self, share: float) -> int:
        """The fewest words that at least this share of the texts do not exceed: SQL's percentile_disc."""
        seen = 0
        for words, texts in self.counts:
            seen += texts
            if seen >= share * self.texts:
                return words
        return self.longest

    def up_to(self, words: int) -> int:
        """How many texts have no more words."""
        return sum(texts for count, texts in self.counts if count <= words)


def lengths_of(words: Iterable[Words]) -> dict[str, Lengths]:
    """By the part of the example; there is no `input` if no example has one."""
    by_part: dict[str, list[tuple[int, int]]] = {part: [] for part in PARTS}
    for each in words:
        by_part[each.part].append((each.words, each.examples))
    return {part: Lengths(tuple(sorted(counts))) for part, counts in by_part.items() if counts}
