-- Each key that was shown is looked up once for a statement, however many of its calls were shown it.
CREATE OR REPLACE FUNCTION check_demonstrations() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
  missing uuid;
BEGIN
  SELECT shown.id INTO missing
  FROM (SELECT DISTINCT unnest(seed_task_ids) AS id FROM new_generations) shown
  WHERE NOT EXISTS (SELECT FROM seed_tasks s WHERE s.id = shown.id) LIMIT 1;
  IF missing IS NULL THEN
    SELECT shown.id INTO missing
    FROM (SELECT DISTINCT unnest(instruction_ids) AS id FROM new_generations) shown
    WHERE NOT EXISTS (SELECT FROM instructions i WHERE i.id = shown.id) LIMIT 1;
  END IF;
  IF missing IS NOT NULL THEN
    RAISE foreign_key_violation USING MESSAGE = concat('a generation shows ', missing, ', which is not in the store');
  END IF;
  RETURN NULL;
END
$$;

-- A seed task's part: the examples whose instruction was written by a call that showed it.
CREATE OR REPLACE FUNCTION add_examples(ids uuid[], as_surplus boolean, sign integer) RETURNS void LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
BEGIN
  PERFORM add_to_totals(array_agg(g::record_group), sign) FROM (
    SELECT
      e.run_id, 'example', e.judgement_id, e.task_type, c.voice, g.model_id, g.template_id,
      CASE WHEN as_surplus THEN 'surplus' ELSE 'wanted' END, NULL, count(*)
    FROM examples e JOIN candidates c ON c.id = e.candidate_id LEFT JOIN generations g ON g.id = c.generation_id
    WHERE e.id = ANY (ids)
    GROUP BY e.run_id, e.judgement_id, e.task_type, c.voice, g.model_id, g.template_id
  ) g;
  IF NOT as_surplus THEN
    INSERT INTO seed_totals AS t (judgement_id, seed_task_id, examples)
    SELECT of_one.judgement_id, of_one.seed_task_id, sign * count(*) FROM (
      SELECT DISTINCT e.judgement_id, e.id, unnest(g.seed_task_ids) AS seed_task_id
      FROM examples e JOIN instances n ON n.id = e.instance_id JOIN instructions i ON i.id = n.instruction_id
      JOIN generations g ON g.id = i.generation_id
      WHERE e.id = ANY (ids)
    ) of_one
    GROUP BY of_one.judgement_id, of_one.seed_task_id ORDER BY of_one.judgement_id, of_one.seed_task_id
    ON CONFLICT (judgement_id, seed_task_id) DO UPDATE SET examples = t.examples + excluded.examples;
  END IF;
END
$$;

-- For databases that were made before 0011 gave it: what was given up is put back by operators, too.
GRANT DELETE ON verdicts TO ensemble_operator;
