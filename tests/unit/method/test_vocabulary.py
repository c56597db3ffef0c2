import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.method.rouge import LAST_SYMBOL, symbols, words
from shared.method.vocabulary import Numbered, Vocabulary, repetitions

texts = st.lists(st.text(max_size=30) | st.text(st.characters(max_codepoint=127), max_size=30), max_size=8)


def split(numbered: Numbered) -> list[list[int]]:
    return [part.tolist() for part in np.split(numbered.numbers, np.cumsum(numbered.lengths)[:-1])][
        : len(numbered.lengths)
    ]


@given(texts, texts)
def test_many_texts_have_the_words_that_each_has_alone(first: list[str], second: list[str]) -> None:
    vocabulary = Vocabulary()
    for some in (first, second):
        numbered = vocabulary.learn(some)
        assert split(numbered) == [[vocabulary[word] for word in words(text)] for text in some]
        assert numbered.symbols() == [symbols(numbers) for numbers in split(numbered)]
        assert numbered.owners().tolist() == [n for n, text in enumerate(some) for _ in words(text)]


@given(texts, texts)
def test_looking_up_makes_nothing_known(known: list[str], asked: list[str]) -> None:
    vocabulary = Vocabulary()
    vocabulary.learn(known)
    before = dict(vocabulary)
    unknown = len(vocabulary)
    assert split(vocabulary.look_up(asked)) == [[before.get(word, unknown) for word in words(text)] for text in asked]
    assert vocabulary == before


def test_what_ends_a_text_parts_words_within_one() -> None:
    vocabulary = Vocabulary()
    assert vocabulary.learn(["a\0b", "\0", "\0c ", "é\0d"]).lengths.tolist() == [2, 0, 1, 2]
    assert "\0" not in words("\0")


def test_numbers_beyond_the_last_character_are_symbols_too() -> None:
    numbers = [5, LAST_SYMBOL, 0xD800, LAST_SYMBOL + 1, 7]
    numbered = Numbered(np.array(numbers, np.uint32), np.array([3, 2]))
    assert numbered.symbols() == [symbols(numbers[:3]), symbols(numbers[3:])]
    assert Numbered(numbered.numbers[:3], np.array([3])).symbols() == [symbols(numbers[:3])]


@given(st.lists(st.integers(0, 5)).map(sorted))
def test_repetitions_are_counted_from_the_first(keys: list[int]) -> None:
    expected = [keys[:n].count(key) for n, key in enumerate(keys)]
    assert repetitions(np.array(keys, np.int64)).tolist() == expected
