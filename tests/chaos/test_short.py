"""Harm while a run is worked on, in short: the long way is `make chaos`."""

from pathlib import Path

from tests.chaos.harms import kill_workers
from tests.chaos.world import a_world


def test_workers_that_are_killed(tmp_path: Path) -> None:
    with a_world(tmp_path, 1) as world:
        world.enqueue({"input_output": 180, "output_only": 120})
        seconds = world.wait_for_the_end(kill_workers(world))
        drained = world.drain()
        print(seconds, drained, world.workers.started, world.rows("SELECT sum(crashes), sum(failures), sum(timeouts), sum(overloads) FROM work_items"))
        audit = world.audit()
        assert audit["sound"], [each for each in audit["checks"] if each["violations"]]
