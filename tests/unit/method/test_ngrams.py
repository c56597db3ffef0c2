"""Words in common with an evaluation set: found exactly, whatever stands around them."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from shared.method.ngrams import EvaluationIndex, N, Overlap, Texts
from shared.method.rouge import words

QUESTION = "The quick brown fox jumps over the lazy dog while the old cat sleeps on the mat."
few_words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=30).map(" ".join)
texts = st.builds(Texts, few_words, few_words, few_words)


def index_of(*evaluation: str) -> EvaluationIndex:
    index = EvaluationIndex()
    for source, text in enumerate(evaluation):
        index.add(text, source)
    return index


def overlap(evaluation: str, *example: str) -> Overlap | None:
    return index_of(evaluation).overlaps([Texts(*example)])[0]


def test_thirteen_words_in_a_row_overlap_whatever_their_case_and_punctuation() -> None:
    found = overlap(
        QUESTION, "Say it: QUICK brown, fox -- jumps over the lazy dog (while the old cat sleeps)!", "", "No."
    )
    assert found == Overlap(0, "quick brown fox jumps over the lazy dog while the old cat sleeps")


def test_twelve_words_in_a_row_do_not() -> None:
    assert overlap(QUESTION, "Say: brown fox jumps over the lazy dog while the old cat sleeps", "", "No.") is None


def test_words_are_read_on_from_instruction_to_input_to_output() -> None:
    parts = ("Go on: the quick brown fox", "jumps over the lazy dog", "while the old cat sleeps on the mat")
    assert overlap(QUESTION, *parts) == Overlap(0, " ".join(words(QUESTION)[:N]))


def test_an_n_gram_does_not_go_on_in_the_next_example() -> None:
    first, second = words(QUESTION)[:6], words(QUESTION)[6:]
    examples = [Texts(" ".join(each), "", "") for each in (first, second)]
    assert index_of(QUESTION).overlaps(examples) == [None, None]


def test_a_short_text_overlaps_with_a_question_that_equals_it_and_with_no_answer() -> None:
    assert overlap("What is love?", "what is LOVE", "", "Baby") == Overlap(0, "what is love")
    assert overlap("What is love?", "Translate.", "What is love?", "Qu'est-ce") == Overlap(0, "what is love")
    assert overlap("What is love?", "What", "is love", "Baby") == Overlap(0, "what is love")
    assert overlap("What is love?", "What is love for you?", "", "Baby") is None
    assert overlap("yes", "Is it?", "", "Yes.") is None


def test_what_has_no_word_is_no_text() -> None:
    index = EvaluationIndex()
    assert not index.add(" + - ", 0)
    assert index.overlaps([Texts("+", "-", "")]) == [None]
    assert index.overlaps([]) == []


def test_of_equal_texts_the_first_is_told() -> None:
    assert index_of(QUESTION, QUESTION).overlaps([Texts(QUESTION, "", "")]) == [
        Overlap(0, " ".join(words(QUESTION)[:N]))
    ]


@given(st.lists(few_words, max_size=5), st.lists(texts, max_size=6))
def test_what_is_found_is_what_comparing_word_by_word_finds(evaluation: list[str], examples: list[Texts]) -> None:
    assert index_of(*evaluation).overlaps(examples) == [_naive(evaluation, example) for example in examples]


def _naive(evaluation: Sequence[str], example: Texts) -> Overlap | None:
    instruction, given_, output = map(words, example)
    sequence = [*instruction, *given_, *output]
    for start in range(len(sequence) - N + 1):
        gram = sequence[start : start + N]
        for source, text in enumerate(evaluation):
            known = words(text)
            if any(known[place : place + N] == gram for place in range(len(known) - N + 1)):
                return Overlap(source, " ".join(gram))
    for question in (instruction, given_, [*instruction, *given_]):
        for source, text in enumerate(evaluation):
            if question and words(text) == question and len(question) < N:
                return Overlap(source, " ".join(question))
    return None
