"""What the records take in Postgres."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shared.store.base import Base

GROWING = frozenset({"generations", "work_items", "instructions", "instances", "candidates", "verdicts", "examples"})
MANY = 1000  # rows; fewer take mostly their first pages
COUNTED_BYTES = 256 * 1024**2

_ESTIMATES = text("""
    SELECT c.relname, greatest(c.reltuples, s.n_live_tup)::bigint, pg_total_relation_size(c.oid)
    FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
    WHERE c.relname = ANY (:names) AND c.relnamespace = 'public'::regnamespace
""")


@dataclass(frozen=True, slots=True)
class TableSize:
    """One table: `bytes` are those of its rows, dead ones included, its indexes and its long values."""

    name: str
    rows: int
    bytes: int


def table_sizes(session: Session) -> list[TableSize]:
    """Every table, the largest first; counts all rows."""
    sizes = []
    for table in Base.metadata.sorted_tables:
        taken = func.pg_total_relation_size(table.name)
        rows, size = session.execute(select(select(func.count()).select_from(table).scalar_subquery(), taken)).one()
        sizes.append(TableSize(table.name, rows, size))
    return sorted(sizes, key=lambda each: each.bytes, reverse=True)


def row_bytes(session: Session) -> dict[str, float]:
    """What a row takes, in the tables that have many and grow with the examples."""
    return {
        each.name: round(each.bytes / each.rows, 1)
        for each in _estimated(session, Base.metadata.tables)
        if each.name in GROWING and each.rows >= MANY
    }


def _estimated(session: Session, names: Collection[str]) -> list[TableSize]:
    """Tables, with their rows as Postgres knows them: counted where they are few, else estimated."""
    rows = session.execute(_ESTIMATES, {"names": list(names)})
    return [
        TableSize(name, _count(session, name) if taken < COUNTED_BYTES else estimate, taken)
        for name, estimate, taken in rows
    ]


def _count(session: Session, name: str) -> int:
    return session.scalar(select(func.count()).select_from(Base.metadata.tables[name])) or 0
