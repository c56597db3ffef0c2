"""Fair division of a window's slots among the workers of a run."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Protocol

from shared.method.pace import PASSED_ON, TOLERANCE


class Bidder(Protocol):
    """A worker that shares a window."""

    @property
    def wanted(self) -> Sequence[int]:
        """How many slots it has use for, by stage."""

    @property
    def reserved(self) -> int:
        """How many nobody else may have, since it may have calls under way in them."""


def due(worker: str, bidders: Mapping[str, Bidder], *, allotted: int, share: int, renewals: int = 1) -> int:
    """How many of the slots `allotted` to a run's workers one of them is to go on with, whose share was `share`.

    What workers want changes from moment to moment, and a slot that is passed on is idle on its way. So one that
    has a little more than is fair keeps it while it can use it, unless another has less than half of what is fair;
    and of what is more than that it passes on a little at a time. `renewals` asks for so many times at once.
    """
    fair = divide_by_stage(allotted, {name: each.wanted for name, each in bidders.items()})
    fellows = {name: each.reserved for name, each in bidders.items() if name != worker}
    usable = min(share, sum(bidders[worker].wanted), allotted - sum(fellows.values()))
    starved = any(2 * reserved < fair[name] for name, reserved in fellows.items())
    step, kept = ceil(allotted / PASSED_ON), allotted // TOLERANCE
    if starved:
        usable -= renewals * step
    elif usable - fair[worker] > kept:
        usable = max(usable - renewals * step, fair[worker] + kept + 1 - step)
    return max(fair[worker], usable)


def divide_by_stage(size: int, wanted: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Divide `size` slots among workers, each of which wants some for each stage, the first stage first.

    The last stage is served first, since its work is nearest to an example; within a stage nobody gets more while
    another who wants more has less.
    """
    given = dict.fromkeys(wanted, 0)
    stages = max((len(each) for each in wanted.values()), default=0)
    for stage in reversed(range(stages)):
        left = size - sum(given.values())
        asking = sorted((each[stage], worker) for worker, each in wanted.items())
        for others, (count, worker) in zip(range(len(asking), 0, -1), asking, strict=True):
            got = min(count, left // others)
            given[worker] += got
            left -= got
    return given
