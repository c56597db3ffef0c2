"""The parts of a simulation: time, spreads, the gate's order, and how windows agree."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.method.simulation.backlog import Backlog
from shared.method.simulation.clock import Clock
from shared.method.simulation.passage import Passage, Work
from shared.method.simulation.scenario import Pool
from shared.method.simulation.spread import Spread
from shared.method.simulation.windows import Agreement, Servers, Window
from tests.unit.method.simulation.scenarios import a_kind


def test_things_happen_at_their_times_and_in_the_order_asked_for() -> None:
    clock, seen = Clock(), list[tuple[float, str]]()
    for when, what in ((2.0, "late"), (1.0, "first"), (1.0, "second")):
        clock.at(when, lambda what=what: seen.append((clock.now, what)))  # type: ignore[misc]  # bound at once
    clock.run(lambda: False)
    assert seen == [(1.0, "first"), (1.0, "second"), (2.0, "late")]


def test_time_stands_still_when_it_is_over() -> None:
    clock = Clock()
    for when in (1.0, 2.0, 3.0):
        clock.at(when, lambda: None)
    clock.run(lambda: clock.now >= 2)
    assert clock.now == 2


def test_a_spread_has_its_quantiles_and_its_mean() -> None:
    spread = Spread({0: 1, 0.5: 2, 0.9: 4, 1: 12})
    chance = Random(0)
    drawn = sorted(spread.draw(chance) for _ in range(20_000))
    assert [drawn[int(share * len(drawn))] for share in (0.5, 0.9)] == pytest.approx([2, 4], rel=0.05)
    assert drawn[0] >= 1
    assert drawn[-1] <= 12
    assert sum(drawn) / len(drawn) == pytest.approx(spread.mean, rel=0.02)


def test_a_mean_that_is_known_apart_scales_the_quantiles() -> None:
    assert Spread({0: 1, 1: 3}, mean=4).mean == pytest.approx(4)
    assert Spread.of(0).draw(Random(0)) == 0


def proposals(passage: Passage, count: int) -> list[Work]:
    """A type's first proposals."""
    return list(passage.propose(count))


def test_the_gate_takes_proposals_in_order_up_to_the_first_on_its_first_try() -> None:
    passage = Passage(a_kind(100))
    first, second, third, fourth = proposals(passage, 4)
    passage.ended(third, answered=True)
    passage.ended(first, answered=True)
    assert passage.in_turn() == [0]
    passage.tried(second)  # it failed, and will be tried again: nobody waits for it
    assert passage.in_turn() == [2]
    passage.ended(second, answered=True)
    passage.ended(fourth, answered=False)
    assert passage.in_turn() == [1, 3]


def test_a_proposal_that_was_given_up_leaves_no_instruction() -> None:
    passage = Passage(a_kind(100, instructions=2))
    answered, lost = proposals(passage, 2)
    passage.ended(answered, answered=True)
    passage.ended(lost, answered=False)
    accepted = list(passage.pass_gate(passage.in_turn(), Random(0)))
    assert [subject.position for subject in accepted] == [0, 1]
    assert (passage.gated, passage.accepted) == (2, 2)


def test_a_type_is_open_as_long_as_something_before_its_last_example_is() -> None:
    passage = Passage(a_kind(2))
    for work in proposals(passage, 3):
        passage.ended(work, answered=True)
    one, two, three = passage.pass_gate(passage.in_turn(), Random(0))
    passage.conclude(two, example=True)
    passage.conclude(three, example=True)
    last = passage.last_wanted()
    assert last == three.position
    assert passage.open_before(last)
    passage.conclude(one, example=True)
    assert passage.last_wanted() == two.position
    assert not passage.open_before(two.position)


def test_the_earliest_work_is_claimed_first_and_what_is_dropped_is_gone() -> None:
    passage, backlog = Passage(a_kind()), Backlog()
    for work in reversed(proposals(passage, 6)):
        backlog.add(work)
    assert [work.position // 32 for work in backlog.take(2)] == [0, 1]
    backlog.drop(lambda work: work.position // 32 > 3)
    assert [work.position // 32 for work in backlog.take(9)] == [2, 3]


class Wishes(Window):
    """A window that wants what it is told to want."""

    def __init__(self, size: int) -> None:
        super().__init__("lm", Servers(Clock(), Pool("lm", {"lm": size})), size)
        self.told: Sequence[int] = ()

    def look(self) -> None:
        """Want it."""
        self.wanted = tuple(min(count, self.limit) for count in self.told)


@given(st.integers(1, 30), st.lists(st.lists(st.integers(0, 40), min_size=3, max_size=3), min_size=2, max_size=5))
def test_windows_never_have_more_slots_together_than_there_are(size: int, wants: Sequence[Sequence[int]]) -> None:
    windows = [Wishes(size) for _ in wants]
    agreement = Agreement(size, windows)
    for shift in range(3):
        for window, told in zip(windows, [*wants[shift:], *wants[:shift]], strict=False):
            window.told = told
        agreement.renew()
        assert sum(window.reserved for window in windows) <= size
        assert all(window.slots <= window.reserved for window in windows)
    for _ in range(2):  # nobody has calls under way, so what one gives back at once the others take
        agreement.renew()
    wanted = sum(min(size, sum(window.wanted)) for window in windows)
    assert sum(window.slots for window in windows) >= min(size, wanted) * 0.7
