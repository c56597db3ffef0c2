from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.method.planning import Progress, barren, drained, proposals_to_add

BEGUN = Progress(target=30, proposed=0, gated=0, accepted=0, concluded=0, examples=0, gated_at_last_example=0)


@st.composite
def progresses(draw: st.DrawFn) -> Progress:
    """Any state that a run can be in."""
    proposed = draw(st.integers(0, 2000))
    gated = draw(st.integers(0, proposed))
    accepted = draw(st.integers(0, gated))
    concluded = draw(st.integers(0, accepted))
    examples = draw(st.integers(0, concluded))
    last = draw(st.integers(0, gated))
    return Progress(draw(st.integers(1, 1000)), proposed, gated, accepted, concluded, examples, last)


def test_a_run_begins_with_what_its_target_needs_at_a_yield_of_three_in_four() -> None:
    assert proposals_to_add(BEGUN, lookahead=1000) == 54  # 30 / (0.75 * 0.75), rounded up


def test_no_more_proposals_are_under_way_than_the_lookahead_allows() -> None:
    assert proposals_to_add(BEGUN, lookahead=8) == 8
    assert proposals_to_add(replace(BEGUN, proposed=6), lookahead=8) == 2
    assert proposals_to_add(replace(BEGUN, proposed=8), lookahead=8) == 0


def test_what_is_under_way_is_counted_on() -> None:
    assert proposals_to_add(replace(BEGUN, proposed=54), lookahead=1000) == 0


def test_a_poor_yield_asks_for_more_proposals() -> None:
    poor = replace(BEGUN, proposed=96, gated=96, accepted=7, concluded=6, examples=2)
    rich = replace(BEGUN, proposed=96, gated=96, accepted=90, concluded=3, examples=2)
    assert proposals_to_add(poor, lookahead=10_000) > 400
    assert proposals_to_add(rich, lookahead=10_000) == 0


def test_failures_that_come_before_any_success_can_do_not_drive_it() -> None:
    """Nobody makes outputs: what was refused without them has come to its end, what waits for them has not."""
    waiting = replace(BEGUN, target=150, proposed=300, gated=300, accepted=270, concluded=15, examples=0)
    assert proposals_to_add(waiting, lookahead=10_000) == 0


def test_a_target_that_is_met_needs_nothing_more() -> None:
    met = replace(BEGUN, proposed=60, gated=60, accepted=40, concluded=40, examples=30)
    assert proposals_to_add(met, lookahead=64) == 0


@given(progresses(), st.integers(1, 500))
def test_the_lookahead_is_never_exceeded(progress: Progress, lookahead: int) -> None:
    added = proposals_to_add(progress, lookahead)
    ungated = progress.proposed - progress.gated
    assert added >= 0
    assert ungated + added <= max(lookahead, ungated)


@given(progresses(), st.integers(1, 500))
def test_a_run_with_nothing_under_way_and_its_target_not_met_always_proposes(
    progress: Progress, lookahead: int
) -> None:
    at_rest = replace(progress, proposed=progress.gated, concluded=progress.accepted)
    if at_rest.examples < at_rest.target:
        assert proposals_to_add(at_rest, lookahead) > 0


@pytest.mark.parametrize(("gated", "expected"), [(39, False), (40, True), (41, True)])
def test_a_run_is_barren_after_so_many_proposals_without_an_example(gated: int, expected: bool) -> None:
    assert barren(replace(BEGUN, proposed=50, gated=gated, gated_at_last_example=30), patience=10) is expected


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (BEGUN, True),
        (replace(BEGUN, proposed=1), False),
        (replace(BEGUN, proposed=4, gated=4, accepted=3, concluded=2), False),
        (replace(BEGUN, proposed=4, gated=4, accepted=3, concluded=3), True),
    ],
)
def test_a_run_is_drained_when_every_proposal_and_instruction_came_to_its_end(
    progress: Progress, expected: bool
) -> None:
    assert drained(progress) is expected
