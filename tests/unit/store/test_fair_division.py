"""Dividing a model's window among runs and among workers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from shared.method.division import divide_by_stage, due
from shared.method.pace import PASSED_ON, TOLERANCE
from shared.store.fair_division import divide_by_weight

names = st.sampled_from("abcde")
wants = st.dictionaries(names, st.tuples(*[st.integers(0, 20)] * 3), min_size=1)
counts = st.dictionaries(names, st.integers(0, 40), min_size=1)
weights = st.fixed_dictionaries(dict.fromkeys("abcde", st.floats(0.01, 1000)))
turns = st.integers(0, 9)


@given(st.integers(0, 50), wants)
def test_slots_are_neither_made_up_nor_left_unused(size: int, wanted: dict[str, tuple[int, int, int]]) -> None:
    given_slots = divide_by_stage(size, wanted)
    assert sum(given_slots.values()) == min(size, sum(map(sum, wanted.values())))
    assert all(0 <= slots <= sum(wanted[worker]) for worker, slots in given_slots.items())


@given(st.integers(0, 50), counts)
def test_nobody_gets_more_by_two_than_one_who_wanted_more(size: int, wanted: dict[str, int]) -> None:
    slots = divide_by_stage(size, {worker: [count] for worker, count in wanted.items()})
    assert all(slots[one] <= slots[other] + 1 for one in slots for other in slots if slots[other] < wanted[other])


def test_the_last_stage_is_served_first() -> None:
    assert divide_by_stage(4, {"early": (9, 0, 0), "late": (0, 0, 3)}) == {"early": 1, "late": 3}


def test_one_slot_goes_to_one_worker() -> None:
    assert sum(divide_by_stage(1, {"a": (5,), "b": (5,)}).values()) == 1


@dataclass
class Fellow:
    """A worker of a run that shares a window with others."""

    wanted: Sequence[int]
    reserved: int


SIZE = 128


def renew(fellows: dict[str, Fellow]) -> dict[str, int]:
    """All renew in turn, their calls short; returns how many slots each was to go on with."""
    slots = {}
    for name, each in fellows.items():
        others = sum(fellow.reserved for fellow in fellows.values()) - each.reserved
        slots[name] = due(name, fellows, allotted=SIZE, share=each.reserved)
        each.reserved = min(slots[name], SIZE - others)
    return slots


def test_what_a_worker_can_use_is_passed_on_a_little_at_a_time_until_the_other_has_nearly_its_part() -> None:
    early, late = Fellow((SIZE, 0, 0), SIZE), Fellow((0, 0, SIZE), 0)
    steps = [renew({"early": early, "late": late})["early"] for _ in range(SIZE)]
    assert steps[:3] == [SIZE - 2, SIZE - 4, SIZE - 6]
    assert (early.reserved, late.reserved) == (SIZE // TOLERANCE, SIZE - SIZE // TOLERANCE)


def test_work_that_comes_and_goes_moves_few_slots() -> None:
    one, other = Fellow((SIZE, 0, 0), SIZE // 2), Fellow((SIZE, 0, 0), SIZE // 2)
    for late in (0, SIZE, 0, SIZE, 0):
        one.wanted = (SIZE, 0, late)
        renew({"one": one, "other": other})
        assert abs(one.reserved - SIZE // 2) <= 2 * SIZE // PASSED_ON


def test_what_a_worker_can_not_use_is_passed_on_at_once() -> None:
    fellows = {"ending": Fellow((3, 0, 0), SIZE), "other": Fellow((SIZE, 0, 0), 0)}
    assert renew(fellows) == {"ending": 3, "other": SIZE - 3}


def test_renewals_that_are_skipped_are_made_up_for() -> None:
    fellows = {"early": Fellow((SIZE, 0, 0), SIZE), "late": Fellow((0, 0, SIZE), 0)}
    assert due("early", fellows, allotted=SIZE, share=SIZE, renewals=5) == SIZE - 10
    fellows["early"].reserved = fellows["late"].reserved = SIZE // 2  # the late one is not starved any more
    assert due("early", fellows, allotted=SIZE, share=SIZE // 2, renewals=5) == SIZE // 2 - 10
    assert due("early", fellows, allotted=SIZE, share=SIZE // 2, renewals=99) == SIZE // TOLERANCE - 1


@given(wants, st.data())
def test_nobody_is_due_less_than_is_fair_or_more_than_it_had_and_can_use(
    wanted: dict[str, tuple[int, int, int]], data: st.DataObject
) -> None:
    fellows = {name: Fellow(each, data.draw(st.integers(0, 40))) for name, each in wanted.items()}
    size = data.draw(st.integers(1, 60))
    fair = divide_by_stage(size, wanted)
    for name, each in fellows.items():
        slots = due(name, fellows, allotted=size, share=each.reserved)
        assert fair[name] <= slots <= max(fair[name], min(each.reserved, sum(each.wanted)))


@given(st.dictionaries(names, st.tuples(*[st.integers(0, SIZE)] * 3), min_size=1), st.data())
def test_in_the_end_all_slots_are_used_and_everybody_has_nearly_its_part(
    wanted: dict[str, tuple[int, int, int]], data: st.DataObject
) -> None:
    fellows: dict[str, Fellow] = {}
    for name, each in wanted.items():
        left = SIZE - sum(fellow.reserved for fellow in fellows.values())
        fellows[name] = Fellow(each, data.draw(st.integers(0, left)))
    for _ in range(2 * SIZE):
        renew(fellows)
    fair = divide_by_stage(SIZE, wanted)
    assert sum(each.reserved for each in fellows.values()) == min(SIZE, sum(map(sum, wanted.values())))
    assert all(fair[name] / 2 <= each.reserved <= fair[name] + SIZE // TOLERANCE for name, each in fellows.items())


@given(st.integers(0, 60), counts, weights, turns)
def test_by_weight_nothing_is_made_up_or_left_unused_either(
    size: int, wanted: dict[str, int], weight: dict[str, float], turn: int
) -> None:
    slots = divide_by_weight(size, wanted, weight, turn)
    assert sum(slots.values()) == min(size, sum(wanted.values()))
    assert all(0 <= slots[each] <= wanted[each] for each in wanted)


@given(st.integers(0, 60), counts, weights, turns)
def test_nobody_has_more_for_its_weight_than_one_who_wants_more_but_for_the_last_slot(
    size: int, wanted: dict[str, int], weight: dict[str, float], turn: int
) -> None:
    slots = divide_by_weight(size, wanted, weight, turn)
    for hungry in (each for each in wanted if slots[each] < wanted[each]):
        assert all((slots[each] - 1) / weight[each] <= slots[hungry] / weight[hungry] for each in wanted)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))
def test_the_hungry_get_in_proportion_to_their_weights(one: int, other: int, times: int) -> None:
    size = (one + other) * times
    slots = divide_by_weight(size, {"one": size, "other": size}, {"one": one, "other": other})
    assert slots == {"one": one * times, "other": other * times}


def test_what_one_has_no_use_for_is_the_others() -> None:
    wanted = {"big": 2, "small": 40, "smaller": 40}
    assert divide_by_weight(17, wanted, {"big": 100, "small": 2, "smaller": 1}) == {"big": 2, "small": 10, "smaller": 5}


def test_the_lightest_has_one_slot() -> None:
    assert divide_by_weight(4, {"heavy": 9, "light": 9}, {"heavy": 1000, "light": 0.001})["light"] == 1


def test_a_slot_that_cannot_be_divided_is_each_ones_for_a_time_by_weight() -> None:
    turns_of: Counter[str] = Counter()
    for turn in range(400):
        slots = divide_by_weight(1, {"a": 5, "b": 5}, {"a": 3, "b": 1}, turn)
        turns_of.update(slots)
    assert turns_of.total() == 400
    assert 250 <= turns_of["a"] <= 350
