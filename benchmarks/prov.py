"""What the provenance of all of a large run's examples costs as a stream of PROV-JSON: seconds, bytes and memory."""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from benchmarks.lineage import fill
from benchmarks.resident import most_resident_mb, resident_mb
from services.local.postgres import Postgres
from shared.dataset.prov_stream import prov_chunks
from shared.store.session import make_engine, make_sessions
from shared.store.tables.records import Example


@dataclass(frozen=True, slots=True)
class Streamed:
    """Examples, the seconds to the first piece and to the last, millions of bytes, and what this process' memory grew
    by at most, in millions of bytes."""

    examples: int
    first_s: float
    whole_s: float
    mb: float
    memory_mb: float


def stream(engine: Engine, examples: int) -> Streamed:
    """Stream the provenance of so many examples into nothing."""
    with make_sessions(engine)() as session:
        ids = list(session.scalars(select(Example.id).order_by(Example.id).limit(examples)))
        before, began, first, size = resident_mb(), time.perf_counter(), 0.0, 0
        for piece in prov_chunks(session, ids):
            first = first or time.perf_counter() - began
            size += len(piece.encode())
        whole = time.perf_counter() - began
    return Streamed(
        len(ids), round(first, 1), round(whole, 1), round(size / 1e6, 1), round(most_resident_mb() - before, 1)
    )


def main() -> None:
    """Fill a database of its own, stream some of its examples and all of them, print a table and perhaps JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Postgres(Path(folder), fast=True) as server:
        fill(server.url, given.examples)
        engine = make_engine(server.url)
        streamed = [stream(engine, count) for count in (1_000, 10_000, given.examples)]
        engine.dispose()
    for each in streamed:
        print(
            f"{each.examples:8d} examples  first piece {each.first_s:6.1f} s  all {each.whole_s:7.1f} s  "
            f"{each.mb:8.1f} MB  memory +{each.memory_mb:.0f} MB"
        )
    if given.json:
        given.json.write_text(json.dumps([asdict(each) for each in streamed], indent=2))


if __name__ == "__main__":
    main()
