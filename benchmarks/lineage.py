"""How long the questions of docs/lineage.md take on a large run of which something is retracted, how long that took,
and whether the questions read a big table from end to end."""

import argparse
import json
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from services.admin.planning import plan_job
from services.local.postgres import Postgres
from shared.job import JobSpec
from shared.store.migrate import upgrade
from shared.store.retractions import retract
from shared.store.revisions import LOCATION
from shared.store.roots import find_roots
from shared.store.runs import begin_run
from shared.store.session import make_engine, make_sessions
from shared.store.tables.retractions import RootKind

ROWS = Path(__file__).with_name("lineage_rows.sql")
DOCS = Path(__file__).parents[1] / "docs" / "lineage.md"
QUESTION = re.compile(r"^### \d+\. (.*?)\n\n```sql\n(SELECT.*?)```", re.DOTALL | re.MULTILINE)
UUID = r"'[0-9a-f]{8}-[0-9a-f-]{27}'"
COUNTING = "-- What is there already."  # the triggers are off while the rows are written
BIG = 10_000  # rows
SERVER = {"protocol": "tgi", "kind": "vanilla", "endpoints": ["http://127.0.0.1:1"]}
JOB = JobSpec.model_validate(
    {
        "name": "demo",
        "targets": {"input_output": 60_000, "output_only": 30_000},
        "models": dict.fromkeys(("gemma", "qwen", "qwen-chat", "zephyr"), SERVER),
        "instructions": {"model": "gemma"},
        "instances": {"model": "gemma"},
        "outputs": [{"model": "qwen"}, {"model": "qwen-chat"}, {"model": "zephyr"}],
    }
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A question: the quickest of three answers in ms, its rows, and the big tables that it read from end to end."""

    question: str
    ms: float
    rows: int
    read_whole: list[str]


def fill(url: str, examples: int) -> None:
    """Write a run of about so many examples, and let Postgres look at it."""
    engine = make_engine(url)
    upgrade(engine)
    with make_sessions(engine).begin() as session:
        begin_run(session, plan_job(JOB).new_run(session, "demo-1"))
    engine.dispose()
    with psycopg.connect(url, autocommit=True) as connection:
        for index in ("seed_task_ids", "instruction_ids"):
            connection.execute(f"DROP INDEX ix_generations_{index}")
        for statement in ROWS.read_text().split(";\n"):
            connection.execute(statement, {"examples": examples})
        for index in ("seed_task_ids", "instruction_ids"):
            connection.execute(f"CREATE INDEX ix_generations_{index} ON generations USING gin ({index})")
        connection.execute((LOCATION / "sql" / "0006_totals.sql").read_text().partition(COUNTING)[2])
        connection.execute("VACUUM ANALYZE")


def take_back(url: str) -> Answered:
    """Retract the model that wrote an output for every instance, before anything is asked."""
    engine = make_engine(url)
    with make_sessions(engine)() as session:
        began = time.perf_counter()
        extent = retract(session, find_roots(session, RootKind.MODEL, "zephyr"), "zephyr", "a benchmark", "a benchmark")
        ms = round((time.perf_counter() - began) * 1000, 1)
    engine.dispose()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE retracted_records")
    return Answered(
        "Retracting an output model, and all that came of it", ms, sum(each.records for each in extent.reached), []
    )


def questions(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Those of the documentation, about things that are there."""
    late = "SELECT id FROM {0} WHERE position >= (SELECT max(position) * {1} FROM {0}) ORDER BY position LIMIT 1"
    example = connection.execute(late.format("examples", 1)).fetchone()
    instruction = connection.execute(late.format("instructions", 0.9)).fetchone()
    found = QUESTION.findall(DOCS.read_text())
    about = {"example": example and example[0], "instruction": instruction and instruction[0]}
    return [
        (title, re.sub(rf"\('(\w+)', {UUID}\)", lambda match: f"('{match[1]}', '{about[match[1]]}')", query))
        for title, query in found
    ]


def ask(connection: psycopg.Connection[Any], title: str, query: str) -> Answered:
    """The time from the question to the last row of its answer."""
    best, rows = float("inf"), 0
    for _ in range(3):
        began = time.perf_counter()
        rows = len(connection.execute(query).fetchall())
        best = min(best, time.perf_counter() - began)
    plan = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}").fetchone()
    return Answered(title, round(best * 1000, 1), rows, sorted(set(_read_whole(plan[0][0]["Plan"] if plan else {}))))


def _read_whole(node: dict[str, Any]) -> list[str]:
    scanned = node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0)
    here = [node["Relation Name"]] if node.get("Node Type") == "Seq Scan" and scanned > BIG else []
    return here + [name for inner in node.get("Plans", ()) for name in _read_whole(inner)]


def main() -> None:
    """Fill a database of its own, ask, print a table and, if wanted, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Postgres(Path(folder), fast=True) as server:
        fill(server.url, given.examples)
        answers = [take_back(server.url)]
        with psycopg.connect(server.url, autocommit=True) as connection:
            answers += [ask(connection, *each) for each in questions(connection)]
    for each in answers:
        print(f"{each.ms:9.1f} ms {each.rows:5d} rows  {each.question}  {' '.join(each.read_whole)}")
    if given.json:
        given.json.write_text(json.dumps([asdict(each) for each in answers], indent=2))


if __name__ == "__main__":
    main()
