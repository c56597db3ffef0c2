"""Terms: what a job or a command says of voices, given to the rules that know candidates."""

import pytest

from shared.method.consensus import DiscardReason, Rule, judge
from shared.method.terms import Terms

VOICES = ("instance", "one", "two")
OUTPUTS = ("a long answer, word for word", "short", "short")


def terms(
    rule: Rule = Rule.ENSEMBLE_INSTRUCT,
    weights: tuple[float, ...] = (1, 1, 1),
    families: dict[str, str] | None = None,
    min_candidates: int = 2,
) -> Terms:
    return Terms(rule, 0.0, min_candidates, dict(zip(VOICES, weights, strict=True)), families or {})


def test_plain_terms_judge_as_the_rule_alone_does() -> None:
    assert terms().judge(VOICES, OUTPUTS) == judge(OUTPUTS, Rule.ENSEMBLE_INSTRUCT, 0.0)
    assert terms().judge(VOICES, OUTPUTS).choice == 1


def test_a_weight_belongs_to_a_voice_whatever_its_place() -> None:
    heavy = terms(Rule.MAJORITY, weights=(3, 1, 1))
    assert heavy.judge(VOICES, OUTPUTS).choice == 0
    assert heavy.judge(("one", "instance"), ("short", "long")).choice == 1


def test_a_family_shares_a_vote() -> None:
    akin = terms(families={"one": "flan", "two": "flan"})
    assert akin.judge(VOICES, OUTPUTS).exact_match is False
    assert akin.judge(("one", "two"), ("short", "short")).reason is DiscardReason.TOO_FEW_CANDIDATES


@pytest.mark.parametrize(("rule", "choice"), [(Rule.ENSEMBLE_INSTRUCT, None), (Rule.NONE, 0)])
def test_too_few_outputs_are_discarded_unless_nothing_is_compared(rule: Rule, choice: int | None) -> None:
    judgement = terms(rule, min_candidates=3).judge(("one", "two"), ("short", "short"))
    assert judgement.choice == choice
    assert judgement.reason == (None if choice == 0 else DiscardReason.TOO_FEW_CANDIDATES)
    assert judgement.exact_match is False


@pytest.mark.parametrize(
    ("families", "family"),
    [
        ({}, None),
        ({"one": "flan", "two": "flan"}, None),
        ({"instance": "flan", "one": "flan", "two": "t5"}, None),
        ({"instance": "flan", "one": "flan", "two": "flan"}, "flan"),
    ],
)
def test_voices_may_all_be_of_one_family(families: dict[str, str], family: str | None) -> None:
    assert terms(families=families).one_family == family
