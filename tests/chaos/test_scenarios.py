"""Harm while a run is worked on: whatever it is, the run ends with its targets met, and the auditor finds nothing.

`make chaos` runs them all; `make test` some of them, on a smaller run.
"""

import os
from pathlib import Path

import pytest

from tests.chaos.scenarios import SCENARIOS
from tests.chaos.world import a_world

LONG = {"input_output": 180, "output_only": 120}
SHORT = {"input_output": 16, "output_only": 10}
QUICK = ("workers_killed", "broker_wiped", "connections_cut")

SEED = int(os.environ.get("SEED", "1"))


@pytest.mark.chaos
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_survives(tmp_path: Path, name: str) -> None:
    _survives(tmp_path, name, LONG)


@pytest.mark.parametrize("name", QUICK)
def test_a_small_run_survives(tmp_path: Path, name: str) -> None:
    _survives(tmp_path, name, SHORT)


def _survives(folder: Path, name: str, targets: dict[str, int]) -> None:
    scenario = SCENARIOS[name]
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
