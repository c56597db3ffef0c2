"""The dataset and its lineage: targets met exactly, and every record made of what it says it was made of."""

from shared.store.audit.check import Check

TARGETS = (
    Check(
        "targets missed",
        "a type that is complete has exactly its target of wanted examples, or at most if it was imported, and a "
        "completed run has no other type",
        """
        SELECT concat(t.task_type, ': ', count(x.id), ' of ', t.target) FROM run_targets t
        JOIN runs r ON r.id = t.run_id
        LEFT JOIN examples x ON x.judgement_id = :judgement AND x.task_type = t.task_type AND NOT x.surplus
        WHERE t.run_id = :run AND (t.completed_at IS NOT NULL OR r.state = 'completed')
        GROUP BY t.task_type, t.target, t.completed_at
        HAVING count(x.id) > t.target OR (count(x.id) < t.target AND NOT :imported) OR t.completed_at IS NULL
        """,
    ),
    Check(
        "surplus misplaced",
        "surplus are the examples that stand after the last wanted one, and only those",
        """
        SELECT id FROM (
          SELECT x.id, x.surplus,
            (x.judgement_id <> :judgement OR t.completed_at IS NOT NULL OR r.finished_at IS NOT NULL)
            AND row_number() OVER (PARTITION BY x.judgement_id, x.task_type ORDER BY x.position) > t.target AS late
          FROM examples x JOIN run_targets t ON t.run_id = x.run_id AND t.task_type = x.task_type
          JOIN runs r ON r.id = x.run_id
          WHERE x.run_id = :run
        ) placed WHERE surplus <> late
        """,
    ),
)

MADE_OF = (
    Check(
        "instructions misattributed",
        "an instruction stands where the proposal stood whose answer it came from",
        """
        SELECT i.id FROM instructions i JOIN generations g ON g.id = i.generation_id
        JOIN work_items w ON w.id = g.work_item_id
        WHERE i.run_id = :run AND (w.run_id, w.stage, w.task_type, w.position)
          IS DISTINCT FROM (i.run_id, 'instruction', i.task_type, i.position / :spacing * :spacing)
        """,
    ),
    Check(
        "imports misattributed",
        "an imported instruction has the text that stands in its record, and that is in the first of the run's files",
        """
        SELECT i.id FROM instructions i LEFT JOIN origins o ON o.id = i.origin_id
        LEFT JOIN origin_files f ON f.id = o.file_id
        WHERE i.run_id = :run AND i.origin_id IS NOT NULL
          AND (f.run_id, f.number, o.record ->> 'instruction') IS DISTINCT FROM (i.run_id, 0, i.text)
        """,
    ),
    Check(
        "imports missing",
        "every record of an imported file is there, and those of the first have their instructions",
        """
        SELECT f.id FROM origin_files f LEFT JOIN origins o ON o.file_id = f.id
        WHERE f.run_id = :run GROUP BY f.id, f.records HAVING count(o.id) <> f.records
        UNION ALL SELECT o.id FROM origin_files f JOIN origins o ON o.file_id = f.id
        WHERE f.run_id = :run AND f.number = 0 AND NOT EXISTS (SELECT FROM instructions i WHERE i.origin_id = o.id)
        """,
    ),
    Check(
        "instances misattributed",
        "an instance is of an accepted instruction of its run and type, and of an answer that was asked for it",
        """
        SELECT n.id FROM instances n JOIN instructions i ON i.id = n.instruction_id
        LEFT JOIN generations g ON g.id = n.generation_id LEFT JOIN work_items w ON w.id = g.work_item_id
        WHERE n.run_id = :run AND (
          (i.run_id, i.task_type, i.state) <> (n.run_id, n.task_type, 'accepted')
          OR (g.id IS NOT NULL AND w.instruction_id IS DISTINCT FROM i.id)
          OR (n.state = 'accepted' AND g.response IS NULL AND n.origin_id IS NULL)
          OR (n.origin_id IS NOT NULL AND n.origin_id IS DISTINCT FROM i.origin_id)
        )
        """,
    ),
    Check(
        "candidates misattributed",
        "a candidate is of an accepted instance, and of an answer that its voice was asked for",
        """
        SELECT c.id FROM candidates c JOIN instances n ON n.id = c.instance_id
        LEFT JOIN generations g ON g.id = c.generation_id LEFT JOIN work_items w ON w.id = g.work_item_id
        LEFT JOIN origins o ON o.id = c.origin_id LEFT JOIN origin_files f ON f.id = o.file_id
        WHERE c.run_id = :run AND (
          (n.run_id, n.state) <> (c.run_id, 'accepted')
          OR (c.number = 0 AND (c.generation_id, c.origin_id) IS DISTINCT FROM (n.generation_id, n.origin_id))
          OR (c.number > 0 AND g.id IS NOT NULL AND (w.instance_id, w.voice) IS DISTINCT FROM (n.id, c.voice))
          OR (c.origin_id IS NOT NULL AND (f.run_id, f.voice) IS DISTINCT FROM (c.run_id, c.voice))
          OR (c.state = 'accepted' AND ((g.response IS NULL AND o.id IS NULL) OR c.output IS NULL))
        )
        """,
    ),
    Check(
        "verdicts misattributed",
        "a verdict compares accepted candidates of its own instance, and chooses one of them",
        """
        SELECT DISTINCT v.id FROM verdicts v CROSS JOIN LATERAL unnest(v.candidate_ids) AS compared (id)
        LEFT JOIN candidates c ON c.id = compared.id
        WHERE v.run_id = :run AND (c.instance_id, c.state) IS DISTINCT FROM (v.instance_id, 'accepted')
        UNION SELECT id FROM verdicts
        WHERE run_id = :run AND choice_id IS NOT NULL AND choice_id <> ALL (candidate_ids)
        """,
    ),
    Check(
        "examples misattributed",
        "an example has the text of its instruction, the input of its instance and the output that was chosen",
        """
        SELECT x.id FROM examples x JOIN verdicts v ON v.id = x.verdict_id JOIN instances n ON n.id = x.instance_id
        JOIN instructions i ON i.id = n.instruction_id JOIN candidates c ON c.id = x.candidate_id
        WHERE x.run_id = :run AND (
          (x.task_type, x.position, x.instruction, x.input, x.output, x.judgement_id, x.instance_id, x.candidate_id)
          IS DISTINCT FROM
          (i.task_type, i.position, i.text, coalesce(n.input, ''), c.output, v.judgement_id, v.instance_id, v.choice_id)
        )
        """,
    ),
)

