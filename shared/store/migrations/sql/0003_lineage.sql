-- Demonstrations are kept as arrays of keys; this is their foreign key.
CREATE FUNCTION check_demonstrations() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  missing uuid;
BEGIN
  SELECT shown.id INTO missing
  FROM new_generations g CROSS JOIN LATERAL unnest(g.seed_task_ids) AS shown(id)
  LEFT JOIN seed_tasks s ON s.id = shown.id
  WHERE s.id IS NULL LIMIT 1;
  IF missing IS NULL THEN
    SELECT shown.id INTO missing
    FROM new_generations g CROSS JOIN LATERAL unnest(g.instruction_ids) AS shown(id)
    LEFT JOIN instructions i ON i.id = shown.id
    WHERE i.id IS NULL LIMIT 1;
  END IF;
  IF missing IS NOT NULL THEN
    RAISE foreign_key_violation USING MESSAGE = concat('a generation shows ', missing, ', which is not in the store');
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER check_demonstrations AFTER INSERT ON generations
  REFERENCING NEW TABLE AS new_generations
  FOR EACH STATEMENT EXECUTE FUNCTION check_demonstrations();

CREATE SCHEMA lineage;
COMMENT ON SCHEMA lineage IS 'Where each example came from. Stable: what stands here is for anyone to query.';

CREATE VIEW lineage.examples AS
SELECT
  e.id, e.run_id, r.name AS run, j.number AS judgement, e.task_type, e.position, e.instruction, e.input, e.output,
  e.surplus, j.rule, j.threshold, v.exact_match, v.margin, cardinality(v.candidate_ids) AS candidates, v.scores,
  c.voice AS chosen_voice, m.name AS chosen_model,
  e.verdict_id, e.candidate_id, e.instance_id, n.instruction_id, e.created_at
FROM examples e
JOIN runs r ON r.id = e.run_id
JOIN judgements j ON j.id = e.judgement_id
JOIN verdicts v ON v.id = e.verdict_id
JOIN candidates c ON c.id = e.candidate_id
JOIN instances n ON n.id = e.instance_id
JOIN generations g ON g.id = c.generation_id
JOIN models m ON m.id = g.model_id;
COMMENT ON VIEW lineage.examples IS 'The dataset: one row an example, with how its output was chosen.';
COMMENT ON COLUMN lineage.examples.judgement IS 'The judgement that kept it: 0 is the run''s own, later ones are of `rejudge`. An instance may be an example of each.';
COMMENT ON COLUMN lineage.examples.position IS 'The example''s place in its run: examples are kept in this order up to the target.';
COMMENT ON COLUMN lineage.examples.surplus IS 'Whether it came after the target was met, and is left out of exports.';
COMMENT ON COLUMN lineage.examples.scores IS 'Stemmed Rouge-L F1 of each pair of candidates, in the candidates'' order.';
COMMENT ON COLUMN lineage.examples.margin IS 'How far the chosen output was ahead of the next, in summed Rouge-L F1; null for an exact match.';
COMMENT ON COLUMN lineage.examples.chosen_voice IS 'Which of the job''s voices wrote the output; ''instance'' is the instance''s own.';

CREATE VIEW lineage.generations AS
SELECT
  g.id, g.run_id, r.name AS run, g.stage, g.task_type, m.name AS model, m.served_model, m.licence, s.model_revision,
  g.endpoint, s.server_version, t.name AS template, t.version AS template_version, t.sha256 AS template_sha256,
  g.prompt, g.parameters, g.seed, g.response, g.finish_reason, g.fault, g.detail, g.prompt_tokens,
  g.completion_tokens, g.latency_s, g.attempt, g.worker, g.seed_task_ids, g.instruction_ids, g.created_at
FROM generations g
JOIN runs r ON r.id = g.run_id
JOIN models m ON m.id = g.model_id
JOIN prompt_templates t ON t.id = g.template_id
LEFT JOIN servers s ON s.id = g.server_id;
COMMENT ON VIEW lineage.generations IS 'Every LM call: what was sent, to whom, and what came back.';

