"""Harm while a run is worked on: whatever it is, the run ends with its targets met, and the auditor finds nothing.

`make chaos` runs them all; `make test` some of them, on a smaller run.
"""

import os
from pathlib import Path

import pytest

from tests.chaos import harms
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.world import a_world

LONG = {"input_output": 180, "output_only": 120}
SHORT = {"input_output": 16, "output_only": 10}
QUICK = {
    # A worker takes three seconds of CPU to start: killed more often, two cores do little else.
    "workers_killed": Scenario(lambda world: [harms.kill_workers(world, 5.0)]),
    **{name: SCENARIOS[name] for name in ("broker_wiped", "connections_cut")},
}

SEED = int(os.environ.get("SEED", "1"))


@pytest.mark.chaos
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_survives(tmp_path: Path, name: str) -> None:
    _survives(tmp_path, name, SCENARIOS[name], LONG)


@pytest.mark.parametrize("name", QUICK)
def test_a_small_run_survives(tmp_path: Path, name: str) -> None:
    _survives(tmp_path, name, QUICK[name], SHORT)


def _survives(folder: Path, name: str, scenario: Scenario, targets: dict[str, int]) -> None:
    with a_world(folder, f"{SEED} {name}", endpoints=scenario.endpoints) as world:
        scenario.staff(world)
        world.enqueue(targets)
        took_s = world.wait_for_the_end(*scenario.harm(world))
        world.calm()
        drained_s = world.drain()
        audit = world.audit()
        print(f"{name}: ended after {took_s:.0f} s, drained after {drained_s:.0f} s; {world.toll()}")
        assert world.state() == "completed"
        assert audit["sound"], [each for each in audit["checks"] if each["violations"]]
