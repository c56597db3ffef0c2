"""The other way round: which windows meet a deadline."""

from dataclasses import dataclass
from math import ceil

from shared.capacity.bottleneck import WITHOUT_END, bottleneck, widen, widened
from shared.capacity.duration import duration
from shared.capacity.forecast import foreseen
from shared.capacity.scenario import scaled
from shared.capacity.workers import staffed, with_enough_workers
from shared.errors import UserError
from shared.method.simulation.outcome import Simulated
from shared.method.simulation.run import simulate
from shared.method.simulation.scenario import Scenario

STEPS = 6  # halvings of the range in which the answer lies
SEARCHED = 1000  # examples of the runs that are searched with
CAUTION = (1.0, 0.95, 0.85, 0.7)  # parts of what was found, until the whole run is in time, too


class OutOfReachError(UserError):
    """No number of servers meets a deadline of {deadline}: with {most:,} calls at once of every model the run would
    still take {least}, since it waits for {what}. Allow more time, or ask for fewer examples"""


@dataclass(frozen=True, slots=True)
class Met:
    """How a deadline can be met: the scenario, and what becomes of it."""

    scenario: Scenario
    result: Simulated


def meet(scenario: Scenario, as_it_is: Simulated, deadline_s: float, *, fixed_workers: bool) -> Met:
    """The smallest windows with which a run is done in time, each as busy as the others. Raises `OutOfReachError`.

    `as_it_is` is what becomes of the scenario. Servers are taken to answer as before if each has as many calls.
    """
    search = _Search(scenario, as_it_is, deadline_s, fixed_workers)
    in_time, late = 0.0, 1.0
    for _ in range(STEPS):
        middle = (in_time + late) / 2
        in_time, late = (middle, late) if search.is_in_time(middle) else (in_time, middle)
    for caution in CAUTION if in_time else ():
        met = search.met(in_time * caution)
        if met.result.seconds <= deadline_s:
            return met
    raise search.out_of_reach()


@dataclass(frozen=True, slots=True)
class _Search:
    scenario: Scenario
    as_it_is: Simulated
    deadline_s: float
    fixed_workers: bool

    def met(self, part: float) -> Met:
        """What becomes of the run with windows that could do all calls in this part of the deadline."""
        scenario = self._with_windows(part)
        if not self.fixed_workers:
            scenario = with_enough_workers(scenario)
        return Met(scenario, foreseen(scenario))

    def is_in_time(self, part: float) -> bool:
        """Whether that is in time, as far as a shorter run tells."""
        examples = sum(kind.target for kind in self.scenario.kinds)
        size = min(examples, SEARCHED)
        tried = simulate(scaled(self._with_windows(part), size))
        return tried.seconds <= self.deadline_s * size / examples

    def out_of_reach(self) -> OutOfReachError:
        """Why no windows are wide enough."""
        widest = widened(self.scenario, tuple(widen(pool, WITHOUT_END) for pool in self.scenario.pools))
        if not self.fixed_workers:
            widest = with_enough_workers(widest)
        return OutOfReachError(
            deadline=duration(self.deadline_s),
            most=WITHOUT_END,
            least=duration(foreseen(widest).seconds),
            what=bottleneck(widest, fixed_workers=self.fixed_workers).name,
        )

    def _with_windows(self, part: float) -> Scenario:
        """Windows that could do all calls in this part of the deadline, were they busy all the time."""
        seconds = max(part * self.deadline_s, 1e-9)
        pools = [
            widen(pool, ceil(self.as_it_is.servers[pool.name].call_s / seconds) / pool.size)
            for pool in self.scenario.pools
        ]
        scenario = widened(self.scenario, tuple(pools))
        return scenario if self.fixed_workers else staffed(scenario, self.as_it_is.cpu_s, seconds)
