from random import Random

import numpy as np
import pytest

from shared.method.layout import Layout
from shared.method.overlaps import MANY, Overlaps
from shared.method.postings import Postings
from shared.method.tallies import sums


def counted(overlaps: Overlaps, layout: Layout, lists: list[list[int]]) -> list[list[int]]:
    """For each list and record, how many of the terms it has."""
    width = len(layout.shortest)
    found = np.zeros((len(lists), 64 * width), np.int64)
    terms = np.array([term for each in lists for term in each], np.int64)
    for start, planes in overlaps.count(terms, np.array(list(map(len, lists))), width):
        some = planes[0].shape[1]
        words, bits = (part.reshape(-1) for part in np.mgrid[0 : len(lists) * some, 0:64])
        found[:, 64 * start : 64 * (start + some)] = sums(planes, words, bits.astype(np.uint64)).reshape(len(lists), -1)
    assert not found[:, len(layout.places) :].any()
    return [row[layout.places].tolist() for row in found]


@pytest.mark.parametrize("size", [40, 1500, 9000])
def test_what_is_counted_is_what_records_have(size: int) -> None:
    """Also while shelves are filled and the rows of common terms grow old; 9,000 records take several blocks."""
    random, postings, layout = Random(size), Postings(), Layout()
    overlaps = Overlaps(postings, layout)
    records: list[set[int]] = []
    asked_at = {1, 30, size // 3, size // 2, size - 600, size}
    while len(records) < size:
        terms = {term for term in range(400) if random.random() < 0.5 / (term + 1) ** 0.9}
        postings.add(terms)
        layout.append(len(terms))
        records.append(terms)
        if len(records) in asked_at:
            known = postings.rarest_first(range(400))
            lists = [random.sample(known, min(random.randrange(1, 30), len(known))) for _ in range(90)]
            expected = [[len(record.intersection(each)) for record in records] for each in lists]
            assert counted(overlaps, layout, lists) == expected


def test_a_long_list_is_counted_in_another_way_with_the_same_result() -> None:
    random, postings, layout = Random(2), Postings(), Layout()
    records = [set(random.sample(range(2000), random.randrange(700))) for _ in range(1300)]
    for terms in records:
        postings.add(terms)
        layout.append(len(terms))
    asked = list(range(MANY + 700))
    expected = [len(record.intersection(asked)) for record in records]
    assert counted(Overlaps(postings, layout), layout, [asked]) == [expected]
