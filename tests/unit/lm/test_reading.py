import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.lm.protocol import FinishReason
from shared.lm.reading import count_or_none, cut, dig, dig_or_none, finish_reason, text

TEXT = st.text(max_size=40)
STOPS = st.lists(st.text(alphabet="ab\n[", min_size=1, max_size=3), max_size=4).map(tuple)


@given(st.text(alphabet="ab\n[c", max_size=40), STOPS)
def test_a_cut_text_holds_no_stop_sequence_and_is_a_beginning(written: str, stops: tuple[str, ...]) -> None:
    kept = cut(written, stops)
    assert written.startswith(kept)
    assert not any(stop in kept for stop in stops)


def test_the_earliest_stop_sequence_cuts() -> None:
    assert cut("one[END]two\nthree[END]", ("\n", "[END]")) == "one"


@pytest.mark.parametrize("word", ["stop", "eos_token", "stop_sequence"])
def test_each_word_for_stopping_is_known(word: str) -> None:
    assert finish_reason(word) is FinishReason.STOP


@pytest.mark.parametrize("word", ["abort", "", None, 3, ["stop"]])
def test_an_unknown_finish_reason_is_a_surprise(word: object) -> None:
    with pytest.raises(ValueError, match="finished for no reason"):
        finish_reason(word)


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", 5, None, ["a"]])
def test_text_that_cannot_be_stored_is_a_surprise(value: object) -> None:
    with pytest.raises(ValueError, match="text"):
        text(value)


@given(TEXT.filter(lambda value: "\x00" not in value))
def test_any_other_text_stays_as_it_is(value: str) -> None:
    assert text(value) == value


@pytest.mark.parametrize("value", [True, -1, 2**31, 1.5, "7", [7]])
def test_a_number_of_tokens_is_a_whole_number_that_postgres_takes(value: object) -> None:
    with pytest.raises(ValueError, match="number of tokens"):
        count_or_none(value)


def test_digging_names_the_first_missing_step() -> None:
    data = {"choices": [{"message": None}]}
    assert dig(data, "choices", 0) == {"message": None}
    with pytest.raises(ValueError, match=r"no choices\.0\.message\.content$"):
        dig(data, "choices", 0, "message", "content")
    assert dig_or_none(data, "choices", 1) is None
    assert dig_or_none("choices", "choices") is None
