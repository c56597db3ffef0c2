from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataset.seed_files import load_seeds
from shared.method.novelty import NoveltyIndex
from shared.method.selection import Compared, Decision, Selection

few_words = st.lists(st.sampled_from("abcd"), max_size=10).map(" ".join)
many_texts = st.lists(few_words | st.text(max_size=12), max_size=25)
thresholds = st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0])


def one_by_one(pool: list[str], candidates: list[str], threshold: float, k: int) -> list[Decision]:
    """What an index says that is asked about one candidate after another."""
    index, known, decisions = NoveltyIndex(threshold), list[int](), list[Decision]()
    for number, text in enumerate(pool):
        index.add(str(number), text)
        known.append(number)
    for number, text in enumerate(candidates):
        answer = index.assess(text, k)
        similar = [(int(match.key), match.score) for match in answer.most_similar]
        decisions.append(Decision(number, answer.accepted, answer.max_similarity, similar))
        if answer.accepted:
            index.add(str(len(pool) + number), text)
    return decisions


def in_pieces(selection: Selection, count: int, size: int, ahead: int) -> list[Decision]:
    """Pieces are compared as things stood some pieces ago."""
    decisions: list[Decision] = []
    waiting: list[Compared] = []
    starts = iter(range(0, count, size))
    while True:
        for start in starts:
            waiting.append(selection.compare(selection.piece(start, min(start + size, count))))
            if len(waiting) > ahead:
                break
        if not waiting:
            return decisions
        decisions += selection.decide(waiting.pop(0))


@given(many_texts, many_texts, thresholds, st.integers(1, 12), st.integers(1, 9), st.integers(0, 3))
def test_pieces_compared_ahead_are_decided_as_one_after_another(
    pool: list[str], candidates: list[str], threshold: float, k: int, size: int, ahead: int
) -> None:
    expected = one_by_one(pool, candidates, threshold, k)
    selection = Selection([pool[:7], pool[7:]], candidates, threshold, k)
    assert in_pieces(selection, len(candidates), size, ahead) == expected


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_a_larger_selection_is_that_of_an_index(threshold: float) -> None:
    """Instructions that are much like each other, most of which are refused; with a pool that fills shelves."""
    random = Random(7)
    seeds = [seed.instruction for seed in load_seeds()]
    texts = [" ".join(random.sample(words, len(words))[:14]) for words in map(str.split, random.choices(seeds, k=1700))]
    templates = [f"write a {kind} about {topic}" for kind in ("poem", "song") for topic in range(80)]
    pool, candidates = texts[:1200], [*texts[1200:], *templates, *texts[1200:1300], "", "?"]
    random.shuffle(candidates)
    expected = one_by_one(pool, candidates, threshold, 10)
    selection = Selection([pool], candidates, threshold, 10)
    assert in_pieces(selection, len(candidates), 110, 3) == expected


def test_without_a_pool_candidates_have_only_each_other() -> None:
    candidates = ["a b c d", "e f", "a b c d", "", "e f g"]
    selection = Selection([], candidates, 0.7, 3)
    decisions = in_pieces(selection, len(candidates), 2, 1)
    assert decisions == one_by_one([], candidates, 0.7, 3)
    assert [decision.accepted for decision in decisions] == [True, True, False, True, False]
