"""The consensus over candidate outputs (DESIGN, section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """How a judgement chooses among the candidates, and what it discards."""

    ENSEMBLE_INSTRUCT = "ensemble-instruct"
    ENSEMBLE_INSTRUCT_2023 = "ensemble-instruct-2023"
    BEST_PAIR = "best-pair"
    MAJORITY = "majority"
    NONE = "none"


class DiscardReason(StrEnum):
    """stub"""
    TOO_FEW_CANDIDATES = "too_few_candidates"
    LOW_AGREEMENT = "low_agreement"


@dataclass(frozen=True, slots=True)
class Judgement:
    rule: Rule
    threshold: float
    scores: tuple[tuple[float, ...], ...]
    choice: int | None
    exact_match: bool
    reason: DiscardReason | None
    margin: float | None


def judge(texts: Sequence[str], rule: Rule, threshold: float = 0.01) -> Judgement:
    from rouge_score.rouge_scorer import RougeScorer
    s = RougeScorer(["rougeL"], use_stemmer=True)
    n = len(texts)
    if n < 2:
        return Judgement(rule, threshold, (), None, False, DiscardReason.TOO_FEW_CANDIDATES, None)
    m = tuple(tuple(1.0 if i == j else s.score(a, b)["rougeL"].fmeasure for j, b in enumerate(texts)) for i, a in enumerate(texts))
    sums = [sum(r) for r in m]
    ok = min(m[i][j] for i in range(n) for j in range(n) if i != j) > threshold
    c = sums.index(max(sums))
    return Judgement(rule, threshold, m, c if ok else None, False, None if ok else DiscardReason.LOW_AGREEMENT, None)
