"""Every rule and every reason has a sentence."""

from typing import Any

import pytest

from services.explorer.choices import why
from shared.method.consensus import DiscardReason, Rule


def verdict(**changes: Any) -> dict[str, Any]:
    """A verdict on three outputs that kept one."""
    kept = {"rule": Rule.ENSEMBLE_INSTRUCT, "reason": None, "exact_match": False, "margin": 0.25}
    return {**kept, "candidate_ids": [1, 2, 3], "threshold": 0.01, "min_candidates": 2, **changes}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "most alike the others: of the 3 outputs its scores add up highest, by 0.25."),
        ({"margin": None}, "its scores add up highest."),
        ({"exact_match": True}, "word for word like another of the 3 outputs"),
        ({"rule": Rule.BEST_PAIR}, "the first of the two outputs that are most alike, by 0.25."),
        ({"rule": Rule.MAJORITY}, "Most of the 3 outputs agree on it"),
        ({"rule": Rule.NONE}, "keeps the instance's own output"),
        ({"reason": DiscardReason.LOW_AGREEMENT}, "score no more than the threshold, 0.01."),
        ({"reason": DiscardReason.TOO_FEW_CANDIDATES, "min_candidates": 4}, "3 usable outputs are too few"),
        ({"reason": "something_new"}, "something new"),
    ],
)
def test_a_choice_is_explained(changes: dict[str, Any], told: str) -> None:
    assert told in why(verdict(**changes))


@pytest.mark.parametrize("reason", DiscardReason)
def test_every_reason_to_choose_nothing_is_a_sentence(reason: DiscardReason) -> None:
    assert why(verdict(reason=reason)).endswith(".")
