"""A quantity that varies, given by its quantiles."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from random import Random

STEPS = 1000


class Spread:
    """Draws values whose quantiles are as given, and straight in between.

    `quantiles` maps shares from 0 to 1 to values that do not fall; what lies beyond the outermost is as they are.
    With a `mean`, all values are scaled so that theirs is that.
    """

    def __init__(self, quantiles: Mapping[float, float], mean: float | None = None) -> None:
        shares = sorted(quantiles)
        steps = [_at((step + 0.5) / STEPS, shares, [quantiles[share] for share in shares]) for step in range(STEPS)]
        found = sum(steps) / STEPS
        scale = mean / found if mean is not None and found else 1.0
        self._steps = [scale * value for value in steps]
        self.mean = scale * found

    @classmethod
    def of(cls, value: float) -> "Spread":
        """A value that does not vary."""
        return cls({0.5: value})

    def draw(self, chance: Random) -> float:
        """One value."""
        return self._steps[int(chance.random() * STEPS)]


def _at(share: float, shares: Sequence[float], values: Sequence[float]) -> float:
    above = bisect_right(shares, share)
    if above == 0:
        return values[0]
    if above == len(shares):
        return values[-1]
    low, high = shares[above - 1], shares[above]
    return values[above - 1] + (values[above] - values[above - 1]) * (share - low) / (high - low)
