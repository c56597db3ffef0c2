"""Names of models as Kubernetes takes them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kubernetes.names import LONGEST, label_of
from shared.job import NAME_PATTERN

NAMES = st.from_regex(NAME_PATTERN, fullmatch=True)


@pytest.mark.parametrize("name", ["qwen", "7b", "gemma-3-270m", "a" * LONGEST])
def test_a_name_that_is_a_label_stays_as_it_is(name: str) -> None:
    assert label_of(name) == name


@given(NAMES)
def test_every_name_of_a_model_becomes_a_label_that_leaves_room_for_what_comes_before_and_after(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", label_of(name))
    assert len(label_of(name)) <= LONGEST


@given(NAMES, NAMES)
def test_two_models_never_share_a_label(one: str, other: str) -> None:
    assert one == other or label_of(one) != label_of(other)


@pytest.mark.parametrize(("one", "other"), [("a_b", "a-b"), ("a", "a-"), ("a" * 50 + "1", "a" * 50 + "2")])
def test_names_that_would_look_alike_have_labels_of_their_own(one: str, other: str) -> None:
    assert label_of(one) != label_of(other)


def test_a_name_that_is_anothers_label_gets_one_of_its_own() -> None:
    taken = label_of("my_model")
    assert label_of(taken) != taken
