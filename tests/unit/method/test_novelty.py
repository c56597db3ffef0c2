from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist
from rouge_score.rouge_scorer import RougeScorer

from shared.method.novelty import Match, NoveltyIndex, least_common
from shared.method.rouge import f1, number_words, rouge_l, symbols, words

SCORER = RougeScorer(["rougeL"], use_stemmer=False)
THRESHOLDS = [0.0, 0.1, 0.3, 0.5, 2 / 3, 0.7, 0.8, 0.9, 1.0]

# Few words and short texts: scores of exactly 0.7 (7 of 10 with 10, 14 of 20 with 20) are common.
few_words = st.lists(st.sampled_from("abcd"), max_size=14).map(" ".join)
some_words = st.lists(st.sampled_from([f"w{i}" for i in range(12)]), max_size=10).map(" ".join)
pools = st.lists(few_words, max_size=25) | st.lists(some_words, max_size=25)


def index_of(texts: Sequence[str], threshold: float = 0.7) -> NoveltyIndex:
    index = NoveltyIndex(threshold)
    for number, text in enumerate(texts):
        index.add(str(number), text)
    return index


def by_brute_force(texts: Sequence[str], text: str) -> list[Match]:
    scored = [Match(str(i), SCORER.score(known, text)["rougeL"].fmeasure) for i, known in enumerate(texts)]
    return sorted(scored, key=lambda match: -match.score)  # stable, so equals stay in order of insertion


def variations(count: int, vocabulary: int, seed: int) -> list[str]:
    """Texts of 1 to 24 words, half of them another one with a few words changed."""
    random = Random(seed)
    names = [f"w{i}" for i in range(vocabulary)]
    texts = [random.choices(names, weights=range(1, vocabulary + 1), k=random.randrange(1, 25))]
    while len(texts) < count:
        text = list(random.choice(texts))
        for _ in range(random.randrange(len(text))):
            text[random.randrange(len(text))] = random.choice(names)
        texts.append(random.choice([text, random.sample(text, len(text)), random.choices(names, k=len(text))]))
    return [" ".join(text) for text in texts]


@given(pools, few_words | some_words, st.sampled_from(THRESHOLDS))
def test_the_decision_is_that_of_rouge_score(texts: list[str], text: str, threshold: float) -> None:
    best = next(iter(by_brute_force(texts, text)), None)
    expected = best if best and best.score > threshold else None
    assert index_of(texts, threshold).nearest_above(text) == expected


@given(pools, few_words | some_words, st.integers(0, 30))
def test_the_most_similar_are_those_of_rouge_score(texts: list[str], text: str, k: int) -> None:
    assert index_of(texts).most_similar(text, k) == by_brute_force(texts, text)[:k]


@pytest.mark.parametrize(("vocabulary", "seed"), [(8, 1), (60, 2), (1000, 3)])
def test_a_larger_pool_gives_the_answers_of_brute_force(vocabulary: int, seed: int) -> None:
    *texts, a, b, c = variations(1203, vocabulary, seed)
    index, looser = index_of(texts), index_of(texts, 0.4)
    for text in [a, b, c, texts[7], f"{texts[9]} {a}"]:
        ranked = by_brute_force(texts, text)
        assert index.most_similar(text) == ranked[:10]
        assert index.most_similar(text, 100) == ranked[:100]
        assert index.nearest_above(text) == (ranked[0] if ranked[0].score > 0.7 else None)
        assert looser.nearest_above(text) == (ranked[0] if ranked[0].score > 0.4 else None)


def test_a_pool_with_bitmaps_gives_the_answers_of_brute_force() -> None:
    *texts, a, b = variations(5002, 40, 6)
    index, late = index_of(texts[:4800]), texts[4800:]
    assert index.most_similar(a) == by_brute_force(texts[:4800], a)[:10]
    for number, text in enumerate(late, 4800):
        index.add(str(number), text)
    for text in [a, b, texts[4900], "w39 w38", "w0 w0 w0"]:
        ranked = by_brute_force(texts, text)
        assert index.most_similar(text) == ranked[:10]
        assert index.nearest_above(text) == (ranked[0] if ranked[0].score > 0.7 else None)


