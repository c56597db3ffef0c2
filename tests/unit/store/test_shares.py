"""Dividing a model's window among workers."""

from hypothesis import given
from hypothesis import strategies as st

from shared.store.shares import divide

wants = st.dictionaries(st.sampled_from("abcde"), st.tuples(*[st.integers(0, 20)] * 3), min_size=1)


@given(st.integers(0, 50), wants)
def test_slots_are_neither_made_up_nor_left_unused(size: int, wanted: dict[str, tuple[int, int, int]]) -> None:
    given_slots = divide(size, wanted)
    assert sum(given_slots.values()) == min(size, sum(map(sum, wanted.values())))
    assert all(0 <= slots <= sum(wanted[worker]) for worker, slots in given_slots.items())


@given(st.integers(0, 50), st.dictionaries(st.sampled_from("abcde"), st.integers(0, 20), min_size=1))
def test_nobody_gets_more_by_two_than_one_who_wanted_more(size: int, wanted: dict[str, int]) -> None:
    slots = divide(size, {worker: [count] for worker, count in wanted.items()})
    assert all(slots[one] <= slots[other] + 1 for one in slots for other in slots if slots[other] < wanted[other])


def test_the_last_stage_is_served_first() -> None:
    assert divide(4, {"early": (9, 0, 0), "late": (0, 0, 3)}) == {"early": 1, "late": 3}


def test_one_slot_goes_to_one_worker() -> None:
    assert sum(divide(1, {"a": (5,), "b": (5,)}).values()) == 1
