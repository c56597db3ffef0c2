"""Which examples two exports do not have in common, and why.

An example is known by its instance: two judgements of a run may have made an example of it, each with its own id. One
that is in both exports has changed if its output did, or if it moved from one split to another.
"""

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.method.tasks import TaskType
from shared.store.tables.exports import LeftOut


class Kind(StrEnum):
    """What became of an example from the first export to the second."""

    WENT = "went"
    CAME = "came"
    CHANGED = "changed"


class Why(StrEnum):
    """Why an example is not in the export that lacks it, beside `LeftOut`; of one in both, what changed."""

    RUN_MISSING = "run_missing"
    DISCARDED = "discarded"
    UNDECIDED = "undecided"
    SURPLUS = "surplus"
    LATER = "later"
    UNKNOWN = "unknown"
    OTHER_OUTPUT = "other_output"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Difference:
    """An example that only one export has, or that differs; by its id in the second export if it is there."""

    kind: Kind
    example_id: uuid.UUID
    run: str
    task_type: TaskType
    why: LeftOut | Why
    detail: dict[str, Any] | None
    instruction: str


# Of what the export :held has, all that the export :other lacks. There its instance is seen by the judgement that the
# other export takes of the run.
_LACKING = """
    SELECT e.id, r.name, e.task_type,
      CASE
        WHEN j.id IS NULL THEN 'run_missing'
        WHEN o.reason IS NOT NULL THEN o.reason
        WHEN v.id IS NULL THEN 'undecided'
        WHEN t.id IS NULL THEN 'discarded'
        WHEN t.surplus AND NOT CAST(x.options ->> 'surplus' AS boolean) THEN 'surplus'
        WHEN t.created_at > x.created_at THEN 'later'
        ELSE 'unknown'
      END,
      CASE
        WHEN o.detail IS NOT NULL THEN o.detail
        WHEN v.id IS NOT NULL AND t.id IS NULL THEN jsonb_build_object('judgement', j.number, 'reason', v.reason)
      END,
      e.instruction
    FROM export_rows held
    JOIN examples e ON e.id = held.example_id
    JOIN runs r ON r.id = e.run_id
    JOIN exports x ON x.id = :other
    LEFT JOIN LATERAL (
      SELECT j.id, j.number FROM export_judgements a JOIN judgements j ON j.id = a.judgement_id
      WHERE a.export_id = x.id AND j.run_id = e.run_id
    ) j ON true
    LEFT JOIN verdicts v ON v.judgement_id = j.id AND v.instance_id = e.instance_id
    LEFT JOIN examples t ON t.verdict_id = v.id
    LEFT JOIN export_exclusions o ON o.export_id = x.id AND o.example_id = t.id
    WHERE held.export_id = :held
      AND NOT EXISTS (SELECT FROM export_rows y WHERE y.export_id = x.id AND y.example_id = t.id)
    ORDER BY r.name, e.task_type, e.position
"""
_CHANGED = """
    SELECT b.id, r.name, b.task_type, CASE WHEN a.output <> b.output THEN 'other_output' ELSE 'moved' END,
      jsonb_strip_nulls(jsonb_build_object(
        'output', CASE WHEN a.output <> b.output THEN jsonb_build_array(a.output, b.output) END,
        'judgement', CASE WHEN a.id <> b.id THEN jsonb_build_array(ja.number, jb.number) END,
        'split', CASE WHEN xa.split <> xb.split THEN jsonb_build_array(xa.split, xb.split) END
      )),
      b.instruction
    FROM export_rows xa
    JOIN examples a ON a.id = xa.example_id
    JOIN judgements ja ON ja.id = a.judgement_id
    JOIN examples b ON b.instance_id = a.instance_id
    JOIN judgements jb ON jb.id = b.judgement_id
    JOIN export_rows xb ON xb.export_id = :second AND xb.example_id = b.id
    JOIN runs r ON r.id = b.run_id
    WHERE xa.export_id = :first AND (a.output <> b.output OR xa.split <> xb.split)
    ORDER BY r.name, b.task_type, b.position
"""


def differences(session: Session, first: uuid.UUID, second: uuid.UUID) -> list[Difference]:
    """What went, came and changed from the first export to the second, each in the order of the runs."""
    went = session.execute(text(_LACKING), {"held": first, "other": second})
    came = session.execute(text(_LACKING), {"held": second, "other": first})
    changed = session.execute(text(_CHANGED), {"first": first, "second": second})
    found = ((Kind.WENT, went), (Kind.CAME, came), (Kind.CHANGED, changed))
    return [_difference(kind, *row) for kind, rows in found for row in rows]


def _difference(
    kind: Kind, id: uuid.UUID, run: str, task_type: str, why: str, detail: dict[str, Any] | None, instruction: str
) -> Difference:
    reason = LeftOut(why) if why in set(LeftOut) else Why(why)
    return Difference(kind, id, run, TaskType(task_type), reason, detail, instruction)
