"""How near `ensemble-instruct plan` comes: runs on fake LMs, foreseen by figures of earlier runs, then made in fact.

`python -m benchmarks.plan [--only NAME] [--out FILE]`

Each scene has a database, worker processes and fake LMs of its own. An earlier run of the same kind, with another
seed and wider windows, is measured as `plan --from RUN` does.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
from rich.console import Console
from rich.table import Table

from services.local.postgres import Postgres
from services.local.valkey import Valkey
from shared.store.migrate import upgrade
from shared.store.session import make_engine
from tests.e2e.foreseen import LM, Comparison, Scene, compare, workers_of

BOTH = {"input_output": 54, "output_only": 36}
ONE, TWO = {"lm": LM(2.0, 32, 96)}, {"quick": LM(1.2, 16, 48), "slow": LM(4.0, 24, 72)}
SCENES = (
    Scene("one model for all", ONE, BOTH, BOTH),
    Scene("two models of different speed", TWO, BOTH, BOTH),
    Scene("few slots", {"lm": LM(0.8, 8, 48)}, {"input_output": 42, "output_only": 28}, BOTH),
    Scene(
        "low yield",
        {"lm": LM(1.6, 32, 96, sparing=3)},
        {"input_output": 80},
        {"input_output": 100},
        settings={"instructions": {"novelty_threshold": 1}, "consensus": {"rule": "none"}},
    ),
    Scene("one short wave", {"lm": LM(4.0, 128, 128)}, {"output_only": 60}, {"output_only": 90}),
    Scene("two workers", ONE, BOTH, BOTH, workers=2),
    Scene("a worker for each queue", TWO, BOTH, BOTH, workers=None),
)


def main() -> None:
    """Compare, print a table and, if wanted, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=[scene.name for scene in SCENES], help="this scene")
    parser.add_argument("--out", type=Path, help="where to write the comparisons as JSON")
    given = parser.parse_args()
    made = compare_all([scene for scene in SCENES if not given.only or scene.name in given.only])
    Console().print(_table(made))
    if given.out:
        off = [{**asdict(each), "seconds_off": each.seconds_off, "calls_off": each.calls_off} for each in made]
        given.out.write_text(json.dumps(off, indent=2))


def compare_all(scenes: Sequence[Scene]) -> list[Comparison]:
    """Compare in turn, on one Postgres and one Valkey."""
    with TemporaryDirectory(prefix="ensemble-instruct-plan-") as place:
        folder = Path(place)
        with Postgres(folder / "postgres") as postgres, Valkey(folder / "valkey") as valkey:
            return [_compare(scene, postgres, valkey, folder) for scene in SCENES]


def _compare(scene: Scene, postgres: Postgres, valkey: Valkey, folder: Path) -> Comparison:
    name = f"scene_{uuid4().hex}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    engine = make_engine(postgres.url_of(name))
    upgrade(engine)
    engine.dispose()
    with workers_of(scene.pools, postgres.url_of(name), valkey.url, folder):
        return compare(scene, postgres.url_of(name), valkey.url, _tell)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _table(made: Sequence[Comparison]) -> Table:
    listing = Table("scene", "foreseen", "nine of ten", "in fact", "off", "calls foreseen", "in fact", "off")
    for each in made:
        nine = f"{each.low_s:.1f} to {each.high_s:.1f} s"
        seconds = (f"{each.foreseen_s:.1f} s", nine, f"{each.real_s:.1f} s", f"{each.seconds_off:+.1%}")
        listing.add_row(each.scene, *seconds, str(each.foreseen_calls), str(each.real_calls), f"{each.calls_off:+.1%}")
    return listing


if __name__ == "__main__":
    main()
