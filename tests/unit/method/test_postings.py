from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.method.postings import Postings, terms_of
from shared.method.vocabulary import Numbered


@pytest.mark.parametrize("size", [0, 1, 500, 6000])
def test_what_is_counted_and_looked_up_is_what_was_added(size: int) -> None:
    """Also while the index grows beyond the bitmaps it has made, and makes them anew."""
    random = Random(size)
    postings, records = Postings(), list[set[int]]()
    for number in range(size):
        terms = {term for term in range(12) if random.random() < 0.9 / (term + 1) ** 2}
        postings.add(terms)
        records.append(terms)
        if number % 97 == 96 or number == size - 1:
            asked = random.sample(range(12), 7)
            some = np.array(sorted(random.sample(range(number + 1), (number + 1) // 2)), np.uintc)
            known = postings.rarest_first(asked)
            assert postings.count(known).tolist() == [len(record.intersection(asked)) for record in records]
            for term in known:
                assert postings.having(term, some).tolist() == [term in records[each] for each in some.tolist()]


def test_terms_come_from_the_rarest_to_the_most_common() -> None:
    postings = Postings()
    for terms in ([1, 2, 3], [2, 3], [3]):
        postings.add(terms)
    assert postings.rarest_first([3, 9, 2, 1]) == [1, 2, 3]
    assert postings.rarest_first([9]) == []
    assert postings.count([]).tolist() == [0, 0, 0]


def test_records_are_added_while_somebody_keeps_the_frame_of_a_look_up() -> None:
    postings = Postings()
    postings.add([1, 2])
    with pytest.raises(TypeError) as kept:
        postings.having(1, None)  # type: ignore[arg-type]  # so that it fails, and its frame is kept
    postings.add([2, 1])
    assert kept.tb is not None
    assert postings.count([1, 2]).tolist() == [2, 2]


@given(st.lists(st.lists(st.integers(0, 6), max_size=9), max_size=12), st.integers(0, 12))
def test_many_texts_added_at_once_have_the_terms_that_each_has_alone(texts: list[list[int]], alone: int) -> None:
    one_by_one, together = Postings(), Postings()
    for text in texts:
        one_by_one.add(terms_of(text))
    for text in texts[:alone]:
        together.add(terms_of(text))
    for some in (texts[alone : alone + 5], texts[alone + 5 :]):
        numbers = np.array([number for text in some for number in text], np.uint32)
        together.add_all(Numbered(numbers, np.array(list(map(len, some)), np.intp)))
    terms = sorted({term for text in texts for term in terms_of(text)})
    assert together.records == one_by_one.records
    assert together.known([*terms, 99]) == [True] * len(terms) + [False]
    assert [together.records_with(term) for term in terms] == [one_by_one.records_with(term) for term in terms]


def test_many_texts_are_added_while_somebody_keeps_a_view() -> None:
    postings = Postings()
    postings.add([1])
    kept = np.frombuffer(postings.records_with(1), np.uintc)
    postings.add_all(Numbered(np.array([1, 1, 2], np.uint32), np.array([2, 1])))
    assert kept.tolist() == [0]
    assert postings.count([1, 2]).tolist() == [1, 1, 1]
