import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.method.planning import POSITIONS_PER_PROPOSAL
from shared.store.keys import key, ordinal, position


def test_the_same_parts_make_the_same_key_on_every_machine() -> None:
    assert str(key("instance", "a", 1)) == "4b595e9a-f661-5022-a2c9-6858d3016a0d"


@pytest.mark.parametrize("other", [("a", "bc"), ("ab", "c", ""), ("abc",), ("c", "ab")])
def test_other_parts_make_another_key(other: tuple[str, ...]) -> None:
    assert key("ab", "c") != key(*other)


@given(st.integers(0, 10**9), st.integers(0, POSITIONS_PER_PROPOSAL - 1))
def test_a_position_tells_its_proposal(number: int, offset: int) -> None:
    assert ordinal(position(number, offset)) == number


@given(st.integers(0, 10**6), st.integers(0, POSITIONS_PER_PROPOSAL - 1))
def test_positions_stand_in_the_order_of_proposals(number: int, offset: int) -> None:
    assert position(number, offset) < position(number + 1)
