"""How many worker processes a run needs."""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil

from shared.capacity.forecast import trial
from shared.method.simulation.scenario import Scenario

FULL = 0.5  # of a core in the mean, beyond which a process makes its calls wait when there are most
ROUNDS = 3
MOST_PROCESSES = 64


def with_enough_workers(scenario: Scenario) -> Scenario:
    """A scenario whose queues have so many processes that none of them is busier than `FULL`."""
    for _ in range(ROUNDS):
        result = trial(scenario)
        more = staffed(scenario, result.cpu_s, result.seconds)
        if len(more.workers) <= len(scenario.workers):
            break
        scenario = more
    return scenario


def staffed(scenario: Scenario, cpu_s: Mapping[str, float], seconds: float) -> Scenario:
    """A scenario with processes for each queue, for so many seconds of CPU within some seconds."""
    queues = dict.fromkeys(queue for worker in scenario.workers for queue in worker)
    counts = {queue: min(MOST_PROCESSES, ceil(cpu_s.get(queue, 0) / seconds / FULL) or 1) for queue in queues}
    workers = tuple(frozenset([queue]) for queue, count in counts.items() for _ in range(count))
    return replace(scenario, workers=workers)
