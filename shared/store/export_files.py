"""Which export some files are, and what any export ever had."""

import uuid
from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.orm import Session


def export_with(session: Session, sha256s: Mapping[str, str]) -> uuid.UUID | None:
    """The export that has the most of these files, given as SHA-256 by path, and the fewest others."""
    found: uuid.UUID | None = session.scalar(
        text(
            """
            SELECT x.id FROM exports x CROSS JOIN LATERAL jsonb_to_recordset(x.files) AS f (path text, sha256 text)
            JOIN unnest(CAST(:paths AS text[]), CAST(:sha256s AS text[])) AS g (path, sha256) USING (path, sha256)
            GROUP BY x.id ORDER BY count(*) DESC, jsonb_array_length(x.files), x.created_at DESC, x.id LIMIT 1
            """
        ),
        {"paths": list(sha256s), "sha256s": list(sha256s.values())},
    )
    return found


def recorded_paths(session: Session) -> set[str]:
    """The path of every file that an export had."""
    paths = text("SELECT DISTINCT f.path FROM exports x, jsonb_to_recordset(x.files) AS f (path text)")
    return set(session.scalars(paths))


def count_retracted(session: Session, export_id: uuid.UUID) -> int:
    """How many of an export's examples are retracted by now."""
    counted = text(
        "SELECT count(*) FROM lineage.export_rows x JOIN lineage.examples e ON e.id = x.example_id "
        "WHERE x.export_id = :export AND e.retracted"
    )
    return int(session.scalar(counted, {"export": export_id}) or 0)
