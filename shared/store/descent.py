"""All that came of some things, in a temporary table: memory stays flat, however much it is.

It is what `lineage.descendants` says, found a kind at a time. Instructions and the calls that show them lead to each
other, and are followed breadth first; what is made of an instruction never leads back.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.store.tables.retractions import RootKind

Told = Callable[[str], None]
"""Called after each step with what has been found, in words."""

MEMORY = "64MB"  # for a sort or a hash
FEW = 2000  # instructions, up to which the calls that show one are looked up in an index of arrays, one by one
KINDS = ("origin", "generation", "instruction", "instance", "candidate", "verdict", "example")


@dataclass(frozen=True, slots=True)
class Root:
    """A thing to trace records to."""

    kind: RootKind
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Reached:
    """How many records of a kind came of the roots in a run; what runs share is of none."""

    kind: str
    run_id: uuid.UUID | None
    records: int


def trace(
    session: Session, roots: Sequence[Root], told: Told = lambda _: None, *, within: Sequence[uuid.UUID] | None = None
) -> None:
    """Find all that came of the roots, which are of one kind, in all runs or `within` some.

    Until the transaction ends it lies in the table `descent (kind, id, run_id, distance)`, the roots at distance 0.
    """
    tracing = _Tracing(session, told)
    tracing.begin(roots, within)
    tracing.follow_demonstrations(_TO_INSTRUCTIONS.get(roots[0].kind, 0))
    for kind, query in _MADE_OF.items():
        tracing.add(kind, query)


def counts(session: Session) -> list[Reached]:
    """How much was found, by kind and run."""
    rows = session.execute(
        text("SELECT kind, run_id, count(*) FROM descent GROUP BY kind, run_id ORDER BY kind, run_id")
    )
    return [Reached(*row) for row in rows]


_MAKE = (
    f"SET LOCAL work_mem = '{MEMORY}'",
    "DROP TABLE IF EXISTS pg_temp.descent, pg_temp.descent_shown",
    "CREATE TEMP TABLE descent (kind text NOT NULL, id uuid NOT NULL, run_id uuid, instance_id uuid, "
    "distance integer NOT NULL) PARTITION BY LIST (kind) ON COMMIT DROP",
    *(
        f"CREATE TEMP TABLE descent_{kind} PARTITION OF descent FOR VALUES IN ('{kind}') ON COMMIT DROP"
        for kind in KINDS
    ),
    "CREATE TEMP TABLE descent_other PARTITION OF descent DEFAULT ON COMMIT DROP",
)
_RUNS = {
    RootKind.MODEL: "(SELECT m.run_id FROM models m WHERE m.id = root.id)",
    RootKind.INSTRUCTION: "(SELECT i.run_id FROM instructions i WHERE i.id = root.id)",
    RootKind.EXAMPLE: "(SELECT e.run_id FROM examples e WHERE e.id = root.id)",
    RootKind.ORIGIN: "(SELECT f.run_id FROM origins o JOIN origin_files f ON f.id = o.file_id WHERE o.id = root.id)",
    RootKind.ORIGIN_FILE: "(SELECT f.run_id FROM origin_files f WHERE f.id = root.id)",
}
_CALLS = {
    RootKind.SEED: "seed_task_ids && :ids",
    RootKind.MODEL: "model_id = ANY (:ids)",
    RootKind.PROMPT: "template_id = ANY (:ids)",
}
_SERVERS = "SELECT s.id, m.run_id, 1 FROM servers s JOIN models m ON m.id = s.model_id WHERE m.id = ANY (:ids)"
_RECORDS = """
    SELECT o.id, f.run_id, 1 FROM origin_files f JOIN origins o ON o.file_id = f.id WHERE f.id = ANY (:ids)
"""
_TO_INSTRUCTIONS = {RootKind.ORIGIN: 1, RootKind.ORIGIN_FILE: 2}  # edges
_IMPORTED = "SELECT i.id, i.run_id, d.distance + 1 FROM descent_origin d JOIN instructions i ON i.origin_id = d.id"
_WRITTEN = """
    SELECT i.id, i.run_id, d.distance + 1 FROM descent_generation d JOIN instructions i ON i.generation_id = d.id
    WHERE d.distance = :distance
"""
_EACH_SHOWN = """
    SELECT g.id, g.run_id FROM descent_instruction d CROSS JOIN LATERAL (
      SELECT p.id, p.run_id FROM generations p WHERE p.instruction_ids @> ARRAY[d.id] OFFSET 0
    ) g WHERE d.distance = :distance
"""
_SHOWN = """
    SELECT s.id, s.run_id FROM descent_instruction d JOIN descent_shown s ON s.instruction_id = d.id
    WHERE d.distance = :distance
