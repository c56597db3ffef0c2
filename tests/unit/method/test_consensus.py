from collections.abc import Sequence
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from shared.method.consensus import DiscardReason, Judgement, Rule, comparable, judge

SCORER = RougeScorer(["rougeL"], use_stemmer=True)
AGREEING = [rule for rule in Rule if rule is not Rule.NONE]

words = st.sampled_from(["The", "the", "cat's", "cats", "running", "runs!", "2", "--", "éa", "猫", "+", ""])
outputs = st.lists(words, max_size=8).map(" ".join) | st.text(max_size=20)
ascii_outputs = st.text(st.characters(max_codepoint=127), max_size=30) | st.lists(
    st.sampled_from(["sorting", "sorted", "lists,", "list", "a", "quickly", "quick-ly"]), max_size=12
).map(" ".join)


def by_the_letter(texts: Sequence[str]) -> int | None:
    """The default rule on three candidates, as docs/method.md tells it."""
    zero, one, two = map(comparable, texts)
    s01, s02, s12 = (SCORER.score(a, b)["rougeL"].fmeasure for a, b in combinations([zero, one, two], 2))
    if zero in (one, two):
        return 0 if zero else None
    if one == two:
        return 1 if one else None
    if min(s01, s02, s12) <= 0.01:
        return None
    sums = [s01 + s02, s01 + s12, s02 + s12]
    return sums.index(max(sums))


def outcome(judgement: Judgement) -> int | DiscardReason | None:
    return judgement.choice if judgement.reason is None else judgement.reason


LOW, EMPTY = DiscardReason.LOW_AGREEMENT, DiscardReason.EMPTY_CHOICE


@pytest.mark.parametrize(
    ("texts", "default", "older"),
    [
        (["Yes.", "no", "yes"], 0, 0),
        (["no", "Yes.", "yes"], 1, 0),
        (["no", "yes", "maybe", "Yes!", "no "], 0, 0),
        (["a cat sat", "a cat sat down", "the cat sat down"], 1, 1),
        (["a b", "a c", "a d"], 0, 0),
        (["a b", "a c", "d e"], LOW, LOW),
        (["", " ", "x"], EMPTY, EMPTY),
        (["x", "", "\t"], EMPTY, 0),
        (["", "x", "x"], 1, 0),
        (["", "", "x", "x"], EMPTY, 0),
        (["+", "-", "*"], LOW, LOW),
        (["-", "+", " + "], 1, 0),
        (["+ +", "++"], LOW, LOW),
        (["你好世界", "再见", "你好世界"], 0, 0),
        (["我喜欢苹果", "我喜欢梨", "我爱苹果"], 0, 0),
        (["same", "same"], 0, 0),
        (["one thing", "one other"], 0, 0),
    ],
    ids=str,
)
def test_the_ensemble_rules_choose(texts: list[str], default: int | DiscardReason, older: int | DiscardReason) -> None:
    assert outcome(judge(texts, Rule.ENSEMBLE_INSTRUCT)) == default
    assert outcome(judge(texts, Rule.ENSEMBLE_INSTRUCT_2023)) == older


@given(st.tuples(ascii_outputs, ascii_outputs, ascii_outputs))
def test_the_default_rule_follows_the_published_rule(texts: tuple[str, str, str]) -> None:
    assert judge(texts, Rule.ENSEMBLE_INSTRUCT).choice == by_the_letter(texts)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a x y", "a b c z", "a b c w"], 1),
        (["a b", "a b", "a b"], 0),
        (["a b c", "a d", "e"], LOW),
        (["", ""], LOW),
    ],
    ids=str,
)
def test_the_best_pair_gives_its_first_member(texts: list[str], expected: int | DiscardReason) -> None:
    assert outcome(judge(texts, Rule.BEST_PAIR)) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["no", "Yes", "yes."], 1),
        (["a", "b", "b", "c"], 1),
        (["a", "b", "b", "a"], 0),
        (["a", "b", "c"], DiscardReason.NO_MAJORITY),
        (["a", "b", "b", "c", "d"], DiscardReason.NO_MAJORITY),
        (["a", "b"], 0),
        (["", " ", "b"], EMPTY),
    ],
    ids=str,
)
def test_the_majority_needs_half_of_the_votes(texts: list[str], expected: int | DiscardReason) -> None:
    assert outcome(judge(texts, Rule.MAJORITY)) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [(["a", "b"], 0), (["a"], 0), (["", "b"], EMPTY), ([], DiscardReason.TOO_FEW_CANDIDATES)],
    ids=str,
)
def test_without_a_rule_candidate_0_is_kept_unless_empty(texts: list[str], expected: int | DiscardReason) -> None:
    assert outcome(judge(texts, Rule.NONE)) == expected


@pytest.mark.parametrize("rule", AGREEING)
@pytest.mark.parametrize("texts", [[], ["alone"]])
def test_a_consensus_needs_two(rule: Rule, texts: list[str]) -> None:
    judgement = judge(texts, rule)
    assert judgement.reason is DiscardReason.TOO_FEW_CANDIDATES
    assert judgement.choice is None
    assert len(judgement.scores) == len(texts)