_PARENTS = {
    "verdict": "verdicts",
    "candidate": "candidates",
    "instance": "instances",
    "instruction": "instructions",
    "generation": "generations",
    "model": "models",
    "server": "servers",
    "prompt_template": "prompt_templates",
    "origin": "origins",
    "origin_file": "origin_files",
}
_CHILDREN = {
    "example": "examples",
    "verdict": "verdicts",
    "candidate": "candidates",
    "instance": "instances",
    "instruction": "instructions",
    "generation": "generations",
}


def _dangling(child: str) -> Check:
    parents = " ".join(
        f"AND NOT EXISTS (SELECT FROM {table} p WHERE e.parent_kind = '{kind}' AND p.id = e.parent_id)"
        for kind, table in _PARENTS.items()
    )
    return Check(
        f"{child} edges dangling",
        f"whatever lineage.edges says that one of {_CHILDREN[child]} came from exists",
        f"SELECT e.child_id FROM lineage.edges e "  # noqa: S608 - our own names
        f"JOIN {_CHILDREN[child]} c ON c.id = e.child_id AND c.run_id = :run "
        f"WHERE e.child_kind = '{child}' AND e.relation <> 'shown' {parents}",
    )


SHOWN = (
    Check(
        "demonstrations missing",
        "the seeds that a call was shown are seeds of its run and type",
        """
        SELECT DISTINCT g.id FROM generations g CROSS JOIN LATERAL unnest(g.seed_task_ids) AS shown (id)
        LEFT JOIN run_seeds r ON r.run_id = g.run_id AND r.seed_task_id = shown.id
        LEFT JOIN seed_tasks s ON s.id = r.seed_task_id AND s.task_type = g.task_type
        WHERE g.run_id = :run AND s.id IS NULL
        """,
    ),
    Check(
        "demonstrations out of turn",
        "the instructions that a call was shown had been accepted in its run and type before it was answered",
        """
        SELECT DISTINCT g.id FROM generations g
        CROSS JOIN LATERAL unnest(g.instruction_ids) AS shown (id) LEFT JOIN instructions i ON i.id = shown.id
        WHERE g.run_id = :run AND (
          (i.run_id, i.task_type, i.state) IS DISTINCT FROM (g.run_id, g.task_type, 'accepted')
          OR i.created_at >= g.created_at
        )
        """,
    ),
    Check(
        "lineage without seeds",
        "every accepted instruction came of a call that was shown seeds, or instructions that came of such calls",
        """
        SELECT i.id FROM instructions i JOIN generations g ON g.id = i.generation_id
        WHERE i.run_id = :run AND i.state = 'accepted'
          AND cardinality(g.seed_task_ids) = 0 AND cardinality(g.instruction_ids) = 0
        """,
    ),
)

CHECKS = (*TARGETS, *MADE_OF, *map(_dangling, _CHILDREN), *SHOWN)
