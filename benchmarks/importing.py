"""How many examples a second are imported, at what cost in CPU, and in how much memory."""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.instruction_texts import instructions
from benchmarks.resident import most_resident_mb
from services.local.postgres import Postgres
from shared.dataset.imported_files import look_through
from shared.dataset.importing import Source, bring_in, import_job
from shared.job import ConsensusStage
from shared.method.consensus import Rule
from shared.store.migrate import upgrade
from shared.store.session import make_engine, make_sessions

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Imported:
    """CPU is in microseconds for an example: this process's, and that of its session in Postgres."""

    examples: int
    files: int
    novelty: float | None
    examples_a_second: float
    own_cpu_us: float
    postgres_cpu_us: float
    peak_mb: float
    stored_bytes: float


def write_files(folder: Path, examples: int, files: int) -> list[Path]:
    """Files that answer the same instructions, of which two in five have an input."""
    paths = [folder / f"lm-{number}.jsonl" for number in range(files)]
    made = instructions()
    asked = [(next(made), next(made) if n % 5 < 2 else "") for n in range(examples)]
    for path in paths:
        with path.open("w") as file:
            for instruction, input in asked:
                output = " ".join(islice(made, 2))
                file.write(json.dumps({"instruction": instruction, "input": input, "output": output}) + "\n")
    return paths


def cpu_of(session: Session) -> Iterator[float]:
    """Seconds of CPU that the session's process in Postgres has taken by each time that it is asked (Linux)."""
    pid = session.scalar(text("SELECT pg_backend_pid()"))
    while True:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        yield (int(fields[11]) + int(fields[12])) / TICKS


def run(paths: list[Path], examples: int, novelty: float | None) -> Imported:
    """Import some files into a Postgres of its own, as the command does."""
    with tempfile.TemporaryDirectory() as folder, Postgres(Path(folder)) as server:
        engine = make_engine(server.url)
        upgrade(engine)
        with make_sessions(engine)() as session:
            postgres = cpu_of(session)
            began, own, others = time.perf_counter(), time.process_time(), next(postgres)
            sources = [Source(path, look_through(path), f"lm-{n}" if n else "instance") for n, path in enumerate(paths)]
            rule = Rule.NONE if len(paths) == 1 else Rule.ENSEMBLE_INSTRUCT
            bring_in(session, import_job("mine", sources, ConsensusStage(rule=rule), novelty=novelty), sources)
            session.commit()
            took = (time.perf_counter() - began, time.process_time() - own, next(postgres) - others)
            size = session.scalars(text("SELECT pg_database_size(current_database())")).one()
        engine.dispose()
    wall, own, others = took
    costs = (round(1e6 * own / examples, 1), round(1e6 * others / examples, 1))
    return Imported(
        examples, len(paths), novelty, round(examples / wall), *costs, round(most_resident_mb()), round(size / examples)
    )


def main() -> None:
    """Print a line, and if wanted write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("--novelty", type=float)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = write_files(Path(folder), given.examples, given.files)
        result = run(paths, given.examples, given.novelty)
    print(result)
    if given.json:
        given.json.write_text(json.dumps(asdict(result), indent=2))


if __name__ == "__main__":
    main()
