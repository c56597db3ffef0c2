"""What a run waits for most, found by taking it away."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shared.capacity.forecast import trial
from shared.method.simulation.scenario import Pool, Scenario

WORTH_IT = 0.05  # the part of its time that a run must gain, or the thing is not in its way
WITHOUT_END = 4096  # the most that a job may set


@dataclass(frozen=True, slots=True)
class Change:
    """Something that may be in a run's way, what to do about it, and the scenario when that is done."""

    name: str
    relief: str
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What a run waits for, what would relieve it, and which part of its time the run would take then."""

    name: str
    relief: str
    leaves: float


NOTHING = Bottleneck(
    name="the way of an example through all its calls, one after the other",
    relief="quicker answers; more calls at once would gain little",
    leaves=1.0,
)


def bottleneck(scenario: Scenario, *, fixed_workers: bool) -> Bottleneck:
    """The one change that helps most; whether the workers are `fixed` or as many as it takes."""
    before = trial(scenario).seconds
    changes = [*_windows(scenario), _lookahead(scenario), _gate(scenario)]
    changes += [_workers(scenario)] if fixed_workers else []
    tried = [Bottleneck(each.name, each.relief, trial(each.scenario).seconds / before) for each in changes]
    best = min(tried, key=lambda each: each.leaves)
    return best if best.leaves <= 1 - WORTH_IT else NOTHING


def _windows(scenario: Scenario) -> Iterator[Change]:
    for pool in scenario.pools:
        settings = " and ".join(f"models.{name}.max_in_flight ({limit})" for name, limit in pool.limits.items())
        others = [each for each in scenario.pools if each is not pool]
        pools = (*others, widen(pool, 2))
        looks_far = scenario.lookahead >= _most(scenario.pools)  # else that it does not is another thing in the way
        twice = widened(scenario, pools) if looks_far else replace(scenario, pools=pools)
        yield Change(f"the window of {pool.name}", f"twice {settings}, with twice the servers", twice)


def _lookahead(scenario: Scenario) -> Change:
    relief = f"twice instructions.lookahead ({scenario.lookahead})"
    return Change(
        "proposals that wait for the novelty gate", relief, replace(scenario, lookahead=2 * scenario.lookahead)
    )


def _gate(scenario: Scenario) -> Change:
    without = replace(scenario, costs=replace(scenario.costs, decision_s=0.0, text_s=0.0))
    return Change("the novelty gate", "several runs, each with a pool of its own, in place of one", without)


def _workers(scenario: Scenario) -> Change:
    twice = replace(scenario, workers=(*scenario.workers, *scenario.workers))
    return Change("the workers' CPU", f"twice the worker processes ({len(scenario.workers)})", twice)


def widen(pool: Pool, times: float) -> Pool:
    """A pool with so many times the calls at once, and the servers to go with them."""
    limits = {name: max(1, min(WITHOUT_END, round(limit * times))) for name, limit in pool.limits.items()}
    return replace(pool, limits=limits, calls_per_s=pool.calls_per_s and pool.calls_per_s * times)


def widened(scenario: Scenario, pools: tuple[Pool, ...]) -> Scenario:
    """A scenario with other windows; it looks ahead as far as they allow calls at once."""
    return replace(scenario, pools=pools, lookahead=max(scenario.lookahead, _most(pools)))


def _most(pools: Sequence[Pool]) -> int:
    return max(pool.size for pool in pools)