CREATE VIEW lineage.candidates AS
SELECT
  c.id, c.run_id, c.instance_id, c.number, c.voice, m.name AS model, c.output, c.state, c.reason,
  coalesce(0 = ANY (chosen.judgements), false) AS chosen, coalesce(chosen.judgements, '{}') AS chosen_in,
  c.generation_id, c.created_at
FROM candidates c
LEFT JOIN generations g ON g.id = c.generation_id
LEFT JOIN models m ON m.id = g.model_id
CROSS JOIN LATERAL (
  SELECT array_agg(j.number ORDER BY j.number) AS judgements
  FROM verdicts v JOIN judgements j ON j.id = v.judgement_id WHERE v.choice_id = c.id
) chosen;
COMMENT ON VIEW lineage.candidates IS 'Every voice''s output for every instance, chosen or not, once.';
COMMENT ON COLUMN lineage.candidates.chosen IS 'Whether the run''s own judgement, number 0, chose it.';
COMMENT ON COLUMN lineage.candidates.chosen_in IS 'The numbers of all judgements that chose it.';

CREATE VIEW lineage.judgements AS
SELECT
  j.id, j.run_id, r.name AS run, j.number AS judgement, j.rule, j.threshold, j.min_candidates, j.weights, j.families,
  j.created_at
FROM judgements j JOIN runs r ON r.id = j.run_id;
COMMENT ON VIEW lineage.judgements IS 'What each judgement of a run decided by: 0 is the run''s own, later ones are of `rejudge`.';
COMMENT ON COLUMN lineage.judgements.weights IS 'How much each voice counts.';
COMMENT ON COLUMN lineage.judgements.families IS 'The family of each voice that has one; voices of a family share a vote.';

CREATE VIEW lineage.verdicts AS
SELECT
  v.id, v.run_id, r.name AS run, j.number AS judgement, n.task_type, v.instance_id, n.instruction_id,
  j.rule, j.threshold, j.min_candidates, j.weights, j.families,
  v.candidate_ids, v.scores, v.exact_match, v.margin, v.choice_id, c.voice AS chosen_voice, v.state, v.reason,
  v.created_at
FROM verdicts v
JOIN runs r ON r.id = v.run_id
JOIN judgements j ON j.id = v.judgement_id
JOIN instances n ON n.id = v.instance_id
LEFT JOIN candidates c ON c.id = v.choice_id;
COMMENT ON VIEW lineage.verdicts IS 'Every decision on an instance: the scores, the rule with its parameters, the choice or the reason.';
COMMENT ON COLUMN lineage.verdicts.candidate_ids IS 'The candidates that were compared: the rows and columns of the scores, in order.';

CREATE VIEW lineage.rejections AS
SELECT run_id, 0 AS judgement, 'instruction' AS kind, id, task_type, reason, text AS content, created_at
FROM instructions WHERE state = 'rejected'
UNION ALL
SELECT n.run_id, 0, 'instance', n.id, n.task_type, n.reason, i.text, n.created_at
FROM instances n JOIN instructions i ON i.id = n.instruction_id WHERE n.state = 'rejected'
UNION ALL
SELECT c.run_id, 0, 'candidate', c.id, n.task_type, c.reason, c.output, c.created_at
FROM candidates c JOIN instances n ON n.id = c.instance_id WHERE c.state = 'rejected'
UNION ALL
SELECT v.run_id, j.number, 'verdict', v.id, n.task_type, v.reason, i.text, v.created_at
FROM verdicts v JOIN judgements j ON j.id = v.judgement_id JOIN instances n ON n.id = v.instance_id
JOIN instructions i ON i.id = n.instruction_id
WHERE v.state = 'rejected';
COMMENT ON VIEW lineage.rejections IS 'Everything that was left out, with its reason.';
COMMENT ON COLUMN lineage.rejections.judgement IS 'Of a verdict, the judgement that made it; 0, the run''s own, of all else.';

