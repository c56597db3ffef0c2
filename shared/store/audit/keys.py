"""Nothing twice, nothing missing: the keys that there are, and those that there should be.

Of a type that has reached its target, everything up to the last wanted example must have come to its end; the places
are in `:ends`. Of one that is at work, everything up to those in `:frontiers` must have work that goes on with it.
"""

from shared.store.audit.check import Check

_ONCE = {
    "instructions": ("task_type, position", "true"),
    "instances": ("instruction_id", "true"),
    "candidates": ("instance_id, voice", "true"),
    "verdicts": ("judgement_id, instance_id", "true"),
    "examples": ("judgement_id, instance_id", "true"),
    "generations": ("work_item_id", "response IS NOT NULL"),
    "work_items": ("stage, task_type, position, voice", "true"),
}
_ENDS = "JOIN json_to_recordset(CAST(:ends AS json)) AS e (task_type text, position bigint)"
_FRONTIERS = "JOIN json_to_recordset(CAST(:frontiers AS json)) AS e (task_type text, position bigint)"
_OF_INSTRUCTION = "ON e.task_type = i.task_type AND i.position <= e.position"


def _once(table: str, columns: str, which: str) -> Check:
    query = (
        f"SELECT (array_agg(id))[1] FROM {table} WHERE run_id = :run AND {which} "  # noqa: S608 - our own names
        f"GROUP BY {columns} HAVING count(*) > 1"
    )
    answered = " with a response" if table == "generations" else ""
    return Check(f"{table.replace('_', '-')} doubled", f"one of {table}{answered} for each ({columns})", query)


ONCE = tuple(_once(table, columns, which) for table, (columns, which) in _ONCE.items())

ORDER = (
    Check(
        "proposals with gaps",
        "the proposals of a type stand one after the other, from the first",
        """
        SELECT task_type FROM work_items WHERE run_id = :run AND stage = 'instruction' GROUP BY task_type
        HAVING min(position) <> 0 OR max(position) <> (count(*) - 1) * :spacing OR bool_or(position % :spacing <> 0)
        """,
    ),
    Check(
        "acceptance with gaps",
        "the accepted instructions of a type are numbered from 0, without gaps",
        """
        SELECT task_type FROM instructions WHERE run_id = :run AND state = 'accepted' GROUP BY task_type
        HAVING min(accepted_order) <> 0 OR max(accepted_order) <> count(*) - 1
        """,
    ),
)

OWED = (
    Check(
        "instances missing",
        "every accepted instruction up to its type's last wanted example has its instance, accepted or rejected",
        f"""
        SELECT i.id FROM instructions i {_ENDS} {_OF_INSTRUCTION}
        LEFT JOIN instances n ON n.instruction_id = i.id
        WHERE i.run_id = :run AND i.state = 'accepted' AND n.id IS NULL
        """,  # noqa: S608 - our own words
    ),
    Check(
        "candidates missing",
        "every accepted instance up to its type's last wanted example has a candidate of each voice that is not late",
        f"""
        SELECT n.id FROM instances n JOIN instructions i ON i.id = n.instruction_id {_ENDS} {_OF_INSTRUCTION}
        CROSS JOIN unnest(CAST(:voices AS text[])) AS v (voice)
        LEFT JOIN candidates c ON c.instance_id = n.id AND c.voice = v.voice
        WHERE n.run_id = :run AND n.state = 'accepted' AND c.id IS NULL AND NOT EXISTS (
          SELECT FROM work_items w WHERE w.instance_id = n.id AND w.voice = v.voice AND w.late
            AND w.state IN ('ready', 'leased', 'dropped')
        )
        """,  # noqa: S608 - our own words
    ),
    Check(
        "verdicts missing",
        "every accepted instance up to its type's last wanted example has the run's verdict",
        f"""
        SELECT n.id FROM instances n JOIN instructions i ON i.id = n.instruction_id {_ENDS} {_OF_INSTRUCTION}
        LEFT JOIN verdicts v ON v.judgement_id = :judgement AND v.instance_id = n.id
        WHERE n.run_id = :run AND n.state = 'accepted' AND v.id IS NULL
        """,  # noqa: S608 - our own words
    ),
    Check(
        "examples missing",
        "every accepting verdict has its example, and no other has one",
        """
        SELECT coalesce(v.id, x.verdict_id)
        FROM (SELECT id FROM verdicts WHERE run_id = :run AND state = 'accepted') v
        FULL JOIN (SELECT verdict_id FROM examples WHERE run_id = :run) x ON x.verdict_id = v.id
        WHERE v.id IS NULL OR x.verdict_id IS NULL
        """,
    ),
    Check(
        "proposals forgotten",
        "every proposal up to its type's last wanted example that ended at its first try has passed the gate",
        f"""
        SELECT i.id FROM work_items i {_ENDS} {_OF_INSTRUCTION}
        WHERE i.run_id = :run AND i.stage = 'instruction' AND i.state IN ('done', 'failed') AND NOT i.gated
          AND i.failures + i.timeouts + i.overloads + i.crashes + i.earlier_tries = 0
        """,  # noqa: S608 - our own words
    ),
    Check(
        "instructions stuck",
        "in a run that goes on, every accepted instruction without an instance has work that will make one",
        f"""
        SELECT i.id FROM instructions i {_FRONTIERS} {_OF_INSTRUCTION}
        LEFT JOIN instances n ON n.instruction_id = i.id
        LEFT JOIN work_items w ON w.instruction_id = i.id AND w.state IN ('ready', 'leased')
        WHERE i.run_id = :run AND i.state = 'accepted' AND n.id IS NULL AND w.id IS NULL
        """,  # noqa: S608 - our own words
    ),
    Check(
        "instances stuck",
        "in a run that goes on, every accepted instance without a verdict has work that will bring one",
        f"""
        SELECT n.id FROM instances n JOIN instructions i ON i.id = n.instruction_id {_FRONTIERS} {_OF_INSTRUCTION}
        LEFT JOIN verdicts v ON v.judgement_id = :judgement AND v.instance_id = n.id
        LEFT JOIN work_items w ON w.instance_id = n.id AND w.state IN ('ready', 'leased')
        WHERE n.run_id = :run AND n.state = 'accepted' AND v.id IS NULL AND w.id IS NULL
        """,  # noqa: S608 - our own words
    ),
)

CHECKS = (*ONCE, *ORDER, *OWED)
