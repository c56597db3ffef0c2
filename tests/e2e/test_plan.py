"""What `plan` foresees by the figures of an earlier run comes to pass: a real worker, real Postgres, fake LMs."""

from pathlib import Path

from services.local.valkey import Valkey
from tests.e2e.foreseen import LM, Scene, compare, workers_of

OFF = 0.15
TARGETS = {"input_output": 20, "output_only": 12}
PLAIN = {"instructions": {"novelty_threshold": 1}, "consensus": {"rule": "none"}}  # so that yields are not left to luck
SCENE = Scene(
    "two models of different speed, of which one wastes half of its proposals",
    {"writer": LM(0.8, 8, 24, sparing=2), "answerer": LM(2.0, 8, 24)},
    targets=TARGETS,
    earlier=TARGETS,
    settings=PLAIN,
)


def test_a_run_takes_the_calls_and_no_less_than_the_time_that_were_foreseen(
    database_url: str, broker: Valkey, tmp_path: Path
) -> None:
    with workers_of(SCENE.pools, database_url, broker.url, tmp_path):
        seen = compare(SCENE, database_url, broker.url, print)
    assert abs(seen.calls_off) <= OFF, seen
    # What else the machine does makes a run longer, never shorter; benchmarks/plan.py tells by how much.
    assert seen.seconds_off <= OFF, seen