CREATE VIEW lineage.seed_tasks AS
SELECT id, source_id, name, task_type, instruction, instances, is_classification FROM seed_tasks;
COMMENT ON VIEW lineage.seed_tasks IS 'The human-written tasks at the root of every lineage.';

CREATE VIEW lineage.edges AS
SELECT 'example' AS child_kind, id AS child_id, 'decided_by' AS relation, 'verdict' AS parent_kind, verdict_id AS parent_id
FROM examples
UNION ALL SELECT 'example', id, 'output_from', 'candidate', candidate_id FROM examples
UNION ALL SELECT 'example', id, 'made_from', 'instance', instance_id FROM examples
UNION ALL SELECT 'verdict', v.id, 'compared', 'candidate', c.id FROM verdicts v CROSS JOIN LATERAL unnest(v.candidate_ids) AS c(id)
UNION ALL SELECT 'candidate', id, 'answers', 'instance', instance_id FROM candidates
UNION ALL SELECT 'candidate', id, 'written_by', 'generation', generation_id FROM candidates WHERE generation_id IS NOT NULL
UNION ALL SELECT 'instance', id, 'carries_out', 'instruction', instruction_id FROM instances
UNION ALL SELECT 'instance', id, 'written_by', 'generation', generation_id FROM instances WHERE generation_id IS NOT NULL
UNION ALL SELECT 'instruction', id, 'written_by', 'generation', generation_id FROM instructions
UNION ALL SELECT 'generation', id, 'asked', 'model', model_id FROM generations
UNION ALL SELECT 'generation', id, 'answered_by', 'server', server_id FROM generations WHERE server_id IS NOT NULL
UNION ALL SELECT 'server', id, 'serves', 'model', model_id FROM servers
UNION ALL SELECT 'generation', id, 'rendered_from', 'prompt_template', template_id FROM generations
UNION ALL SELECT 'generation', g.id, 'shown', 'seed_task', s.id FROM generations g CROSS JOIN LATERAL unnest(g.seed_task_ids) AS s(id)
UNION ALL SELECT 'generation', g.id, 'shown', 'instruction', i.id FROM generations g CROSS JOIN LATERAL unnest(g.instruction_ids) AS i(id);
COMMENT ON VIEW lineage.edges IS 'The lineage graph: each row points from a thing to one that it came from.';

CREATE FUNCTION lineage.ancestors(kind text, id uuid) RETURNS TABLE (ancestor_kind text, ancestor_id uuid)
LANGUAGE sql STABLE ROWS 500 AS $$
  WITH RECURSIVE above (kind, id) AS (
    SELECT e.parent_kind, e.parent_id FROM lineage.edges e
    WHERE e.child_kind = ancestors.kind AND e.child_id = ancestors.id
    UNION
    SELECT e.parent_kind, e.parent_id FROM above a
    CROSS JOIN LATERAL ( -- OFFSET 0 makes each step look up one thing's edges by their indexes
      SELECT * FROM lineage.edges e WHERE e.child_kind = a.kind AND e.child_id = a.id OFFSET 0
    ) e
  )
  SELECT above.kind, above.id FROM above
$$;
COMMENT ON FUNCTION lineage.ancestors IS 'All that a thing came from, each once, down to models, prompt templates and seed tasks.';

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dataset_reader') THEN
    CREATE ROLE dataset_reader NOLOGIN;
  END IF;
EXCEPTION
  WHEN duplicate_object OR unique_violation THEN NULL;
  WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'the role dataset_reader is missing and this user may not create it'
      USING HINT = 'As a user with CREATEROLE run: CREATE ROLE dataset_reader NOLOGIN';
END
$$;
GRANT USAGE ON SCHEMA lineage TO dataset_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA lineage TO dataset_reader;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA lineage FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lineage TO dataset_reader;
