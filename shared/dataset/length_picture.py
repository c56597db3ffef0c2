"""How long an export's instructions, inputs and outputs are, as a picture."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from shared.dataset.drawing import BAR, COLOURS, GAP, LABELS, MARGIN, bar, document, legend, name, text
from shared.dataset.lengths import PARTS, Lengths

EDGES = tuple(1 << power for power in range(14))  # words; a bin begins with one and ends before the next


def picture(lengths: Mapping[str, Lengths], title: str) -> str:
    """An SVG document: for each bin of lengths a bar for the instructions, the inputs and the outputs."""
    bins = {part: binned(lengths[part]) if part in lengths else [0] * (len(EDGES) + 1) for part in PARTS}
    filled = [place for counts in bins.values() for place, count in enumerate(counts) if count]
    places = range(min(filled), max(filled) + 1)
    most = max(max(counts) for counts in bins.values())
    parts = [text(MARGIN + LABELS - 8, 82, "words", anchor="end"), *legend(72, [f"{part}s" for part in PARTS])]
    y = 104
    for place in places:
        parts.append(name(MARGIN + LABELS - 8, y + len(PARTS) * BAR // 2 + 5, label(place), anchor="end"))
        for part, colour in zip(PARTS, COLOURS, strict=True):
            parts += bar(y, bins[part][place] / most, str(bins[part][place]), colour)
            y += BAR
        y += GAP
    subtitle = "How many instructions, inputs and outputs have so many words"
    return document(title, subtitle, description(lengths), parts, y + 12)


def binned(lengths: Lengths) -> list[int]:
    """How many texts fall into each bin; the first is for those without a word."""
    counts = [0] * (len(EDGES) + 1)
    for words, texts in lengths.counts:
        counts[bisect_right(EDGES, words)] += texts
    return counts


def label(place: int) -> str:
    """The lengths of a bin."""
    if not place:
        return "no word"
    first = EDGES[place - 1]
    if place == len(EDGES):
        return f"{first} and more"
    last = EDGES[place] - 1
    return f"{first}" if first == last else f"{first} to {last}"


def description(lengths: Mapping[str, Lengths]) -> str:
    """The picture in words, for who can't see it."""
    return f"How many texts have so many words. {'; '.join(_told(part, each) for part, each in lengths.items())}."


def _told(part: str, lengths: Lengths) -> str:
    filled: Sequence[tuple[int, int]] = [(place, count) for place, count in enumerate(binned(lengths)) if count]
    return f"{part}s: {', '.join(f'{label(place)}: {count}' for place, count in filled)}"
