-- What is made of something retracted is marked as it is written, in its writer's transaction. Writers have no rights to
-- the marks: both functions act for the owner of the tables, who alone may make triggers of them.

-- The trigger's arguments say what the new records are, and which of their columns name what they came from.
CREATE FUNCTION mark_made() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM retractions WHERE undone_at IS NULL) THEN
    RETURN NULL;
  END IF;
  EXECUTE concat(
    'WITH made AS MATERIALIZED (
      SELECT c.id, parent.id AS parent_id FROM changed c CROSS JOIN LATERAL unnest(', TG_ARGV[1], ') AS parent (id)
    ), marked AS MATERIALIZED ( -- OFFSET 0: each parent is looked up by its index, however many marks there are
      SELECT m.* FROM (SELECT DISTINCT parent_id FROM made) p CROSS JOIN LATERAL (
        SELECT r.record_id, r.retraction_id, r.distance
        FROM retracted_records r JOIN retractions t ON t.id = r.retraction_id
        WHERE r.record_id = p.parent_id AND t.undone_at IS NULL OFFSET 0
      ) m
    )
    INSERT INTO retracted_records (record_id, retraction_id, kind, distance)
    SELECT made.id, marked.retraction_id, ', quote_literal(TG_ARGV[0]), ', min(marked.distance) + 1
    FROM made JOIN marked ON marked.record_id = made.parent_id GROUP BY made.id, marked.retraction_id
    ON CONFLICT DO NOTHING');
  RETURN NULL;
END
$$;

-- A record that is made anew has the key that it had, and may come of something else.
CREATE FUNCTION unmark_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  DELETE FROM retracted_records m USING changed c WHERE m.record_id = c.id;
  RETURN NULL;
END
$$;

REVOKE EXECUTE ON FUNCTION mark_made(), unmark_deleted() FROM PUBLIC;

CREATE TRIGGER mark_generations AFTER INSERT ON generations REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION mark_made('generation', 'c.seed_task_ids || c.instruction_ids || ARRAY[c.model_id, c.server_id, c.template_id]');
CREATE TRIGGER mark_instructions AFTER INSERT ON instructions REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION mark_made('instruction', 'ARRAY[c.generation_id]');
CREATE TRIGGER mark_instances AFTER INSERT ON instances REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION mark_made('instance', 'ARRAY[c.instruction_id, c.generation_id]');
CREATE TRIGGER mark_candidates AFTER INSERT ON candidates REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION mark_made('candidate', 'ARRAY[c.instance_id, c.generation_id]');
CREATE TRIGGER mark_verdicts AFTER INSERT ON verdicts REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION mark_made('verdict', 'c.candidate_ids');
CREATE TRIGGER mark_examples AFTER INSERT ON examples REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION mark_made('example', 'ARRAY[c.verdict_id, c.candidate_id, c.instance_id]');
CREATE TRIGGER mark_servers AFTER INSERT ON servers REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION mark_made('server', 'ARRAY[c.model_id]');
CREATE TRIGGER unmark_instances AFTER DELETE ON instances
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION unmark_deleted();
CREATE TRIGGER unmark_candidates AFTER DELETE ON candidates
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION unmark_deleted();
CREATE TRIGGER unmark_verdicts AFTER DELETE ON verdicts
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION unmark_deleted();

-- As it was, except that what was shown to many calls, or compared, is looked up one thing at a time only while it is
-- few things: of many, all edges are read once.
CREATE OR REPLACE FUNCTION lineage.descendants(kind text, id uuid)
RETURNS TABLE (descendant_kind text, descendant_id uuid, distance integer) LANGUAGE plpgsql STABLE ROWS 5000
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  few CONSTANT integer := 2000;
  kinds text[] := ARRAY[kind];
  ids uuid[] := ARRAY[id];
  seen uuid[] := ARRAY[id];
  instructions uuid[];
  candidates uuid[];
