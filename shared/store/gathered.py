"""Many examples and all that they came from, each record once: gathered in Postgres, read a few at a time."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.errors import UserError
from shared.store.lineage import ATTRIBUTES, KINDS, Node

PAGE = 5_000
AT_ONCE = {"stream_results": True, "yield_per": 1_000}
FRONTIERS = ("gathered_now", "gathered_next")


class NoSuchExampleError(UserError):
    """There is no example {id}."""


class GatheredEdge(NamedTuple):
    """An edge to a record of `parent_kind`. There are millions of them, so their ids stay texts."""

    child: str
    relation: str
    parent_kind: str
    parent: str


def gather(session: Session, examples: Iterable[uuid.UUID]) -> None:
    """Put these examples and all their ancestors into tables that go when the transaction ends.

    `gathered_nodes` and `gathered_edges` read them. Raises `NoSuchExampleError`.
    """
    for table in ("gathered", *FRONTIERS):
        key = ", PRIMARY KEY (kind, id)" if table == "gathered" else ""
        session.execute(text(f"DROP TABLE IF EXISTS pg_temp.{table}"))
        session.execute(text(f"CREATE TEMP TABLE {table} (kind text, id uuid{key}) ON COMMIT DROP"))
    _begin_with(session, examples)
    for step in count():
        now, following = FRONTIERS[step % 2], FRONTIERS[1 - step % 2]
        session.execute(text(f"ANALYZE {now}"))
        session.execute(text(f"TRUNCATE {following}"))
        kinds = session.execute(text(f"SELECT DISTINCT kind FROM {now}")).scalars().all()  # noqa: S608 - our names
        if not kinds:
            break
        for kind in sorted(kinds):
            session.execute(text(_STEP.format(kind=kind, now=now, next=following)))
    session.execute(text("ANALYZE gathered"))


# The kinds are constants, so that the planner keeps only the tables that they concern, and OFFSET 0 has it look each
# record's edges up by their indexes: joined with all of them, the demonstrations of a million calls are unpacked at
# every step.
_EDGES = """
    CROSS JOIN LATERAL (
      SELECT * FROM lineage.edges e WHERE e.child_kind = '{kind}' AND e.child_id = n.id OFFSET 0
    ) e WHERE n.kind = '{kind}'
"""
_STEP = f"""
    WITH found AS (
      INSERT INTO gathered SELECT DISTINCT e.parent_kind, e.parent_id FROM {{now}} n {_EDGES}
      ON CONFLICT DO NOTHING RETURNING kind, id
    )
    INSERT INTO {{next}} SELECT kind, id FROM found
"""  # noqa: S608 - our names


_MISSING = "SELECT id FROM unnest(:ids) g (id) WHERE NOT EXISTS (SELECT FROM examples e WHERE e.id = g.id) LIMIT 1"
_BEGIN = "INSERT INTO {table} SELECT DISTINCT 'example', id FROM unnest(:ids) g (id) ON CONFLICT DO NOTHING"


def _begin_with(session: Session, examples: Iterable[uuid.UUID]) -> None:
    rest = iter(examples)
    while page := list(islice(rest, PAGE)):
        missing = session.scalar(text(_MISSING), {"ids": page})
        if missing:
            raise NoSuchExampleError(id=missing)
        for table in ("gathered", FRONTIERS[0]):
            session.execute(text(_BEGIN.format(table=table)), {"ids": page})


def gathered_nodes(session: Session, kind: str) -> Iterator[Node]:
    """The gathered records of a kind, in the order of their ids."""
    query = f"""
        SELECT id, {ATTRIBUTES[kind]} FROM {KINDS[kind]} WHERE id IN (SELECT id FROM gathered WHERE kind = '{kind}')
        ORDER BY id
    """  # noqa: S608 - our names
    for row in session.execute(text(query), execution_options=AT_ONCE).mappings():
        yield Node(kind, row["id"], {name: value for name, value in row.items() if name != "id"})


def gathered_edges(session: Session, child_kind: str, parent_kinds: Sequence[str]) -> Iterator[GatheredEdge]:
    """The edges from gathered records of a kind to those of some others, in the order of the ids."""
    kinds = ", ".join(f"'{kind}'" for kind in parent_kinds)
    query = f"""
        SELECT CAST(e.child_id AS text), e.relation, e.parent_kind, CAST(e.parent_id AS text)
        FROM gathered n {_EDGES.format(kind=child_kind)}
        AND e.parent_kind IN ({kinds}) ORDER BY e.child_id, e.relation, e.parent_id
    """  # noqa: S608 - our names
    for row in session.execute(text(query), execution_options=AT_ONCE):
        yield GatheredEdge(*row)
