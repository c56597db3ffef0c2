"""A run foreseen: simulated in whole, or in part and extrapolated."""

from collections.abc import Mapping
from dataclasses import replace
from math import exp, log
from random import Random
from statistics import pstdev

from shared.capacity.figures import Yield, Yields
from shared.capacity.scenario import scaled
from shared.errors import UserError
from shared.method.simulation.outcome import Simulated, extrapolated, mean
from shared.method.simulation.run import simulate
from shared.method.simulation.scenario import Kind, Scenario
from shared.method.tasks import TaskType

WHOLE = 10_000  # examples that are simulated one by one; what is beyond is extrapolated
ENOUGH = 1500  # examples in all the runs that a mean is taken of
MOST_RUNS = 12
TRIAL = 400  # examples of a run that is to show how much runs differ, or what a change does
TRIALS = 8
MOST_TRIALS = 3  # smaller ones, of which a mean is taken
NINE_OF_TEN = 1.645  # standard deviations to either side


class GivesUpError(UserError):
    """The run would give up: at the measured yields {patience:,} proposals in a row without an example are to be
    expected. Raise instructions.patience, or mend what so few examples come of: {yields} of a type's proposals"""


def foreseen(scenario: Scenario) -> Simulated:
    """What will become of a run, in the mean. Raises `GivesUpError`."""
    examples = sum(kind.target for kind in scenario.kinds)
    result = _whole(scenario, examples) if examples <= WHOLE else _in_part(scenario, examples)
    if result.gave_up:
        raise _gives_up(scenario)
    return result


def refuse_barren(scenario: Scenario) -> None:
    """Raises `GivesUpError` where a run would hardly come to its first example: simulated, that takes minutes."""
    if any((1 - min(1.0, kind.examples)) ** scenario.patience > 0.5 for kind in scenario.kinds):
        raise _gives_up(scenario)


def _gives_up(scenario: Scenario) -> GivesUpError:
    told = ", ".join(f"{kind.name} {100 * kind.examples:.2g} %" for kind in scenario.kinds)
    return GivesUpError(patience=scenario.patience, yields=told)


def _whole(scenario: Scenario, examples: int) -> Simulated:
    runs = max(1, min(MOST_RUNS, ENOUGH // examples))
    return mean([simulate(scenario, seed) for seed in range(runs)])


def _in_part(scenario: Scenario, examples: int) -> Simulated:
    near, far = WHOLE // 4, WHOLE
    parts = [simulate(scaled(scenario, part)) for part in (near, far)]
    return extrapolated(parts[0], parts[1], (examples - far) / (far - near))


def trial(scenario: Scenario) -> Simulated:
    """A shorter run of the same kind, to compare changes by; seeds are the same each time."""
    examples = min(TRIAL, sum(kind.target for kind in scenario.kinds))
    runs = max(1, min(MOST_TRIALS, TRIAL // examples))
    return mean([simulate(scaled(scenario, examples), seed) for seed in range(runs)])


def deviation(scenario: Scenario, yields: Mapping[TaskType, Yields]) -> float:
    """By which factor a run may take longer than foreseen, or less long, in nine cases of ten: runs differ, and the
    yields were measured on so many records only."""
    chance = Random(0)
    small = scaled(scenario, TRIAL)
    seconds = [
        simulate(replace(small, kinds=tuple(_drawn(kind, yields, chance) for kind in small.kinds)), seed).seconds
        for seed in range(TRIALS)
    ]
    return exp(NINE_OF_TEN * pstdev([log(each) for each in seconds]))


def _drawn(kind: Kind, yields: Mapping[TaskType, Yields], chance: Random) -> Kind:
    known = yields[TaskType(kind.name)]
    return replace(
        kind,
        instructions=_draw(known.instructions, chance),
        instances=_draw(known.instances, chance),
        verdicts=_draw(known.verdicts, chance),
    )


def _draw(known: Yield | None, chance: Random) -> float:
    """A yield as it may really be, seeing how it was measured."""
    if known is None or not known.of:
        return known.share if known else 0.0
    whole = max(1.0, known.share)  # more than one instruction may come of a proposal
    kept = known.share / whole * known.of
    return whole * chance.betavariate(kept + 0.5, known.of - kept + 0.5)
