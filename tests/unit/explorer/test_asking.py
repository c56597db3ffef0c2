"""What stands in an address is read, or refused with a word on how to write it."""

import uuid
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.explorer import asking
from services.explorer.asking import BadQuestionError
from services.explorer.links import query, run_page
from shared.method.tasks import TaskType
from shared.store.views.examples import Kept, Place


@given(st.sampled_from(TaskType), st.integers(0, 2**63 - 1))
def test_a_place_is_read_as_it_was_written(task_type: TaskType, position: int) -> None:
    there = Place(task_type, position)
    assert asking.place({"after": asking.written(there)}, "after") == there


@given(st.text(max_size=30))
def test_anything_else_is_refused_or_a_place(written: str) -> None:
    try:
        found = asking.place({"after": written}, "after")
    except BadQuestionError:
        return
    assert found is None or asking.written(found).partition(":")[0] in list(TaskType)


@given(st.text(max_size=30))
def test_a_number_is_whole_and_fits_the_database(written: str) -> None:
    with suppress(BadQuestionError):
        assert 0 <= asking.number({"judgement": written}, "judgement") <= asking.MOST_NUMBER


def test_what_is_not_given_is_none() -> None:
    assert asking.number({}, "judgement") == 0
    assert asking.choice({"kept": ""}, "kept", Kept) is None
    assert asking.words({"q": "  "}, "q") is None
    assert asking.place({}, "after") is None


@pytest.mark.parametrize("written", ["", "12", "zz" * 16, "1" * 31, "²" * 32])
def test_a_key_is_an_id(written: str) -> None:
    with pytest.raises(BadQuestionError, match="is no id: ids look like"):
        asking.key(written)
    assert asking.key("11111111222233334444555555555555") == uuid.UUID("11111111-2222-3333-4444-555555555555")


def test_links_leave_out_what_says_nothing_and_quote_the_rest() -> None:
    assert query("/x", {"a": None, "b": "", "c": 0, "d": 1, "e": "ü &"}) == "/x?d=1&e=%C3%BC+%26"
    assert run_page("a/b?", "examples") == "/runs/a%2Fb%3F/examples"
