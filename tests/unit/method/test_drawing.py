"""What is drawn is what Python's own `random` draws, so that jobs of before give the datasets of before."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from shared.method.drawing import choice, sample

SEEDS = st.integers(0, 2**64)


@given(st.integers(1, 300), SEEDS)
def test_a_choice_is_pythons(count: int, seed: int) -> None:
    ours, theirs = Random(seed), Random(seed)
    assert [choice(range(count), ours) for _ in range(3)] == [theirs.choice(range(count)) for _ in range(3)]


@given(st.integers(0, 300), st.integers(0, 60), SEEDS)
def test_a_sample_is_pythons(among: int, count: int, seed: int) -> None:
    ours, theirs = Random(seed), Random(seed)
    assert sample(range(among), count, ours) == theirs.sample(range(among), min(count, among))
    assert ours.random() == theirs.random()
