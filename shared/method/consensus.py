"""The consensus over an instance's candidate outputs: which of them, if any, becomes the example's output.

Rules and threshold are those of Ensemble-Instruct (Lee et al., 2023, section 2.3, and its reference code), told
in full in docs/method.md. Two candidates are equal if their comparable forms are (`comparable`); all else is
judged by the stemmed Rouge-L F1 of those forms.

Candidates may have weights, and belong to families (of LMs that tend to agree because they are akin). A family
has one vote, which its members share: they neither match nor support each other. With equal weights and nobody
akin, every rule is as told there.
"""

import string
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import combinations
from math import fsum, inf
from typing import NamedTuple

from shared.method.rouge import stemmed_rouge_l_matrix

_PUNCTUATION = string.punctuation.encode()


class Rule(StrEnum):
    """How a judgement chooses among the candidates, and what it discards."""

    ENSEMBLE_INSTRUCT = "ensemble-instruct"
    ENSEMBLE_INSTRUCT_2023 = "ensemble-instruct-2023"
    BEST_PAIR = "best-pair"
    MAJORITY = "majority"
    NONE = "none"


class DiscardReason(StrEnum):
    """Why a judgement chose no candidate."""

    TOO_FEW_CANDIDATES = "too_few_candidates"
    LOW_AGREEMENT = "low_agreement"
    NO_MAJORITY = "no_majority"
    EMPTY_CHOICE = "empty_choice"
    RETRACTED = "retracted"  # what was to be decided on: nothing was compared


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a rule decided on n candidates, and from what.

    `scores` are n rows of n: the Rouge-L F1 of each pair, symmetric, 1.0 on the diagonal. `choice` is the kept
    candidate's index; when none is kept, `reason` says why. `exact_match` says that equal candidates decided, not
    scores. `margin` is the lead over the next best of the medoid's sum, the best pair's score or the majority's
    votes; there is none where equal candidates outrank all others by rule, or where there is no next best.
    """

    rule: Rule
    threshold: float
    scores: tuple[tuple[float, ...], ...]
    choice: int | None
    exact_match: bool
    reason: DiscardReason | None
    margin: float | None

    @property
    def accepted(self) -> bool:
        """Whether a candidate was kept."""
        return self.choice is not None


class _Decision(NamedTuple):
    choice: int
    exact_match: bool = False
    reason: DiscardReason | None = None
    margin: float | None = None
    may_be_empty: bool = False


class _Electorate(NamedTuple):
    """Each candidate's weight, family, and vote: its share of the family's one, times its weight.

    `pairs` are those of different families, the earlier candidate first.
    """

    weights: Sequence[float]
    families: Sequence[Hashable]
    votes: Sequence[float]
    pairs: Sequence[tuple[int, int]]


class _Candidates(NamedTuple):
    """What the rules look at."""

    forms: Sequence[str]
    scores: Sequence[Sequence[float]]
    electorate: _Electorate
    threshold: float

    def matched(self) -> list[int]:
        """The earlier candidate of each pair that is equal."""
        return [i for i, j in self.electorate.pairs if self.forms[i] == self.forms[j]]

    def disagreement(self) -> DiscardReason | None:
        """`LOW_AGREEMENT` unless even the pair that agrees least scores above the threshold."""
        lowest = min([self.scores[i][j] for i, j in self.electorate.pairs])
        return None if lowest > self.threshold else DiscardReason.LOW_AGREEMENT


def judge(
    texts: Sequence[str],
    rule: Rule,
    threshold: float = 0.01,
    *,
    weights: Sequence[float] | None = None,
    families: Sequence[Hashable] | None = None,
) -> Judgement:
    """Decide between the candidates `texts`, of which the first is the instance's own output.

    `threshold`: what the lowest score of a pair must exceed. `weights`: how much each candidate counts in the
    medoid and in the majority, 1 by default. `families`: the family of each, `None` for one of its own, which
    is the default. Raises `ValueError` unless there is a weight above 0, and a family, for each text.
    """
    electorate = _electorate(
        len(texts), None if weights is None else tuple(weights), None if families is None else tuple(families)
    )
    forms = [comparable(text) for text in texts]
    scores = stemmed_rouge_l_matrix(forms) if len(forms) > 1 else ((1.0,),) * len(forms)  # no stems for nobody
    if not texts or (rule is not Rule.NONE and not electorate.pairs):
        decision = _Decision(0, reason=DiscardReason.TOO_FEW_CANDIDATES)
    else:
        decision = _DECIDE[rule](_Candidates(forms, scores, electorate, threshold))
        if decision.reason is None and not forms[decision.choice] and not decision.may_be_empty:
            decision = decision._replace(reason=DiscardReason.EMPTY_CHOICE)
    choice = None if decision.reason else decision.choice
    return Judgement(rule, threshold, scores, choice, decision.exact_match, decision.reason, decision.margin)


def comparable(text: str) -> str:
    """The form in which texts are compared: lower-cased, without ASCII punctuation, spaces folded.

    Where nothing of that is left, as of "+" and "-", the text itself with its spaces folded.
    """
    coded = text.lower().encode(errors="surrogatepass").translate(None, _PUNCTUATION)  # quicker than as str
    return " ".join(coded.decode(errors="surrogatepass").split()) or " ".join(text.split())


@lru_cache(maxsize=256)
def _electorate(count: int, weights: tuple[float, ...] | None, families: tuple[Hashable, ...] | None) -> _Electorate:
    weights = (1.0,) * count if weights is None else weights
    families = tuple(object() if each is None else each for each in families or [None] * count)
    if not len(weights) == len(families) == count:
        raise ValueError(f"{count} candidates, {len(weights)} weights, {len(families)} families")
    if not all(0 < weight < inf for weight in weights):
        raise ValueError(f"a weight must be above 0 and finite: {list(weights)}")
    votes = [weight / families.count(family) for weight, family in zip(weights, families, strict=True)]
    pairs = [(i, j) for i, j in combinations(range(count), 2) if families[i] != families[j]]
    return _Electorate(weights, families, votes, pairs)


def _ensemble_instruct(candidates: _Candidates) -> _Decision:
    """The first candidate that equals another; without one, the medoid."""
    matched = candidates.matched()
    return _Decision(min(matched), exact_match=True) if matched else _medoid(candidates)


def _ensemble_instruct_2023(candidates: _Candidates) -> _Decision:
    """Candidate 0 if any two are equal, be it in saying nothing; otherwise the medoid.

    Where others agree on something, candidate 0 is kept though it says nothing, as in the reference code.
    """
    matched = candidates.matched()
    if not matched:
        return _medoid(candidates)
    return _Decision(0, exact_match=True, may_be_empty=any(candidates.forms[i] for i in matched))


def _medoid(candidates: _Candidates) -> _Decision:
    """The candidate with the highest sum of scores with the others, each times the other's vote.

    By what it weighs more than the lightest, a candidate also agrees with itself; or a weight would help only
    those like it.
    """
    votes, lightest = candidates.electorate.votes, min(candidates.electorate.weights)
    terms = [[weight - lightest] for weight in candidates.electorate.weights]
    for i, j in candidates.electorate.pairs:
        terms[i].append(candidates.scores[i][j] * votes[j])
        terms[j].append(candidates.scores[i][j] * votes[i])
    sums = [fsum(each) for each in terms]  # rounded once, so that the order of the others makes no ties or leads
    choice = sums.index(max(sums))
    return _Decision(choice, reason=candidates.disagreement(), margin=_lead(sums))


def _best_pair(candidates: _Candidates) -> _Decision:
    """The first member of the pair that scores highest."""
    scores = [candidates.scores[i][j] for i, j in candidates.electorate.pairs]
    choice, _ = candidates.electorate.pairs[scores.index(max(scores))]
    return _Decision(choice, reason=candidates.disagreement(), margin=_lead(scores))


def _majority(candidates: _Candidates) -> _Decision:
    """The form with the most votes, if it has half of them; so with two candidates, the first."""
    voters: defaultdict[str, list[int]] = defaultdict(list)
    for i, form in enumerate(candidates.forms):
        voters[form].append(i)
    totals = {form: fsum(candidates.electorate.votes[i] for i in agreed) for form, agreed in voters.items()}
    agreed = voters[max(totals, key=totals.__getitem__)]
    together = len({candidates.electorate.families[i] for i in agreed}) > 1
    enough = 2 * max(totals.values()) >= fsum(candidates.electorate.votes)
    reason = None if enough else DiscardReason.NO_MAJORITY
    return _Decision(agreed[0], together, reason, _lead(list(totals.values())))


def _first(candidates: _Candidates) -> _Decision:
    """Candidate 0, unjudged."""
    return _Decision(0)


def _lead(values: Sequence[float]) -> float | None:
    """By how much the highest value exceeds the next."""
    if len(values) < 2:
        return None
    *_, second, first = sorted(values)
    return first - second


_DECIDE: dict[Rule, Callable[[_Candidates], _Decision]] = {
    Rule.ENSEMBLE_INSTRUCT: _ensemble_instruct,
    Rule.ENSEMBLE_INSTRUCT_2023: _ensemble_instruct_2023,
    Rule.BEST_PAIR: _best_pair,
    Rule.MAJORITY: _majority,
    Rule.NONE: _first,
}
