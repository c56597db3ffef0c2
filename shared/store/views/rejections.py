"""What a run left out for one reason, in pages."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

LONGEST = 400  # characters of a text
# Of each kind its own view: of lineage.rejections, which holds all kinds, Postgres would read the whole to sort a page.
QUESTIONS = {
    "instruction": """
        SELECT id, task_type, NULL AS voice, left(text, {longest}) AS content, max_similarity, created_at
        FROM lineage.instructions r
    """,
    "instance": """
        SELECT
          r.id, r.task_type, NULL AS voice, left(i.text, {longest}) AS content, NULL AS max_similarity, r.created_at
        FROM lineage.instances r JOIN lineage.instructions i ON i.id = r.instruction_id
    """,
    "candidate": """
        SELECT
          r.id, n.task_type, r.voice, left(coalesce(r.output, i.text), {longest}) AS content, NULL AS max_similarity,
          r.created_at
        FROM lineage.candidates r JOIN lineage.instances n ON n.id = r.instance_id
        JOIN lineage.instructions i ON i.id = n.instruction_id
    """,
    "verdict": """
        SELECT
          r.id, r.task_type, NULL AS voice, left(i.text, {longest}) AS content, NULL AS max_similarity, r.created_at
        FROM lineage.verdicts r JOIN lineage.instructions i ON i.id = r.instruction_id
    """,
}


@dataclass(frozen=True, slots=True)
class Rejected:
    """What was left out: the record, and the text that a person knows it by, cut at `LONGEST` characters.

    `voice` is whose output a candidate is; `max_similarity` what an instruction came to in the novelty gate.
    """

    id: uuid.UUID
    task_type: str
    voice: str | None
    content: str | None
    max_similarity: float | None
    created_at: datetime


def rejected(
    session: Session, run_id: uuid.UUID, judgement: int, kind: str, reason: str, after: uuid.UUID | None, most: int
) -> list[Rejected]:
    """The next of a kind that were left out for a reason, in the order of their ids, which is none in particular.

    `kind` is one of `QUESTIONS`; the judgement matters for verdicts alone.
    """
    of_judgement = "AND r.judgement = :judgement" if kind == "verdict" else ""
    rows = session.execute(
        text(
            f"{QUESTIONS[kind].format(longest=LONGEST)} WHERE r.run_id = :run AND r.state = 'rejected' "
            f"AND r.reason = :reason AND r.id > :after {of_judgement} ORDER BY r.id LIMIT :most"
        ),
        {
            "run": run_id,
            "reason": reason,
            "after": after or uuid.UUID(int=0),
            "most": most,
            **({"judgement": judgement} if of_judgement else {}),
        },
    )
    return [Rejected(**row._mapping) for row in rows]