def test_the_lowest_score_must_exceed_the_threshold() -> None:
    texts = ["a b", "a c", "a d"]  # every pair scores 0.5
    assert judge(texts, Rule.ENSEMBLE_INSTRUCT, 0.5).reason is LOW
    assert judge(texts, Rule.ENSEMBLE_INSTRUCT, 0.49).choice == 0


def test_an_exact_match_needs_no_score() -> None:
    judgement = judge(["Paris", "paris.", "I don't know"], Rule.ENSEMBLE_INSTRUCT, threshold=1.0)
    assert (judgement.choice, judgement.exact_match, judgement.margin) == (0, True, None)


def test_the_margin_is_the_lead_of_the_medoid() -> None:
    judgement = judge(["a b c d", "a b c e", "a b f g"], Rule.ENSEMBLE_INSTRUCT)
    assert judgement.scores == ((1.0, 0.75, 0.5), (0.75, 1.0, 0.5), (0.5, 0.5, 1.0))
    assert (judgement.choice, judgement.exact_match, judgement.margin) == (0, False, 0.0)
    assert judge(["a b c d", "a b c e", "a b f e"], Rule.ENSEMBLE_INSTRUCT).margin == 1.5 - 1.25


def test_a_heavier_candidate_wins_the_medoid_or_draws_it_near() -> None:
    texts = ["a b c d", "a b c e", "a f g e"]
    assert judge(texts, Rule.ENSEMBLE_INSTRUCT).choice == 1
    assert judge(texts, Rule.ENSEMBLE_INSTRUCT, weights=[2, 1, 1]).choice == 0
    assert judge(texts, Rule.ENSEMBLE_INSTRUCT, weights=[1, 1, 3]).choice == 2
    assert judge(["a b c", "a d e", "a d f", "b a c"], Rule.ENSEMBLE_INSTRUCT).choice == 0
    assert judge(["a b c", "a d e", "a d f", "b a c"], Rule.ENSEMBLE_INSTRUCT, weights=[1, 1, 1.2, 1]).choice == 2


def test_a_heavier_candidate_counts_more_in_the_majority() -> None:
    assert judge(["no", "yes", "yes"], Rule.MAJORITY, weights=[3, 1, 1]).choice == 0


def test_a_family_has_one_vote() -> None:
    texts = ["the long answer to it", "short to it", "short to it"]
    akin = [None, "flan", "flan"]
    assert judge(texts, Rule.ENSEMBLE_INSTRUCT).choice == 1
    apart = judge(texts, Rule.ENSEMBLE_INSTRUCT, families=akin)
    assert (apart.choice, apart.exact_match) == (0, False)
    assert judge(["a", *["b"] * 6], Rule.MAJORITY, families=["x", *["y"] * 6]).choice == 0
    alone = judge(["b", "b"], Rule.ENSEMBLE_INSTRUCT, families=["y", "y"])
    assert alone.reason is DiscardReason.TOO_FEW_CANDIDATES
    assert judge(["b", "b"], Rule.ENSEMBLE_INSTRUCT, families=[None, None]).choice == 0


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_weights_that_make_no_sense_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        judge(["a", "b"], Rule.ENSEMBLE_INSTRUCT, weights=weights)


def test_a_family_for_each_candidate_or_for_none() -> None:
    with pytest.raises(ValueError, match="2 candidates, 2 weights, 1 families"):
        judge(["a", "b"], Rule.ENSEMBLE_INSTRUCT, families=["x"])


@given(st.lists(outputs, max_size=5), st.sampled_from(Rule), st.floats(0, 1))
def test_any_texts_get_a_consistent_judgement(texts: list[str], rule: Rule, threshold: float) -> None:
    judgement = judge(texts, rule, threshold)
    n = len(texts)
    assert (judgement.choice is None) == (judgement.reason is not None) == (not judgement.accepted)
    assert judgement.choice is None or texts[judgement.choice].strip()
    assert [len(row) for row in judgement.scores] == [n] * n
    assert all(judgement.scores[i][j] == judgement.scores[j][i] for i, j in combinations(range(n), 2))
    assert all(0 <= score <= 1 for row in judgement.scores for score in row)
    assert judgement.margin is None or judgement.margin >= 0


@given(st.lists(ascii_outputs, max_size=4))
def test_scores_are_those_of_rouge_score_on_the_normalised_texts(texts: list[str]) -> None:
    forms = [comparable(text) for text in texts]
    scores = judge(texts, Rule.NONE).scores
    for i, j in permutations(range(len(texts)), 2):
        assert scores[i][j] == SCORER.score(forms[i], forms[j])["rougeL"].fmeasure


@given(st.lists(outputs, min_size=2, max_size=5), st.sampled_from(AGREEING))
def test_equal_weights_and_families_of_one_change_nothing(texts: list[str], rule: Rule) -> None:
    neutral = judge(texts, rule, weights=[1.0] * len(texts), families=[f"f{i}" for i in range(len(texts))])
    assert neutral == judge(texts, rule)


@pytest.mark.parametrize(
    ("text", "form"),
    [("  The CAT's\n hat. ", "the cats hat"), ("+", "+"), (" - \t - ", "- -"), ("你好。", "你好。"), (" \n", "")],
)
def test_the_comparable_form(text: str, form: str) -> None:
    assert comparable(text) == form