BEGIN
  distance := 0;
  LOOP
    instructions := ARRAY(SELECT f.id FROM unnest(kinds, ids) AS f (kind, id) WHERE f.kind = 'instruction');
    candidates := ARRAY(SELECT f.id FROM unnest(kinds, ids) AS f (kind, id) WHERE f.kind = 'candidate');
    SELECT array_agg(r.child_kind), array_agg(r.child_id) INTO kinds, ids FROM (
      SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'model' = ANY (kinds) AND e.parent_kind = 'model'
        AND e.parent_id = ANY (ids)
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'server' = ANY (kinds) AND e.parent_kind = 'server'
        AND e.parent_id = ANY (ids)
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'prompt_template' = ANY (kinds) AND e.parent_kind = 'prompt_template'
        AND e.parent_id = ANY (ids)
      UNION SELECT 'generation', g.id FROM unnest(kinds, ids) AS f (kind, id) CROSS JOIN LATERAL (
        SELECT p.id FROM lineage.generations p WHERE p.seed_task_ids @> ARRAY[f.id] OFFSET 0
      ) g WHERE f.kind = 'seed_task'
      UNION SELECT 'generation', g.id FROM unnest(instructions) AS f (id) CROSS JOIN LATERAL (
        SELECT p.id FROM lineage.generations p WHERE p.instruction_ids @> ARRAY[f.id] OFFSET 0
      ) g WHERE cardinality(instructions) <= few
      UNION SELECT e.child_kind, e.child_id FROM unnest(instructions) AS f (id) JOIN lineage.edges e
        ON e.child_kind = 'generation' AND e.relation = 'shown' AND e.parent_kind = 'instruction' AND e.parent_id = f.id
      WHERE cardinality(instructions) > few
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'instruction' = ANY (kinds) AND e.parent_kind = 'instruction' AND e.relation = 'carries_out'
        AND e.parent_id = ANY (instructions)
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'generation' = ANY (kinds) AND e.parent_kind = 'generation'
        AND e.parent_id = ANY (ids)
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'instance' = ANY (kinds) AND e.parent_kind = 'instance'
        AND e.parent_id = ANY (ids)
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'candidate' = ANY (kinds) AND e.parent_kind = 'candidate' AND e.relation = 'output_from'
        AND e.parent_id = ANY (candidates)
      UNION SELECT 'verdict', v.id FROM unnest(candidates) AS f (id) JOIN lineage.candidates c ON c.id = f.id
      CROSS JOIN LATERAL (
        SELECT w.id FROM lineage.verdicts w WHERE w.instance_id = c.instance_id AND c.id = ANY (w.candidate_ids) OFFSET 0
      ) v WHERE cardinality(candidates) <= few
      UNION SELECT e.child_kind, e.child_id FROM unnest(candidates) AS f (id) JOIN lineage.edges e
        ON e.child_kind = 'verdict' AND e.relation = 'compared' AND e.parent_kind = 'candidate' AND e.parent_id = f.id
      WHERE cardinality(candidates) > few
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'verdict' = ANY (kinds) AND e.parent_kind = 'verdict'
        AND e.parent_id = ANY (ids)
    ) AS r (child_kind, child_id)
    WHERE NOT EXISTS (SELECT FROM unnest(seen) AS s (id) WHERE s.id = r.child_id);
    EXIT WHEN ids IS NULL;
    distance := distance + 1;
    RETURN QUERY SELECT f.kind, f.id, distance FROM unnest(kinds, ids) AS f (kind, id);
    seen := seen || ids;
  END LOOP;
END
$$;

CREATE VIEW lineage.retractions AS
SELECT
  t.id AS retraction, t.kind, t.what, t.reason, t.retracted_by, t.created_at, t.marked_at, t.undone_at, t.undone_by,
  t.undone_reason,
  (SELECT count(*) FROM retracted_records m WHERE m.retraction_id = t.id AND m.kind = 'example') AS examples,
  (
    SELECT jsonb_object_agg(k.kind, k.records) FROM (
      SELECT m.kind, count(*) AS records FROM retracted_records m WHERE m.retraction_id = t.id GROUP BY m.kind
    ) k
  ) AS records
FROM retractions t;
COMMENT ON VIEW lineage.retractions IS 'Every retraction: what it names, who made it and why, how much it marks, and whether it is undone.';

CREATE VIEW lineage.retracted_records AS
SELECT
  m.kind, m.record_id, m.retraction_id AS retraction, m.distance, t.reason, t.undone_at IS NOT NULL AS undone
