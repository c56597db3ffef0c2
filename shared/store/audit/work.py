"""Work, and the counters that steer a run: what was done left its rows, and what was left undone says why."""

from shared.store.audit.check import Check

CHECKS = (
    Check(
        "calls without a response",
        "work with an LM that is done has a generation with a response, and other work has none",
        """
        SELECT w.id FROM work_items w
        LEFT JOIN generations g ON g.run_id = :run AND g.work_item_id = w.id AND g.response IS NOT NULL
        WHERE w.run_id = :run AND w.stage <> 'consensus' AND (w.state = 'done') <> (g.id IS NOT NULL)
        """,
    ),
    Check(
        "faults without a call",
        "every counted failure and time-out of a call is a generation with its fault",
        """
        SELECT w.id FROM work_items w
        LEFT JOIN generations g ON g.run_id = :run AND g.work_item_id = w.id AND g.fault IS NOT NULL
        WHERE w.run_id = :run AND w.failures + w.timeouts > 0
        GROUP BY w.id HAVING count(g.id) < w.failures + w.timeouts
        """,
    ),
    Check(
        "work without a record",
        "work for an instance, an output or a verdict that has ended left one, dropped work apart",
        """
        SELECT w.id FROM work_items w
        LEFT JOIN instances n ON w.stage = 'instance' AND n.instruction_id = w.instruction_id
        LEFT JOIN candidates c ON w.stage = 'output' AND c.instance_id = w.instance_id AND c.voice = w.voice
        LEFT JOIN verdicts v ON w.stage = 'consensus' AND v.judgement_id = :judgement AND v.instance_id = w.instance_id
        WHERE w.run_id = :run AND w.stage <> 'instruction' AND w.state IN ('done', 'failed')
          AND n.id IS NULL AND c.id IS NULL AND v.id IS NULL
        """,
    ),
    Check(
        "records without work",
        "what work is still open or was dropped for is not there",
        """
        SELECT w.id FROM work_items w
        LEFT JOIN instances n ON w.stage = 'instance' AND n.instruction_id = w.instruction_id
        LEFT JOIN candidates c ON w.stage = 'output' AND c.instance_id = w.instance_id AND c.voice = w.voice
        WHERE w.run_id = :run AND w.stage IN ('instance', 'output') AND w.state IN ('ready', 'leased', 'dropped')
          AND (n.id IS NOT NULL OR c.id IS NOT NULL)
        """,
    ),
    Check(
        "work unexplained",
        "work that failed has its fault",
        "SELECT id FROM work_items WHERE run_id = :run AND state = 'failed' AND coalesce(fault, '') = ''",
    ),
    Check(
        "records unexplained",
        "whatever was rejected has its reason",
        """
        SELECT id FROM instructions WHERE run_id = :run AND state = 'rejected' AND coalesce(reason, '') = ''
        UNION ALL SELECT id FROM instances WHERE run_id = :run AND state = 'rejected' AND coalesce(reason, '') = ''
        UNION ALL SELECT id FROM candidates WHERE run_id = :run AND state = 'rejected' AND coalesce(reason, '') = ''
        UNION ALL SELECT id FROM verdicts WHERE run_id = :run AND state = 'rejected' AND coalesce(reason, '') = ''
        """,
    ),
    Check(
        "leases broken",
        "leased work has a token and an expiry, and no other work has",
        """
        SELECT id FROM work_items WHERE run_id = :run
          AND ((state = 'leased') <> (lease_token IS NOT NULL) OR (state = 'leased') <> (lease_expires_at IS NOT NULL))
        """,
    ),
    Check(
        "work left open",
        "in a run that has ended no work is ready, and none is leased longer than its lease lasts",
        """
        SELECT w.id FROM work_items w JOIN runs r ON r.id = w.run_id
        WHERE w.run_id = :run AND r.finished_at IS NOT NULL
          AND (w.state = 'ready' OR w.state = 'leased' AND w.lease_expires_at < now())
        """,
    ),
    Check(
        "gated too early",
        "only proposals that have ended have passed the gate",
        """
        SELECT id FROM work_items
        WHERE run_id = :run AND gated AND (stage <> 'instruction' OR state IN ('ready', 'leased'))
        """,
    ),
    Check(
        "counters wrong",
        "the counters of a run's targets are what the rows say",
        """
        SELECT t.task_type FROM run_targets t
        CROSS JOIN LATERAL (
          SELECT count(*) AS proposed, count(*) FILTER (WHERE gated) AS gated FROM work_items
          WHERE run_id = t.run_id AND task_type = t.task_type AND stage = 'instruction'
        ) w
        CROSS JOIN LATERAL (
          SELECT count(*) AS accepted FROM instructions
          WHERE run_id = t.run_id AND task_type = t.task_type AND state = 'accepted'
        ) i
        CROSS JOIN LATERAL (
          SELECT count(*) FILTER (WHERE n.state = 'rejected' OR v.id IS NOT NULL) AS concluded
          FROM instances n LEFT JOIN verdicts v ON v.judgement_id = :judgement AND v.instance_id = n.id
          WHERE n.run_id = t.run_id AND n.task_type = t.task_type
        ) n
        CROSS JOIN LATERAL (
          SELECT count(*) AS examples FROM examples WHERE judgement_id = :judgement AND task_type = t.task_type
        ) x
        WHERE t.run_id = :run AND (t.proposed, t.gated, t.accepted, t.concluded, t.examples)
          <> (w.proposed, w.gated, i.accepted, n.concluded, x.examples)
        """,
    ),
    Check(
        "voices miscounted",
        "an accepted instance waits for as many voices as have not spoken",
        """
        SELECT n.id FROM instances n LEFT JOIN candidates c ON c.instance_id = n.id
        WHERE n.run_id = :run AND n.state = 'accepted'
        GROUP BY n.id HAVING n.pending_outputs <> cardinality(CAST(:voices AS text[])) - count(c.id)
        """,
    ),
)
