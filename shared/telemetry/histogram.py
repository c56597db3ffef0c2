"""A histogram for what comes by the batch: a sort and a few bisections take a tenth of so many single observations."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from threading import Lock

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class Observations:
    """One series: how many observations lie at or below each of some bounds, how many there are, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._below = [0] * len(bounds)
        self._count, self._sum = 0, 0.0
        self._lock = Lock()

    def add(self, values: Sequence[float]) -> None:
        """Observe all of these."""
        ordered = sorted(values)
        below = [bisect_right(ordered, bound) for bound in self._bounds]
        with self._lock:
            self._below = [old + new for old, new in zip(self._below, below, strict=True)]
            self._count += len(ordered)
            self._sum += sum(ordered)

    def told(self) -> tuple[list[tuple[str, float]], float]:
        """The buckets, each with all below it, and the sum."""
        with self._lock:
            below = [(str(float(bound)), count) for bound, count in zip(self._bounds, self._below, strict=True)]
            return [*below, ("+Inf", self._count)], self._sum


class BatchHistogram(Collector):
    """Series of observations by the values of some labels."""

    def __init__(
        self, name: str, help: str, labels: Sequence[str], *, bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._family = (name, help, labels)
        self._bounds = bounds
        self._series: dict[tuple[str, ...], Observations] = {}
        registry.register(self)

    def labels(self, *values: str) -> Observations:
        """The series with these values."""
        return self._series.setdefault(values, Observations(self._bounds))

    def remove(self, *values: str) -> None:
        """Tell of it no more."""
        self._series.pop(values, None)

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """What it tells, without looking."""
        name, help, labels = self._family
        yield HistogramMetricFamily(name, help, labels=labels)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """All of it, as it is now."""
        for family in self.describe():
            for values, series in list(self._series.items()):
                family.add_metric(values, *series.told())
            yield family
