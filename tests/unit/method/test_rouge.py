import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from shared.method import rouge
from shared.method.rouge import f1, rouge_l, rouge_l_matrix, stemmed_rouge_l_matrix, stems, symbols, words

PLAIN, STEMMED = (RougeScorer(["rougeL"], use_stemmer=stemmer) for stemmer in (False, True))
PLAIN_TOKENS, STEMMED_TOKENS = (DefaultTokenizer(stemmer).tokenize for stemmer in (False, True))

ascii_texts = st.text(st.characters(max_codepoint=127), max_size=60)
PIECES = ["Sort", "sorted", "SORTING,", "the", "list's", "list_a", "(2)", "2nd", "generalizations", "dies;", "--", "?"]
phrases = st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join)
english = ascii_texts | phrases


@given(english)
def test_ascii_words_are_those_of_rouge_score(text: str) -> None:
    assert words(text) == PLAIN_TOKENS(text)
    assert stems(text) == STEMMED_TOKENS(text)


@given(st.from_regex(r"[a-z]{1,6}(s|es|ed|ing|ly|ational|iveness|ement|y)?[a-z0-9]?", fullmatch=True))
def test_a_stem_remembered_is_the_stem_of_rouge_score(word: str) -> None:
    assert stems(word) == STEMMED_TOKENS(word) == stems(word)


@given(english, english)
def test_scores_equal_those_of_rouge_score_to_the_last_bit(a: str, b: str) -> None:
    assert rouge_l(words(a), words(b)) == PLAIN.score(a, b)["rougeL"].fmeasure
    assert rouge_l(stems(a), stems(b)) == STEMMED.score(a, b)["rougeL"].fmeasure


@pytest.mark.parametrize(
    ("a", "b", "plain", "stemmed"),
    [
        ("the cat the cat the", "the the the", 0.75, 0.75),
        ("Sorted lists, (2) of 10", "sorting list 2 of 10", 0.6, 1.0),
        ("a b c d e f g h i j", "a b c d e f g x y z", 0.7, 0.7),
        ("", "", 0.0, 0.0),
        ("?!", "a", 0.0, 0.0),
    ],
)
def test_known_scores(a: str, b: str, plain: float, stemmed: float) -> None:
    assert rouge_l(words(a), words(b)) == PLAIN.score(a, b)["rougeL"].fmeasure == pytest.approx(plain, abs=1e-15)
    assert rouge_l(stems(a), stems(b)) == STEMMED.score(a, b)["rougeL"].fmeasure == pytest.approx(stemmed, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don’t – stop…", ["don", "t", "stop"]),
        ("Café NAÏVE snake_case", ["café", "naïve", "snake", "case"]),
        ("我喜欢iPhone手机。", ["我", "喜", "欢", "iphone", "手", "机"]),
        ("ひとつのカタカナ", ["ひ", "と", "つ", "の", "カタカナ"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("می‌خواهم", ["میخواهم"]),
        ("zero\u200bwidth é", ["zero", "width", "é"]),
        ("m² ≤ ½ ™ ❤️", ["m"]),
        ("\ud800 lone ü", ["lone", "ü"]),
    ],
    ids=lambda value: value.encode("unicode_escape").decode() if isinstance(value, str) else "",
)
def test_words_beyond_ascii_are_unicode_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_composed_and_decomposed_letters_are_the_same_word() -> None:
    assert words("cafe\u0301") == words("caf\u00e9")


def test_only_ascii_words_are_stemmed() -> None:
    assert stems("Running cafés, jumped") == ["run", "cafés", "jump"]


@given(st.text(min_size=1))
def test_a_text_with_words_scores_1_with_itself(text: str) -> None:
    assert rouge_l(words(text), words(text)) == (1.0 if words(text) else 0.0)


@given(st.lists(phrases, max_size=5))
def test_the_matrix_holds_every_pair_both_ways(texts: list[str]) -> None:
    matrix = rouge_l_matrix(map(words, texts))
    assert [len(row) for row in matrix] == [len(texts)] * len(texts)
    for i, a in enumerate(texts):
        for j, b in enumerate(texts):
            assert matrix[i][j] == (1.0 if i == j else rouge_l(words(a), words(b)))


@given(st.lists(english | st.text(max_size=20), max_size=5))
def test_the_stemmed_matrix_is_that_of_the_stems(texts: list[str]) -> None:
    assert stemmed_rouge_l_matrix(texts) == rouge_l_matrix(map(stems, texts))


@given(st.lists(st.lists(english, min_size=1, max_size=4), max_size=8))
def test_a_memo_that_is_full_changes_no_score(instances: list[list[str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rouge, "_STEMS_KEPT", 9)
        for texts in instances:
            assert stemmed_rouge_l_matrix(texts) == rouge_l_matrix(map(stems, texts))


def test_more_words_than_there_are_characters_still_compare() -> None:
    distinct = [f"w{number}" for number in range(0x110003)]
    before, beyond = distinct[:-9], distinct[-9:]
    assert isinstance(symbols(range(3)), str)
    assert isinstance(symbols(range(0x10FFFF, 0x110001)), tuple)
    matrix = rouge_l_matrix([before, beyond, [before[0], *beyond[-3:]]])
    assert matrix[0][1] == 0.0
    assert matrix[0][2] == f1(1, len(before), 4)
    assert matrix[1][2] == f1(3, 9, 4)


def test_no_common_word_scores_0() -> None:
    assert f1(0, 3, 3) == 0.0
    assert rouge_l([], []) == 0.0
