"""The terms of a judgement: all that decides between the outputs of given voices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.method.consensus import DiscardReason, Judgement, Rule, judge


@dataclass(frozen=True, slots=True)
class Terms:
    """The rule with its parameters. `weights` holds every voice, `families` those that belong to one."""

    rule: Rule
    threshold: float
    min_candidates: int
    weights: Mapping[str, float]
    families: Mapping[str, str]

    @property
    def one_family(self) -> str | None:
        """The family that all voices belong to, if so: they have one vote together, and nothing to compare."""
        shared = {self.families.get(voice) for voice in self.weights}
        return shared.pop() if len(shared) == 1 and len(self.weights) > 1 else None

    def judge(self, voices: Sequence[str], outputs: Sequence[str]) -> Judgement:
        """Decide between the outputs of these voices, the instance's own first if it has part."""
        judgement = judge(
            outputs,
            self.rule,
            self.threshold,
            weights=[self.weights[voice] for voice in voices] if len(set(self.weights.values())) > 1 else None,
            families=[self.families.get(voice) for voice in voices] if self.families else None,
        )
        if self.rule is Rule.NONE or len(outputs) >= self.min_candidates:
            return judgement
        reason = DiscardReason.TOO_FEW_CANDIDATES
        return replace(judgement, choice=None, exact_match=False, reason=reason, margin=None)