def test_a_crowd_of_near_copies_gives_the_answer_of_brute_force() -> None:
    template = [f"t{i}" for i in range(12)] + ["the", "the", "the"]
    random = Random(5)
    texts = [" ".join([*random.sample(template, 11), f"x{random.randrange(40)}"]) for _ in range(700)]
    index = index_of(texts)
    for text in [" ".join(template), " ".join(template[:9]), " ".join([*template[2:12], "x3"]), texts[650]]:
        best = by_brute_force(texts, text)[0]
        assert index.nearest_above(text) == (best if best.score > 0.7 else None)


@given(st.floats(0, 1), st.integers(1, 60), st.integers(1, 60))
def test_least_common_is_the_first_count_above_the_threshold(threshold: float, a: int, b: int) -> None:
    enough = [lcs for lcs in range(1, min(a, b) + 1) if f1(lcs, a, b) > threshold]
    least = least_common(threshold, a)[b]
    assert least == enough[0] if enough else least > min(a, b)


def test_exactly_the_threshold_is_novel_and_anything_above_is_not() -> None:
    index = index_of(["a b c d e f g h i j"])
    assert index.nearest_above("a b c d e f g x y z") is None
    assert index.assess("a b c d e f g x y z").max_similarity == 0.7
    assert index.assess("a b c d e f g x y z").accepted
    assert index.nearest_above("b a c d e f g h y z") is None  # eight words in common, seven in order
    assert index.nearest_above("a b c d e f g x y") == Match("0", f1(7, 10, 9))
    assert not index.assess("a b c d e f g x y").accepted


def test_texts_longer_than_the_bounds_reach_are_scored_as_they_are() -> None:
    long = [f"w{i}" for i in range(3000)]
    texts = [" ".join(long[:1500]), " ".join(long), " ".join(long[2000:]), "w1 w2"]
    index = index_of(texts)
    for text in [" ".join(long[:1000]), " ".join(long[100:2900]), " ".join(long[:700] * 2), "w1 w2 w3"]:
        scored = [Match(str(i), rouge_l(words(known), words(text))) for i, known in enumerate(texts)]
        ranked = sorted(scored, key=lambda match: -match.score)
        assert index.most_similar(text) == ranked
        assert index.nearest_above(text) == (ranked[0] if ranked[0].score > 0.7 else None)


def test_equals_come_in_order_of_insertion() -> None:
    index = index_of(["x y", "a b c", "a b c", "a b d", "a b c"])
    assert [match.key for match in index.most_similar("a b c", 4)] == ["1", "2", "4", "3"]
    assert index.nearest_above("a b c") == Match("1", 1.0)


def test_texts_without_a_common_word_fill_the_list_with_0() -> None:
    assert index_of(["x", "", "a"]).most_similar("a b", 3) == [Match("2", 2 / 3), Match("0", 0.0), Match("1", 0.0)]


def test_nothing_known_is_nothing_similar() -> None:
    novelty = NoveltyIndex().assess("anything")
    assert (novelty.accepted, novelty.max_similarity, novelty.most_similar) == (True, 0.0, ())


def test_wordless_texts_are_like_nothing() -> None:
    index = index_of(["", "?!", "a"])
    assert index.nearest_above("") is None
    assert index.most_similar("!", 1) == [Match("0", 0.0)]
    assert len(index) == 3


def test_equal_chinese_instructions_score_1() -> None:
    index = index_of(["把下面的句子翻译成英文。", "写一首关于春天的诗"])
    assert index.nearest_above("把下面的句子翻译成英文") == Match("0", 1.0)
    assert index.nearest_above("写一篇关于足球的文章") is None


