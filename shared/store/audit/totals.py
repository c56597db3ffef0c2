"""Totals that are counted as rows are written: they are what a count of the rows gives."""

from shared.store.audit.check import Check

CHECKS = (
    Check(
        "call totals astray",
        "calls and tokens that were counted as they were written are those of the generations",
        """
        WITH told AS (
          SELECT stage, task_type, model_id, template_id, fault, sum(calls), sum(prompt_tokens), sum(completion_tokens)
          FROM generation_totals WHERE run_id = :run GROUP BY 1, 2, 3, 4, 5
        ), counted AS (
          SELECT stage, task_type, model_id, template_id, fault, count(*), sum(coalesce(prompt_tokens, 0)),
            sum(coalesce(completion_tokens, 0))
          FROM generations WHERE run_id = :run GROUP BY 1, 2, 3, 4, 5
        )
        SELECT concat_ws(' ', stage, task_type, fault) FROM (
          (TABLE told EXCEPT TABLE counted) UNION ALL (TABLE counted EXCEPT TABLE told)
        ) astray
        """,
    ),
    Check(
        "record totals astray",
        "records that were counted as they were written are those that there are",
        """
        WITH told AS (
          SELECT kind, judgement_id, task_type, voice, state, reason, sum(records)
          FROM record_totals WHERE run_id = :run GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(records) <> 0
        ), counted AS (
          SELECT 'instruction', CAST(NULL AS uuid), task_type, CAST(NULL AS text), state, reason, count(*)
          FROM instructions WHERE run_id = :run GROUP BY 3, 5, 6
          UNION ALL SELECT 'instance', NULL, task_type, NULL, state, reason, count(*)
          FROM instances WHERE run_id = :run GROUP BY 3, 5, 6
          UNION ALL SELECT 'candidate', NULL, n.task_type, c.voice, c.state, c.reason, count(*)
          FROM candidates c JOIN instances n ON n.id = c.instance_id WHERE c.run_id = :run GROUP BY 3, 4, 5, 6
          UNION ALL SELECT 'verdict', v.judgement_id, n.task_type, NULL, v.state, v.reason, count(*)
          FROM verdicts v JOIN instances n ON n.id = v.instance_id WHERE v.run_id = :run GROUP BY 2, 3, 5, 6
          UNION ALL SELECT
            'example', x.judgement_id, x.task_type, c.voice, CASE WHEN x.surplus THEN 'surplus' ELSE 'wanted' END, NULL,
            count(*)
          FROM examples x JOIN candidates c ON c.id = x.candidate_id WHERE x.run_id = :run GROUP BY 2, 3, 4, 5
        )
        SELECT concat_ws(' ', kind, task_type, voice, state, reason) FROM (
          (TABLE told EXCEPT TABLE counted) UNION ALL (TABLE counted EXCEPT TABLE told)
        ) astray
        """,
    ),
    Check(
        "seeds' shares astray",
        "each seed task's examples are those whose instruction was written with it in the prompt",
        """
        WITH told AS (
          SELECT t.judgement_id, t.seed_task_id, t.examples
          FROM seed_totals t JOIN judgements j ON j.id = t.judgement_id WHERE j.run_id = :run AND t.examples <> 0
        ), counted AS (
          SELECT x.judgement_id, shown.id, count(DISTINCT x.id)
          FROM examples x JOIN instances n ON n.id = x.instance_id JOIN instructions i ON i.id = n.instruction_id
          JOIN generations g ON g.id = i.generation_id CROSS JOIN LATERAL unnest(g.seed_task_ids) AS shown (id)
          WHERE x.run_id = :run AND NOT x.surplus GROUP BY 1, 2
        )
        SELECT DISTINCT astray.seed_task_id FROM (
          (TABLE told EXCEPT TABLE counted) UNION ALL (TABLE counted EXCEPT TABLE told)
        ) astray
        """,
    ),
)
