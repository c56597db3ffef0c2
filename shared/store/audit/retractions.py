"""Marks of retractions: what came of something retracted has them, as far down as it is, and nothing else has."""

from shared.store.audit.check import Check

_CHILDREN = {
    "example": "examples",
    "verdict": "verdicts",
    "candidate": "candidates",
    "instance": "instances",
    "instruction": "instructions",
    "generation": "generations",
    "origin": "lineage.origins",  # with its run
}
_MARKED = """
    WITH marked AS MATERIALIZED (
      SELECT m.* FROM retracted_records m JOIN retractions t ON t.id = m.retraction_id
      WHERE t.undone_at IS NULL AND t.marked_at IS NOT NULL
    )
"""


def _unmarked(kind: str) -> str:
    return f"""
        SELECT e.child_id FROM lineage.edges e JOIN marked m ON m.record_id = e.parent_id
        JOIN {_CHILDREN[kind]} c ON c.id = e.child_id AND c.run_id = :run
        WHERE e.child_kind = '{kind}' AND EXISTS (SELECT FROM marked) AND NOT EXISTS (
          SELECT FROM marked x WHERE x.record_id = e.child_id AND x.retraction_id = m.retraction_id
        )
    """  # noqa: S608 - our own names


def _misplaced(kind: str) -> str:
    return f"""
        SELECT m.record_id FROM marked m JOIN {_CHILDREN[kind]} c ON c.id = m.record_id AND c.run_id = :run
        LEFT JOIN (lineage.edges e JOIN marked p ON p.record_id = e.parent_id)
          ON e.child_kind = '{kind}' AND e.child_id = m.record_id AND p.retraction_id = m.retraction_id
        WHERE EXISTS (SELECT FROM marked) AND m.kind = '{kind}' AND m.distance > 0
        GROUP BY m.record_id, m.retraction_id, m.distance HAVING m.distance IS DISTINCT FROM min(p.distance) + 1
    """  # noqa: S608 - our own names


CHECKS = (
    Check(
        "retracted records unmarked",
        "what came of a record that a retraction marks is marked by it, too",
        f"{_MARKED} SELECT DISTINCT child_id FROM ({' UNION ALL '.join(map(_unmarked, _CHILDREN))}) u",  # noqa: S608 - ours
    ),
    Check(
        "retraction marks misplaced",
        "what a retraction marks came of what it names, at the distance that the mark tells",
        f"{_MARKED} SELECT DISTINCT record_id FROM ({' UNION ALL '.join(map(_misplaced, _CHILDREN))}) u",  # noqa: S608 - ours
    ),
    Check(
        "retracted things unmarked",
        "what a retraction in force names is marked itself",
        """
        SELECT r.record_id FROM retraction_roots r JOIN retractions t ON t.id = r.retraction_id AND t.undone_at IS NULL
        WHERE NOT EXISTS (
          SELECT FROM retracted_records m
          WHERE m.record_id = r.record_id AND m.retraction_id = r.retraction_id AND m.distance = 0
        ) AND r.record_id IN (
          SELECT id FROM models WHERE run_id = :run UNION SELECT seed_task_id FROM run_seeds WHERE run_id = :run
          UNION SELECT template_id FROM run_prompts WHERE run_id = :run
          UNION SELECT id FROM instructions WHERE run_id = :run UNION SELECT id FROM examples WHERE run_id = :run
          UNION SELECT id FROM origin_files WHERE run_id = :run UNION SELECT id FROM lineage.origins WHERE run_id = :run
        )
        """,
    ),
)