"""
_ALL_SHOWN = """
    CREATE TEMP TABLE descent_shown ON COMMIT DROP AS
    SELECT shown.id AS instruction_id, g.id, g.run_id
    FROM generations g CROSS JOIN LATERAL unnest(g.instruction_ids) AS shown (id)
    WHERE g.run_id IN (SELECT run_id FROM descent_instruction) AND g.instruction_ids <> '{}'
"""


def _showing(found: str) -> str:
    return f"""
        SELECT DISTINCT g.id, g.run_id, :distance + 1 FROM ({found}) g
        WHERE NOT EXISTS (SELECT FROM descent_generation d WHERE d.id = g.id)
    """  # noqa: S608 - our own words


def _nearest(table: str, parents: Mapping[str, str], *also: str) -> str:
    """The records of a table one step below the nearest of their parents: of each kind, by its column."""
    found = " UNION ALL ".join(
        f"SELECT {', '.join(f'r.{each}' for each in ('id', 'run_id', *also))}, d.distance "  # noqa: S608 - our names
        f"FROM descent_{kind} d JOIN {table} r ON r.{column} = d.id"
        for kind, column in parents.items()
    )
    key = ", ".join(("id", "run_id", *also))
    return (
        f"SELECT id, run_id, min(distance) + 1{''.join(f', {each}' for each in also)} FROM ({found}) f GROUP BY {key}"  # noqa: S608 - our words
    )


_MADE_BY = {"generation": "generation_id", "origin": "origin_id"}
_MADE_OF = {
    "instance": _nearest("instances", {"instruction": "instruction_id", **_MADE_BY}),
    "candidate": _nearest("candidates", {"instance": "instance_id", **_MADE_BY}, "instance_id"),
    "verdict": """
        SELECT v.id, v.run_id, min(d.distance) + 1 FROM descent_candidate d
        JOIN verdicts v ON v.instance_id = d.instance_id AND d.id = ANY (v.candidate_ids) GROUP BY v.id
    """,
    "example": _nearest("examples", {"verdict": "verdict_id", "candidate": "candidate_id", "instance": "instance_id"}),
}


@dataclass(slots=True)
class _Tracing:
    session: Session
    told: Told
    found: Counter[str] = field(default_factory=Counter)

    def begin(self, roots: Sequence[Root], within: Sequence[uuid.UUID] | None) -> None:
        """Make the table, with the roots, the calls that they had part in themselves, and what was imported of them."""
        for statement in _MAKE:
            self._run(statement)
        kind, ids = roots[0].kind, [root.id for root in roots]
        run = _RUNS.get(kind, "CAST(NULL AS uuid)")
        self.add(kind, f"SELECT root.id, {run}, 0 FROM unnest(:ids) AS root (id)", ids=ids)  # noqa: S608 - ours
        if kind is RootKind.MODEL:
            self.add("server", _SERVERS, ids=ids)
        if kind is RootKind.ORIGIN_FILE:
            self.add("origin", _RECORDS, ids=ids)
        if kind in _TO_INSTRUCTIONS:
            self.add("instruction", _IMPORTED)
        if kind in _CALLS:
            of_runs = "" if within is None else " AND run_id = ANY (CAST(:within AS uuid[]))"
            calls = f"SELECT id, run_id, 1 FROM generations WHERE {_CALLS[kind]}{of_runs}"  # noqa: S608 - ours
            self.add("generation", calls, ids=ids, **({} if within is None else {"within": [*within]}))

    def follow_demonstrations(self, first: int) -> None:
        """From calls to the instructions that they wrote, from these to the calls that showed them, and on; the nearest
        are at distance `first`."""
        show, instructions = _EACH_SHOWN, self.found["instruction"]
        for distance in count(first):
            if instructions > FEW and show is not _SHOWN:
                self._run(_ALL_SHOWN)
                self._run("ANALYZE descent_shown")
                show = _SHOWN
            calls = self.add("generation", _showing(show), distance=distance)
            instructions = self.add("instruction", _WRITTEN, distance=distance)
            if distance > first and not calls and not instructions:
                return

    def add(self, kind: str, query: str, **given: object) -> int:
        """Add what a query finds: keys, runs, distances, and a candidate's instance. Returns how much it was."""
        columns = "kind, id, run_id, distance" + ", instance_id" * (kind == "candidate")
        found = self._run(f"INSERT INTO descent ({columns}) SELECT '{kind}', * FROM ({query}) AS found", **given)  # noqa: S608 - our words
        if found and kind in KINDS:
            self._run(f"ANALYZE descent_{kind}")
            self.found[kind] += found
            self.told(f"{self.found[kind]:,} {kind}s")
        return found

    def _run(self, statement: str, **given: object) -> int:
        result = self.session.connection().execute(text(statement), given)
        return result.rowcount
