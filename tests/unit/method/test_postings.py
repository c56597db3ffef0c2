from random import Random

import numpy as np
import pytest

from shared.method.postings import Postings


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
