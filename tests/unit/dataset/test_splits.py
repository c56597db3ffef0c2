"""Splits: fixed by the root alone, in the fractions that were asked for."""

import uuid
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataset.splits import SplitError, Splits, read_splits

fractions = st.lists(st.integers(1, 1000), min_size=1, max_size=5)


def splits_of(parts: list[int]) -> Splits:
    """Fractions in the ratio of these numbers, as far as decimals can tell."""
    total = sum(parts)
    rest = [Decimal(part * 10_000 // total + 1) / 10_000 for part in parts[1:]]
    return Splits((("train", 1 - sum(rest, Decimal(0))), *((f"s{n}", each) for n, each in enumerate(rest))))


def test_it_is_read_as_it_is_written() -> None:
    assert read_splits("train=0.95, test=0.050").fractions == (("train", Decimal("0.95")), ("test", Decimal("0.05")))
    assert read_splits("everything=1").names == ["everything"]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("", "'' has no fraction"),
        ("train", "'train' has no fraction"),
        ("train=0.9", "the fractions sum to 0.9, not 1"),
        ("train=0.9,test=0.2", "the fractions sum to 1.1, not 1"),
        ("train=0.5,train=0.5", "'train' stands there twice"),
        ("train=most,test=0.1", "'most' is no number"),
        ("train=1,test=0", "0 is not above 0 and at most 1"),
        ("train=1.5,test=-0.5", "1.5 is not above 0 and at most 1"),
        ("train=nan", "nan is not above 0 and at most 1"),
        ("Train=1", "'Train' is no name"),
        ("all=1", "'all' is no name"),
        ("a/b=1", "'a/b' is no name"),
        ("=1", "'' is no name"),
        ("train=0.5,,test=0.5", "'' has no fraction"),
    ],
)
def test_what_can_not_be_split_by_is_refused(given: str, fault: str) -> None:
    with pytest.raises(SplitError) as refused:
        read_splits(given)
    assert fault in str(refused.value)
    assert "write it like train=0.95,test=0.05" in str(refused.value)


@given(fractions, st.uuids())
def test_every_root_has_one_split_and_keeps_it(parts: list[int], root: uuid.UUID) -> None:
    splits = splits_of(parts)
    assert splits.of(root) in splits.names
    assert splits.of(root) == splits.of(uuid.UUID(str(root)))


@given(st.uuids(), st.integers(1, 98))
def test_who_is_in_the_first_split_stays_there_when_it_grows(root: uuid.UUID, hundredths: int) -> None:
    smaller, larger = (Decimal(number) / 100 for number in (hundredths, hundredths + 1))
    if Splits((("a", smaller), ("b", 1 - smaller))).of(root) == "a":
        assert Splits((("a", larger), ("b", 1 - larger))).of(root) == "a"


def test_of_many_roots_each_split_gets_its_fraction() -> None:
    splits = read_splits("train=0.9,validation=0.07,test=0.03")
    counts = Counter(splits.of(uuid.uuid5(uuid.NAMESPACE_OID, str(number))) for number in range(20_000))
    for name, fraction in splits.fractions:
        assert abs(counts[name] / 20_000 - float(fraction)) < 0.01


def test_a_root_falls_where_it_always_fell() -> None:
    roots = [uuid.UUID(int=number) for number in range(8)]
    assert "".join(read_splits("a=0.5,b=0.5").of(root) for root in roots) == "aaababba"
