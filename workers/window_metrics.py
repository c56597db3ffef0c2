"""What can be read off a worker's windows when somebody asks: calls under way, shares, and how the servers are."""

import platform
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client.registry import Collector

from shared.lm.health import CircuitState, EndpointHealth
from shared.telemetry import metrics
from shared.telemetry.metrics import Family, Sample
from workers.measuring import forget_unused
from workers.runtime import Runtime
from workers.windows import CallWindow

ANSWERED_S = 60.0  # a server that nobody calls now is told of for so long after it answered
FAILED_S = 300.0  # and after it failed: with nothing to do meanwhile, a stream comes and goes


class WindowMetrics(Collector):
    """The metrics of `shared.telemetry.metrics.OF_WORKERS`, each model's windows put together over the runs."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._build = (version("ensemble-instruct"), platform.python_version())

    def describe(self) -> Iterator[Family]:
        """What it tells, without looking."""
        for each in metrics.OF_WORKERS:
            yield each.told()

    def collect(self) -> Iterator[Family]:
        """All of it, as it is now."""
        windows: defaultdict[str, list[CallWindow]] = defaultdict(list)
        for window in self._runtime.windows:
            windows[window.holder.model].append(window)
        at_work = [(model, window) for model, those in windows.items() for window in those if not window.is_released]
        health = [(model, each) for model, those in windows.items() for window in those for each in _told(window)]
        forget_unused({model for model, _ in at_work}, time.monotonic())
        yield metrics.BUILD.told([(self._build, 1)])
        yield metrics.STREAMS.told(_counted((queue,) for _, queue in list(self._runtime.streams)))
        yield metrics.IN_FLIGHT.told(_summed((model, window.in_flight) for model, window in at_work))
        yield metrics.SLOTS.told(_summed((model, window.slots) for model, window in at_work))
        yield metrics.WINDOW.told(_largest(at_work))
        yield metrics.CIRCUITS.told(_circuits(health))
        yield metrics.LIMIT.told(_limits(health))


def _told(window: CallWindow) -> list[EndpointHealth]:
    """How its servers are, without what nobody has had a look at of late."""
    return [each for each in window.lm.health() if not window.is_released or _is_news(each)]


def _is_news(each: EndpointHealth) -> bool:
    answered = each.answered_s is not None and each.answered_s < ANSWERED_S
    return answered or (each.failed_s is not None and each.failed_s < FAILED_S)


def _counted(labels: Iterator[tuple[str, ...]]) -> Iterator[Sample]:
    yield from Counter(labels).items()


def _summed(amounts: Iterator[tuple[str, int]]) -> Iterator[Sample]:
    sums: Counter[str] = Counter()
    for model, amount in amounts:
        sums[model] += amount
    yield from (((model,), amount) for model, amount in sums.items())


def _largest(windows: list[tuple[str, CallWindow]]) -> Iterator[Sample]:
    sizes: defaultdict[str, int] = defaultdict(int)
    for model, window in windows:
        sizes[model] = max(sizes[model], window.holder.size)
    yield from (((model,), size) for model, size in sizes.items())


def _circuits(health: list[tuple[str, EndpointHealth]]) -> Iterator[Sample]:
    counted = Counter((model, each.endpoint, each.state) for model, each in health)
    for model, endpoint in {(model, each.endpoint) for model, each in health}:
        yield from (((model, endpoint, state), counted[model, endpoint, state]) for state in CircuitState)


def _limits(health: list[tuple[str, EndpointHealth]]) -> Iterator[Sample]:
    limits: defaultdict[tuple[str, str], int] = defaultdict(int)
    for model, each in health:
        limits[model, each.endpoint] += each.limit if each.state is CircuitState.CLOSED else 0
    yield from limits.items()
