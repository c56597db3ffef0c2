"""What the rules of a judgement choose and leave out, in a sentence for who reads a dataset card."""

from collections.abc import Iterable

from shared.method.consensus import Rule

_UNLESS = "the least alike pair has a Rouge-L F1 of no more than the threshold"
MEANINGS = {
    Rule.ENSEMBLE_INSTRUCT: "an output that another equals, the instance's own first, else the one most like the "
    f"others; none if no two are equal and {_UNLESS}",
    Rule.ENSEMBLE_INSTRUCT_2023: "the instance's own output if any two are equal, else the one most like the others; "
    f"none if no two are equal and {_UNLESS}",
    Rule.BEST_PAIR: f"the first output of the most alike pair; none if {_UNLESS}",
    Rule.MAJORITY: "the output that most of them say; none if fewer than half do",
    Rule.NONE: "the first output there is, whatever others say",
}


def rules(used: Iterable[Rule]) -> list[tuple[str, str]]:
    """Each of these once, with what it chooses."""
    there = set(used)
    return [(str(rule), meaning) for rule, meaning in MEANINGS.items() if rule in there]
