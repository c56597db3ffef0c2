"""What the records take in Postgres."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.store.base import Base


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
