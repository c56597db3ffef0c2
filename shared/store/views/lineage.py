"""What a record came from, up to the demonstrations that its prompts showed but not beyond them.

An instruction that was shown to the LM that wrote another has a lineage of its own, and so on: all of it would be a
good part of a run. Each demonstration's own page goes on from there.
"""

import uuid

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.store.lineage import Edge, Lineage
from shared.store.views.records import nodes

SHOWN = "shown"
NEAR = """
WITH RECURSIVE near (kind, id) AS (
  SELECT CAST(:kind AS text), CAST(:id AS uuid)
  UNION
  SELECT e.parent_kind, e.parent_id FROM near CROSS JOIN LATERAL (
    SELECT * FROM lineage.edges e
    WHERE e.child_kind = near.kind AND e.child_id = near.id AND e.relation <> :shown OFFSET 0
  ) e
)
SELECT e.child_id, e.relation, e.parent_kind, e.parent_id FROM near CROSS JOIN LATERAL (
  SELECT * FROM lineage.edges e WHERE e.child_kind = near.kind AND e.child_id = near.id OFFSET 0
) e
"""


def near_lineage(session: Session, kind: str, id: uuid.UUID) -> Lineage:
    """A record's lineage without that of its demonstrations."""
    rows = session.execute(text(NEAR), {"kind": kind, "id": id, "shown": SHOWN}).all()
    found = {id: kind} | {row.parent_id: row.parent_kind for row in rows}
    edges = [Edge(row.child_id, row.relation, row.parent_id) for row in rows]
    return Lineage(id, nodes(session, [(kind, id) for id, kind in found.items()]), edges)
