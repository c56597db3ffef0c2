"""Lengths and their picture."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataset.length_picture import EDGES, binned, label, picture
from shared.dataset.lengths import Lengths, lengths_of
from shared.store.export_facts import Words

COUNTS = st.dictionaries(st.integers(0, 20_000), st.integers(1, 50), min_size=1, max_size=20)


@given(COUNTS, st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_figures_are_those_of_the_texts_one_by_one(counts: dict[int, int], share: float) -> None:
    lengths = Lengths(tuple(sorted(counts.items())))
    each = sorted(words for words, texts in counts.items() for _ in range(texts))
    assert lengths.texts == len(each)
    assert lengths.mean == pytest.approx(sum(each) / len(each))
    assert lengths.longest == each[-1]
    assert lengths.at(share) == next(words for place, words in enumerate(each, 1) if place >= share * len(each))
    assert lengths.up_to(3) == sum(words <= 3 for words in each)


@given(COUNTS)
def test_every_text_is_in_the_bin_of_its_length(counts: dict[int, int]) -> None:
    bins = binned(Lengths(tuple(sorted(counts.items()))))
    assert sum(bins) == sum(counts.values())
    for place, (first, after) in enumerate(zip((0, *EDGES), (*EDGES, 1 << 62), strict=True)):
        assert bins[place] == sum(texts for words, texts in counts.items() if first <= words < after)


def test_bins_are_named() -> None:
    assert [label(place) for place in (0, 1, 2, 3, len(EDGES))] == ["no word", "1", "2 to 3", "4 to 7", "8192 and more"]


def test_the_picture_is_one_whatever_is_missing() -> None:
    lengths = lengths_of([Words("output", 2, 5), Words("instruction", 40, 5)])
    assert list(lengths) == ["instruction", "output"]
    drawn = ElementTree.fromstring(picture(lengths, "a <run> & another"))  # noqa: S314 - our own picture
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "a <run> & another"
    assert [text for text in texts if text and " to " in text] == [
        "2 to 3",
        "4 to 7",
        "8 to 15",
        "16 to 31",
        "32 to 63",
    ]
