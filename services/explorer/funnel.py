"""The funnel as a page shows it: what each step kept and left out, and the reasons."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.store.views.rejections import QUESTIONS
from shared.store.views.totals import Step

KEPT = ("answered", "accepted", "wanted")


@dataclass(slots=True)
class Stage:
    """What a step of the funnel made, by task type."""

    kind: str
    kept: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    left_out: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def share(self, task_type: str) -> float | None:
        """How much of it was kept; `None` if there was nothing."""
        total = self.kept[task_type] + self.left_out[task_type]
        return self.kept[task_type] / total if total else None


@dataclass(slots=True)
class Reason:
    """Why records of a kind were left out, how many by task type, and whether a page lists them."""

    kind: str
    reason: str
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def total(self) -> int:
        """How many, of all types."""
        return sum(self.counts.values())

    @property
    def listed(self) -> bool:
        """Whether they are records: a proposal that failed is none."""
        return self.kind in QUESTIONS


def stages(steps: Iterable[Step]) -> list[Stage]:
    """The steps in their order."""
    found: dict[int, Stage] = {}
    for each in steps:
        stage = found.setdefault(each.step, Stage(each.kind))
        counts = stage.kept if each.state in KEPT else stage.left_out
        counts[each.task_type] += each.records
    return [found[step] for step in sorted(found)]


def reasons(steps: Iterable[Step]) -> Sequence[Reason]:
    """Why things were left out: by step, the most frequent first."""
    found: dict[tuple[int, str], Reason] = {}
    for each in steps:
        if each.reason:
            reason = found.setdefault((each.step, each.reason), Reason(each.kind, each.reason))
            reason.counts[each.task_type] += each.records
    return [found[place] for place in sorted(found, key=lambda place: (place[0], -found[place].total, place[1]))]
