"""What others have named stands in a card as it is, and breaks nothing."""

import re

import pytest

from shared.dataset.card_filters import alt, code, fenced, pairs, sampling


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        ("", ""),
        ("falcon_40b*", "`falcon_40b*`"),
        ("a|b", r"`a\|b`"),
        ("it is `code`", "`` it is `code` ``"),
        ("two\nlines\x1b[31m", "`two lines [31m`"),
        (0.5, "`0.5`"),
    ],
)
def test_a_value_is_a_span_of_code_in_one_cell(value: object, written: str) -> None:
    assert code(value) == written


def test_a_block_ends_where_it_should() -> None:
    text = "prompt: |\n  ```\n  code\n  ````\n"
    written = fenced(text, "yaml")
    assert re.fullmatch(r"(`{5})yaml\n(.*)\n\1", written, re.DOTALL)
    assert text.rstrip() in written


def test_the_words_for_a_picture_are_no_markup() -> None:
    assert alt("a [link](x) <b> & *more*\nof it") == r"a \[link\](x) \<b\> \& \*more\* of it"


def test_what_an_lm_was_asked_with() -> None:
    asked = {"stop": ["\n", "END"], "top_p": 1.0, "chat": False, "temperature": 0.7}
    assert sampling(asked) == 'chat false, temperature 0.7, top_p 1.0, stop ["\\n", "END"]'
    assert pairs({"instance": 1.0, "falcon": 0.25}) == "instance 1, falcon 0.25"
    assert pairs({"falcon": "akin"}) == "falcon akin"
