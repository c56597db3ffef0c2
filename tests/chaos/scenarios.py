"""The scenarios: what is harmed while a run goes on."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.queue import names
from tests.chaos import harms
from tests.chaos.harms import Schedule
from tests.chaos.world import MODELS, QUEUES, World
from tests.e2e.stack import ROOT

HERE = Path(__file__).parent
HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who works on the run, and what harm is done meanwhile."""

    harm: Callable[[World], list[Schedule]]
    staff: Callable[[World], None] = lambda world: three_workers(world)
    endpoints: Mapping[str, int] = field(default_factory=dict)


def three_workers(world: World) -> None:
    """Three workers on all queues."""
    for _ in range(3):
        world.add_worker()


def with_reconcilers(world: World) -> None:
    """Two workers, and two reconcilers of which one stands by."""
    for _ in range(2):
        world.add_worker(*(queue for queue in QUEUES if queue != names.CONTROL))
    for _ in range(2):
        world.add_worker(names.CONTROL)


def with_wrong_clocks(world: World) -> None:
    """A worker whose clock is right, one an hour behind, one an hour ahead."""
    world.add_worker()
    for skew_s in (-HOUR_S, HOUR_S):
        world.add_worker(PYTHONPATH=f"{HERE / 'skewed_clock'}:{ROOT}", SKEW_S=str(skew_s))


def with_an_older_one(world: World) -> None:
    """Two workers, and one whose code does not know the newest migration: it must refuse to work."""
    old = world.folder / "older"
    for package in ("shared", "workers", "services", "prompts", "seeds"):
        shutil.copytree(ROOT / package, old / package, ignore=shutil.ignore_patterns("__pycache__"))
    newest = max((old / "shared/store/migrations/versions").glob("0*.py"))
    newest.unlink()
    for code in (ROOT, ROOT, old):
        world.add_worker(code=code)


def _killed_reconcilers(world: World) -> list[Schedule]:
    return [harms.kill_workers(world, 2.0, *world.workers.places[-2:])]


def _everything(world: World) -> list[Schedule]:
    return [
        harms.kill_workers(world, 9.0),
        harms.wipe_broker(world, 13.0),
        harms.restart_broker(world, 31.0),
        harms.double_messages(world),
        harms.restart_postgres(world, 37.0),
        harms.cut_connections(world, 11.0),
        harms.harm_answers(world, **{"429": 0.05, "500": 0.02, "dropped": 0.02, "nonsense": 0.02, "hang": 0.01}),
        harms.freeze_an_lm(world, 17.0),
        harms.lose_an_lm(world, 20.0),
    ]


def _answers(**rates: float) -> Scenario:
    return Scenario(lambda world: [harms.harm_answers(world, **rates)])


TWO_OF_EACH = dict.fromkeys(MODELS, 2)

SCENARIOS = {
    "workers_killed": Scenario(lambda world: [harms.kill_workers(world)]),
    "workers_frozen": Scenario(lambda world: [harms.freeze_workers(world)]),
    "reconcilers_killed": Scenario(_killed_reconcilers, with_reconcilers),
    "broker_wiped": Scenario(lambda world: [harms.wipe_broker(world)]),
    "broker_restarted": Scenario(lambda world: [harms.restart_broker(world)]),
    "broker_silent": Scenario(lambda world: [harms.silence_broker(world)]),
    "messages_doubled": Scenario(lambda world: [harms.double_messages(world)]),
    "postgres_restarted": Scenario(lambda world: [harms.restart_postgres(world)]),
    "postgres_frozen": Scenario(lambda world: [harms.freeze_postgres(world)]),
    "connections_cut": Scenario(lambda world: [harms.cut_connections(world)]),
    **{f"answers_{kind}": _answers(**{kind: 0.3}) for kind in ("429", "503", "500", "422", "dropped", "half")},
    **{f"answers_{kind}": _answers(**{kind: 0.3}) for kind in ("nonsense", "truncated", "hang")},
    "lms_broken": Scenario(lambda world: [harms.break_all_answers(world)]),
    "lm_hangs": Scenario(lambda world: [harms.freeze_an_lm(world)], endpoints=TWO_OF_EACH),
    "lm_lost": Scenario(lambda world: [harms.lose_an_lm(world)], endpoints=TWO_OF_EACH),
    "workers_stopped": Scenario(lambda world: [harms.stop_all_workers(world)]),
    "clocks_wrong": Scenario(lambda world: [harms.kill_workers(world, 5.0)], with_wrong_clocks),
    "older_code": Scenario(lambda world: [], with_an_older_one),
    "everything": Scenario(_everything, endpoints=TWO_OF_EACH),
}
