import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.method.tallies import Bits, at_least, packed, positions, sums, tally

WORDS = 3


def some_rows(count: int, seed: int, lists: int = 2) -> NDArray[np.uint8]:
    """0s and 1s, each row fuller than the one before."""
    shares = np.arange(count)[:, None, None] / count
    return (np.random.default_rng(seed).random((count, lists, 64 * WORDS)) < shares).astype(np.uint8)


def as_bits(columns: NDArray[np.uint8 | np.bool_]) -> Bits:
    return packed(columns.reshape(-1).astype(np.uint8)).reshape(*columns.shape[:-1], WORDS)


def all_sums(planes: list[Bits]) -> NDArray[np.int64]:
    words, bits = (part.reshape(-1) for part in np.mgrid[0 : planes[0].size, 0:64])
    return sums(planes, words, bits.astype(np.uint64)).reshape(-1, 64 * WORDS)


@given(st.integers(1, 40), st.integers(0, 99))
def test_rows_are_added_up_column_by_column(count: int, seed: int) -> None:
    rows = some_rows(count, seed)
    planes = tally(as_bits(row) for row in rows)
    assert all_sums(planes).tolist() == rows.sum(axis=0).tolist()


@given(st.integers(1, 20), st.integers(0, 99), st.lists(st.integers(1, 25), min_size=4, max_size=4))
def test_the_columns_with_enough_are_found_by_the_kind_of_word(count: int, seed: int, least: list[int]) -> None:
    rows = some_rows(count, seed)
    planes = tally(as_bits(row) for row in rows)
    kinds = np.array([1, 0, 1])
    asked = np.array(least, np.uint64).reshape(2, 2)
    reached = at_least(planes, asked, kinds)
    most = (1 << len(planes)) - 1
    enough = rows.sum(axis=0) >= np.minimum(asked, most)[:, kinds].repeat(64, axis=1)
    assert reached.tolist() == as_bits(enough).tolist()


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 1])
def test_the_positions_of_set_bits_are_found(share: float) -> None:
    columns = np.random.default_rng(1).random((2, 64 * WORDS)) < share
    words, bits = positions(as_bits(columns))
    assert sorted((words * 64 + bits.astype(np.intp)).tolist()) == np.flatnonzero(columns).tolist()
