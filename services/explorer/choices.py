"""Why a verdict chose what it chose, or nothing, in a sentence."""

from collections.abc import Mapping
from typing import Any

from shared.method.consensus import DiscardReason, Rule


def why(verdict: Mapping[str, Any]) -> str:
    """What decided, of a row of `lineage.verdicts`."""
    voices = len(verdict["candidate_ids"])
    if verdict["reason"]:
        return _why_none(verdict, voices)
    if verdict["rule"] == Rule.NONE:
        return "The rule keeps the instance's own output, whatever the others say."
    if verdict["exact_match"]:
        return f"It is word for word like another of the {voices} outputs, but for case and punctuation."
    ahead = f", by {verdict['margin']:.2f}" if verdict["margin"] is not None else ""
    match verdict["rule"]:
        case Rule.BEST_PAIR:
            return f"It is the first of the two outputs that are most alike{ahead}."
        case Rule.MAJORITY:
            return f"Most of the {voices} outputs agree on it{ahead}."
        case _:
            return f"It is most alike the others: of the {voices} outputs its scores add up highest{ahead}."


def _why_none(verdict: Mapping[str, Any], voices: int) -> str:
    match verdict["reason"]:
        case DiscardReason.TOO_FEW_CANDIDATES:
            return f"{voices} usable outputs are too few: the judgement asks for {verdict['min_candidates']}."
        case DiscardReason.LOW_AGREEMENT:
            return f"The two outputs that are least alike score no more than the threshold, {verdict['threshold']:g}."
        case DiscardReason.NO_MAJORITY:
            return f"No output has the agreement of most of the {voices}."
        case DiscardReason.EMPTY_CHOICE:
            return "The output that was to be chosen is empty."
        case DiscardReason.RETRACTED:
            return "What it was to decide on is retracted: nothing was compared."
        case other:
            return str(other).replace("_", " ")
