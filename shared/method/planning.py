"""How many more instructions to propose, and when to give up."""

import math
from dataclasses import dataclass

POSITIONS_PER_PROPOSAL = 32  # instructions that one proposal may bring, each with a position of its own


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is with one task type; every field counts things.

    `proposed` proposals were made and `gated` of them passed the novelty gate, which let `accepted`
    instructions through; `concluded` of those came to their end, `examples` of them as examples.
    """

    target: int
    proposed: int
    gated: int
    accepted: int
    concluded: int
    examples: int
    gated_at_last_example: int


def proposals_to_add(progress: Progress, lookahead: int) -> int:
    """How many proposals to add so that the target will be met, never more than `lookahead` ungated.

    What is under way is counted at the yields seen so far, which begin as if 3 of 4 had succeeded: too
    few proposals are soon made good, too many are calls wasted. An instruction that fails comes to its end
    sooner than one that all voices answer, so those that have not are taken to fare as at the beginning.
    """
    accepted_per_proposal = (progress.accepted + 3) / (progress.gated + 4)
    open_ = progress.accepted - progress.concluded
    examples_per_accepted = (progress.examples + 3 + 0.75 * open_) / (progress.accepted + 4)
    ungated = progress.proposed - progress.gated
    under_way = open_ + ungated * accepted_per_proposal
    missing = progress.target - progress.examples - under_way * examples_per_accepted
    if missing <= 0:
        return 0
    needed = math.ceil(missing / (accepted_per_proposal * examples_per_accepted))
    return max(0, min(needed, lookahead - ungated))


def barren(progress: Progress, patience: int) -> bool:
    """Whether the last `patience` proposals or more led to no example, so that no more should be made."""
    return progress.gated - progress.gated_at_last_example >= patience


def drained(progress: Progress) -> bool:
    """Whether nothing is under way any more."""
    return progress.accepted == progress.concluded and progress.proposed == progress.gated
