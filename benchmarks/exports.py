"""What an export of many examples costs: seconds, and the most memory that the command had, Postgres apart."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from benchmarks.lineage import JOB
from services.admin.planning import plan_job
from services.local.postgres import Postgres
from shared.store.migrate import upgrade
from shared.store.runs import begin_run
from shared.store.session import make_engine, make_sessions

ROWS = Path(__file__).with_name("export_rows.sql")
ALONE = ["--no-card", "--no-provenance"]
SCENARIOS: dict[str, list[str]] = {
    "jsonl": ["--format", "jsonl", *ALONE],
    "jsonl, with a card and provenance.parquet": ["--format", "jsonl"],
    "hf": ["--format", "hf", *ALONE],
    "all formats, shuffled, in two splits": [
        *("--format", "jsonl", "--format", "alpaca", "--format", "messages", "--format", "parquet", "--format", "hf"),
        *("--shuffle", "1", "--split", "train=0.95,test=0.05", *ALONE),
    ],
    "jsonl, every filter": [
        *("--where", "length(output) > 10", "--licence", "mit", "--min-agreement", "0.1", "--limit", "800000"),
        *("--decontaminate", "evaluation.txt", *ALONE),
    ],
}


def fill(url: str, examples: int) -> None:
    """Write a run of so many examples, and let Postgres look at it."""
    engine = make_engine(url)
    upgrade(engine)
    with make_sessions(engine).begin() as session:
        begin_run(session, plan_job(JOB).new_run(session, "demo-1"))
    engine.dispose()
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in ROWS.read_text().split(";\n"):
            connection.execute(statement, {"examples": examples})
        connection.execute("UPDATE models SET licence = 'mit' WHERE name <> 'zephyr'")
        connection.execute("VACUUM ANALYZE")


def evaluation_set(path: Path, lines: int = 10_000) -> None:
    """Questions of which one in a hundred is one of the examples'."""
    words = "read it with care and tell us in your own words what it is that follows from number"
    path.write_text("".join(f"{words} {n}\n" for n in range(lines)))


def measure(url: str, folder: Path, options: list[str]) -> dict[str, float]:
    """One command in a process of its own, whose results are thrown away."""
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(Path(__file__).parents[1])}
    out = folder / "out"
    command = [sys.executable, "-m", "services.admin.main", "export", "demo-1", *options, "--out", str(out)]
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "most_resident_mb": round(usage.ru_maxrss * 1024 / 1e6, 1),
        "written_mb": round(size / 1e6, 1),
    }


def main() -> None:
    """Fill a database of its own, export, and print a line for each scenario."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", help="scenarios whose name begins so")
    given = parser.parse_args()
    measured = {}
    with tempfile.TemporaryDirectory() as folder, Postgres(Path(folder) / "postgres", fast=True) as server:
        fill(server.url, given.examples)
        for name, options in SCENARIOS.items():
            if given.only and not name.startswith(given.only):
                continue
            with tempfile.TemporaryDirectory(dir=folder) as work:
                evaluation_set(Path(work) / "evaluation.txt")
                measured[name] = measure(server.url, Path(work), options)
            print(f"{name:40} {measured[name]}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
