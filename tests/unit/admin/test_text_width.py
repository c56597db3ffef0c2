from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.admin.text_width import ELLIPSIS, fitted, width_of

SIZE, WIDTH = 11, 120
however_slow = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])


@however_slow
@given(st.text(), st.integers(1, 5))
def test_no_line_is_too_wide_and_there_are_not_too_many(text: str, most: int) -> None:
    lines = fitted(text, SIZE, WIDTH, most)
    assert len(lines) <= most
    assert all(width_of(line, SIZE) <= WIDTH for line in lines)


@however_slow
@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Zs"])))
def test_what_fits_is_all_there_and_what_does_not_ends_with_dots(text: str) -> None:
    lines = fitted(text, SIZE, WIDTH, 3)
    squeezed, shown = "".join(text.split()), "".join("".join(lines).split())
    if shown != squeezed:
        assert lines[-1].endswith(ELLIPSIS)
        assert squeezed.startswith(shown.removesuffix(ELLIPSIS))


def test_words_stay_whole_where_they_can() -> None:
    assert fitted("Sort the list of items in order of their cost", SIZE, WIDTH, 9) == [
        "Sort the list of items",
        "in order of their cost",
    ]


def test_wide_letters_take_twice_the_room() -> None:
    assert width_of("語", SIZE) == SIZE > 1.5 * width_of("a", SIZE)
    assert width_of("é", SIZE) == width_of("e", SIZE)