def test_asking_makes_nothing_known() -> None:
    index = index_of(["a b c"])
    assert index.assess("d e f").accepted
    assert index.assess("d e f").max_similarity == 0.0
    assert len(index) == 1


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_no_score_can_have_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        NoveltyIndex(threshold)


@settings(max_examples=20)
@given(st.lists(st.text(max_size=30), max_size=8), st.text(max_size=30))
def test_any_text_can_be_known_and_asked_about(texts: list[str], text: str) -> None:
    index = index_of(texts)
    nearest = index.nearest_above(text)
    novelty = index.assess(text)
    assert novelty.accepted == (nearest is None)
    assert nearest is None or nearest == novelty.most_similar[0]


def test_threads_may_add_and_ask_at_once() -> None:
    texts = variations(600, 30, 4)
    index = NoveltyIndex()
    with ThreadPoolExecutor(4) as threads:
        added = [threads.submit(index.add, str(i), text) for i, text in enumerate(texts)]
        asked = [threads.submit(index.assess, text) for text in texts]
    assert [future.result() for future in added] == [None] * 600
    assert all(future.result().max_similarity <= 1 for future in asked)
    assert len(index) == 600


@given(pools, pools, few_words | some_words, st.integers(1, 12))
def test_a_ranking_brought_up_to_date_is_the_ranking_made_anew(
    before: list[str], after: list[str], text: str, k: int
) -> None:
    index = NoveltyIndex()
    for number, known in enumerate(before):
        index.add(str(number), known)
    ranking = index.rank(text, k)
    for number, known in enumerate(after, len(before)):
        index.add(str(number), known)
    assert index.updated(text, ranking) == index.rank(text, k)


@given(pools, st.lists(few_words | some_words | st.text(max_size=20), min_size=8, max_size=12), st.integers(0, 12))
def test_many_ranked_at_once_are_ranked_as_each_alone(texts: list[str], asked: list[str], k: int) -> None:
    index = index_of(texts)
    assert index.rank_all(asked, k) == [index.rank(text, k) for text in asked]


@given(st.lists(few_words | some_words | st.text(max_size=20), max_size=40), st.integers(0, 40), few_words)
def test_many_added_at_once_are_known_as_those_added_one_by_one(texts: list[str], alone: int, text: str) -> None:
    index = index_of(texts[:alone])
    index.add_all(map(str, range(len(texts[:alone]), len(texts))), texts[alone:])
    assert len(index) == len(texts)
    assert index.rank(text) == index_of(texts).rank(text)
    assert index.nearest_above(text) == index_of(texts).nearest_above(text)


@pytest.mark.parametrize(("vocabulary", "seed"), [(12, 1), (300, 2)])
def test_a_pool_with_shelves_ranks_several_batches_as_brute_force_does(vocabulary: int, seed: int) -> None:
    """Large enough for kept rows and for guesses by a sample, too; ties are many."""
    texts = variations(4_000, vocabulary, seed)
    index = index_of(texts[:500])
    index.add_all(map(str, range(500, 4_000)), texts[500:])
    long = " ".join(f"w{number % vocabulary} v{number}" for number in range(400))
    asked = [*texts[::80], *variations(60, vocabulary, seed + 5), "", "w1", "unknown", long]
    numbers = number_words()
    known, queries = ([symbols([numbers[word] for word in words(text)]) for text in some] for some in (texts, asked))
    common = cdist(queries, known, scorer=LCSseq.similarity, dtype=np.int32).tolist()
    for query, row, ranking in zip(queries, common, index.rank_all(asked), strict=True):
        scores = [f1(lcs, len(query), len(text)) for lcs, text in zip(row, known, strict=True)]
        ranked = sorted((Match(str(n), score) for n, score in enumerate(scores)), key=lambda match: -match.score)
        assert ranking.matches == tuple(ranked[:10])