FROM retracted_records m JOIN retractions t ON t.id = m.retraction_id;
COMMENT ON VIEW lineage.retracted_records IS 'Every record that a retraction marks. It is retracted if one of its retractions is not undone.';

CREATE OR REPLACE VIEW lineage.examples AS
SELECT
  e.id, e.run_id, r.name AS run, j.number AS judgement, e.task_type, e.position, e.instruction, e.input, e.output,
  e.surplus, j.rule, j.threshold, v.exact_match, v.margin, cardinality(v.candidate_ids) AS candidates, v.scores,
  c.voice AS chosen_voice, m.name AS chosen_model,
  e.verdict_id, e.candidate_id, e.instance_id, n.instruction_id, e.created_at,
  EXISTS (
    SELECT FROM retracted_records m JOIN retractions t ON t.id = m.retraction_id
    WHERE m.record_id = e.id AND m.kind = 'example' AND t.undone_at IS NULL
  ) AS retracted
FROM examples e
JOIN runs r ON r.id = e.run_id
JOIN judgements j ON j.id = e.judgement_id
JOIN verdicts v ON v.id = e.verdict_id
JOIN candidates c ON c.id = e.candidate_id
JOIN instances n ON n.id = e.instance_id
JOIN generations g ON g.id = c.generation_id
JOIN models m ON m.id = g.model_id;

CREATE OR REPLACE VIEW lineage.instructions AS
SELECT
  i.id, i.run_id, r.name AS run, i.task_type, i.position, i.text, i.state, i.reason, i.accepted_order,
  i.max_similarity, i.most_similar, i.generation_id, i.created_at,
  EXISTS (
    SELECT FROM retracted_records m JOIN retractions t ON t.id = m.retraction_id
    WHERE m.record_id = i.id AND m.kind = 'instruction' AND t.undone_at IS NULL
  ) AS retracted
FROM instructions i JOIN runs r ON r.id = i.run_id;

COMMENT ON COLUMN lineage.examples.retracted IS 'Whether it came of something retracted, and is left out of exports.';
COMMENT ON COLUMN lineage.instructions.retracted IS 'Whether it came of something retracted, and is shown in no later prompt.';
COMMENT ON COLUMN lineage.retractions.retraction IS 'Its number.';
COMMENT ON COLUMN lineage.retractions.kind IS 'What it names: a seed_task, model, prompt_template, instruction or example.';
COMMENT ON COLUMN lineage.retractions.what IS 'The name of it, as it was given.';
COMMENT ON COLUMN lineage.retractions.reason IS 'Why.';
COMMENT ON COLUMN lineage.retractions.retracted_by IS 'Who retracted it.';
COMMENT ON COLUMN lineage.retractions.created_at IS 'When.';
COMMENT ON COLUMN lineage.retractions.marked_at IS 'Since when its marks are whole; null while some writer may not have heard of it.';
COMMENT ON COLUMN lineage.retractions.undone_at IS 'When it was undone; null while it is in force.';
COMMENT ON COLUMN lineage.retractions.undone_by IS 'Who undid it.';
COMMENT ON COLUMN lineage.retractions.undone_reason IS 'Why it was undone, if that was said.';
COMMENT ON COLUMN lineage.retractions.examples IS 'How many examples it marks, surplus and further judgements included.';
COMMENT ON COLUMN lineage.retractions.records IS 'How many records of each kind it marks.';
COMMENT ON COLUMN lineage.retracted_records.kind IS 'What the record is.';
COMMENT ON COLUMN lineage.retracted_records.record_id IS 'The record.';
COMMENT ON COLUMN lineage.retracted_records.retraction IS 'The retraction that marks it.';
COMMENT ON COLUMN lineage.retracted_records.distance IS 'The fewest edges to what the retraction names; 0 for that itself.';
COMMENT ON COLUMN lineage.retracted_records.reason IS 'Why the retraction was made.';
COMMENT ON COLUMN lineage.retracted_records.undone IS 'Whether the retraction is undone.';

GRANT SELECT ON lineage.retractions, lineage.retracted_records TO dataset_reader;
