-- A record's run, model, prompt template and judgement are those of the row of totals in which it is counted, in the
-- same statement; that row has the foreign keys. So each is checked once for a kind of record, and not for each record.
ALTER TABLE generations
  DROP CONSTRAINT fk_generations_run_id,
  DROP CONSTRAINT fk_generations_model_id,
  DROP CONSTRAINT fk_generations_template_id;
ALTER TABLE instructions DROP CONSTRAINT fk_instructions_run_id;
ALTER TABLE instances DROP CONSTRAINT fk_instances_run_id;
ALTER TABLE candidates DROP CONSTRAINT fk_candidates_run_id;
ALTER TABLE verdicts DROP CONSTRAINT fk_verdicts_run_id, DROP CONSTRAINT fk_verdicts_judgement_id;
ALTER TABLE examples DROP CONSTRAINT fk_examples_run_id, DROP CONSTRAINT fk_examples_judgement_id;

CREATE FUNCTION refuse_other_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE foreign_key_violation USING MESSAGE = concat('what ', TG_TABLE_NAME, ' belongs to never changes');
END
$$;

CREATE TRIGGER refuse_other_owner BEFORE UPDATE OF run_id, model_id, template_id ON generations
  FOR EACH ROW EXECUTE FUNCTION refuse_other_owner();
CREATE TRIGGER refuse_other_owner BEFORE UPDATE OF run_id ON instructions
  FOR EACH ROW EXECUTE FUNCTION refuse_other_owner();
CREATE TRIGGER refuse_other_owner BEFORE UPDATE OF run_id ON instances
  FOR EACH ROW EXECUTE FUNCTION refuse_other_owner();
CREATE TRIGGER refuse_other_owner BEFORE UPDATE OF run_id ON candidates
  FOR EACH ROW EXECUTE FUNCTION refuse_other_owner();
CREATE TRIGGER refuse_other_owner BEFORE UPDATE OF run_id, judgement_id ON verdicts
  FOR EACH ROW EXECUTE FUNCTION refuse_other_owner();
CREATE TRIGGER refuse_other_owner BEFORE UPDATE OF run_id, judgement_id ON examples
  FOR EACH ROW EXECUTE FUNCTION refuse_other_owner();

-- Where the tables were made by an earlier version, its message named no id.
CREATE OR REPLACE FUNCTION check_demonstrations() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- A statement's rows are few, and what they refer to is looked up by key. Before the tables were first analysed,
-- Postgres read all of them for each statement.
ALTER FUNCTION check_demonstrations() SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off;
ALTER FUNCTION count_instructions() SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off;
ALTER FUNCTION count_instances() SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off;
ALTER FUNCTION count_candidates() SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off;
ALTER FUNCTION count_verdicts() SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off;
ALTER FUNCTION add_examples(uuid[], boolean, integer)
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off;
