"""Who wins, who agrees, and when two look-alikes are told of."""

from dataclasses import replace

import pytest

from shared.method.agreement import Agreement, AgreementReport, Judged
from shared.method.consensus import Rule
from shared.method.terms import Terms

VOICES = ("instance", "one", "two")
PLAIN = Terms(Rule.ENSEMBLE_INSTRUCT, 0.0, 2, dict.fromkeys(VOICES, 1.0), {})
LONG = "an answer that takes its time and says just what was asked for in full detail of all of it to the end"
OUTVOTED = (LONG, "it says yes", "it says no")
GENERATOR_WINS = ("it says yes", "it says yes", "never")


def report(*outputs: tuple[str, ...], terms: Terms = PLAIN, voices: tuple[str, ...] = VOICES) -> AgreementReport:
    """What is said of these instances, judged by these terms."""
    agreement = Agreement(VOICES, terms)
    for texts in outputs:
        judged = terms.judge(voices, texts)
        agreement.add(Judged(voices, texts, judged.scores, judged.choice, judged.exact_match))
    return agreement.report()


def test_wins_are_counted_against_the_instances_that_kept_an_output() -> None:
    told = report(OUTVOTED, GENERATOR_WINS, ("red", "green", "blue"))
    assert (told.instances, told.kept, told.exact_matches, told.exact_share) == (3, 2, 1, 0.5)
    assert [(each.voice, each.candidates, each.wins, each.win_rate) for each in told.voices] == [
        ("instance", 3, 1, 0.5),
        ("one", 3, 1, 0.5),
        ("two", 3, 0, 0.0),
    ]


def test_lengths_are_in_words_and_compared_within_instances() -> None:
    instance, one, two = report(("a b c d", "a b", "a b c d e f"), GENERATOR_WINS).voices
    assert (instance.mean_words, instance.others_mean_words) == (3.5, (2 + 6 + 3 + 1) / 4)
    assert (one.mean_words, one.mean_words_when_chosen) == (2.5, None)
    assert two.others_mean_words == (4 + 2 + 3 + 3) / 4


def test_pairs_agree_by_rouge_l_and_word_for_word() -> None:
    told = report(GENERATOR_WINS, ("Yes.", "no", "yes"))
    assert [each.voices for each in told.pairs] == [("instance", "one"), ("instance", "two"), ("one", "two")]
    assert [(each.mean_rouge_l, each.exact_share) for each in told.pairs] == [(0.5, 0.5), (0.5, 0.5), (0.0, 0.0)]


def test_a_voice_that_did_not_speak_has_no_part() -> None:
    told = report(("yes", "yes"), voices=("one", "two"))
    instance, one, _ = told.voices
    assert (instance.candidates, instance.win_rate, instance.mean_words) == (0, None, None)
    assert (one.win_rate, one.others_mean_words) == (1.0, 1.0)
    assert [each.voices for each in told.pairs] == [("one", "two")]


def test_nothing_judged_is_nothing_told() -> None:
    told = report()
    assert (told.instances, told.exact_share, told.pairs, told.blocs) == (0, None, (), ())


def test_two_look_alikes_that_outvote_the_generator_are_told_of() -> None:
    (bloc,) = report(*[OUTVOTED] * 89, *[GENERATOR_WINS] * 16).blocs
    assert (bloc.voices, bloc.wins, bloc.instances) == (("one", "two"), 89, 105)
    assert bloc.even_share == pytest.approx(2 / 3)
    assert bloc.rouge_l_inside > 3 * bloc.rouge_l_outside
    assert bloc.others_words == pytest.approx(len(LONG.split()))
    assert bloc.words == 3


@pytest.mark.parametrize(
    "terms",
    [replace(PLAIN, families={"one": "flan", "two": "flan"}), replace(PLAIN, rule=Rule.NONE)],
)
def test_nobody_is_told_of_who_shares_a_vote_or_where_nobody_votes(terms: Terms) -> None:
    assert report(*[OUTVOTED] * 50, terms=terms).blocs == ()


def test_nobody_is_told_of_after_a_few_instances() -> None:
    assert report(*[OUTVOTED] * 19).blocs == ()
    assert report(*[OUTVOTED] * 20).blocs


def test_nobody_is_told_of_where_each_pair_wins_its_share() -> None:
    turns = [("a b c", "a b d", "e f g"), ("e f g", "a b c", "a b d"), ("a b c", "e f g", "a b d")]
    assert report(*turns * 40).blocs == ()
