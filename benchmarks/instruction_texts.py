"""Made-up instructions for benchmarks, any number of them, always the same for the same seed.

Phrases of the shipped seed tasks are strung together and half of their longer words replaced by words of a
vocabulary in which, as in language, the n-th word is about 1/n as frequent as the first. So lengths (8 to 25
words), function words and turns of phrase are those of instructions. One in ten is an earlier one of the last
few thousand with a word or two changed, as LMs repeat themselves.
"""

from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate, product
from random import Random

from shared.dataset.seed_files import load_seeds

VOCABULARY = 30_000
REPEATS = 0.1  # the share of texts that are nearly an earlier one
REPLACED = 0.5  # the share of longer words that are replaced
SHORTEST, LONGEST = 8, 25  # words
REMEMBERED = 5_000
SYLLABLES = ["ba", "co", "der", "fin", "gal", "hum", "ist", "jor", "ken", "lo", "mar", "nel", "ost", "pri", "qua"]
SYLLABLES += ["ron", "sel", "ter", "ul", "ven", "wick", "xi", "yar", "zon", "tion", "ment", "al", "ing", "er", "ly"]


def instructions(seed: int = 0) -> Iterator[str]:
    """Instructions without end."""
    random = Random(seed)
    known = [each.instruction.split() for each in load_seeds()]
    longer = sorted({word.strip(".,:;?!()\"'").lower() for text in known for word in text if len(word) > 4})
    coined = ("".join(parts) for count in (2, 3, 4) for parts in product(SYLLABLES, repeat=count))
    vocabulary = random.sample(longer, len(longer))
    vocabulary += [next(coined) for _ in range(VOCABULARY - len(vocabulary))]
    heights = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    recent: list[list[str]] = []

    def any_word() -> str:
        return vocabulary[bisect(heights, random.random() * heights[-1], hi=VOCABULARY - 1)]

    while True:
        if recent and random.random() < REPEATS:
            words = list(random.choice(recent))
            for _ in range(random.randint(0, 2)):
                words[random.randrange(len(words))] = any_word()
        else:
            words = _strung_together(random, known)
            words = [any_word() if len(word) > 4 and random.random() < REPLACED else word for word in words]
        recent.append(words)
        if len(recent) > 2 * REMEMBERED:
            del recent[:REMEMBERED]
        yield " ".join(words)


def _strung_together(random: Random, known: list[list[str]]) -> list[str]:
    """Phrases of three to eight words, the first one a beginning."""
    length = random.randint(SHORTEST, LONGEST)
    words = random.choice(known)[: random.randint(3, 8)]
    while len(words) < length:
        other = random.choice(known)
        start = random.randrange(len(other))
        words = words + other[start : start + random.randint(3, 8)]
    return words[:length]
