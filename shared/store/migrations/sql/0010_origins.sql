-- What was made elsewhere: instructions, instances and candidates come from an LM call or from an origin, a record of a
-- file that was imported.

CREATE OR REPLACE VIEW lineage.candidates AS
SELECT
  c.id, c.run_id, c.instance_id, c.number, c.voice, m.name AS model, c.output, c.state, c.reason,
  coalesce(0 = ANY (chosen.judgements), false) AS chosen, coalesce(chosen.judgements, '{}') AS chosen_in,
  c.generation_id, c.created_at, c.origin_id
FROM candidates c
LEFT JOIN generations g ON g.id = c.generation_id
LEFT JOIN models m ON m.id = g.model_id
CROSS JOIN LATERAL (
  SELECT array_agg(j.number ORDER BY j.number) AS judgements
  FROM verdicts v JOIN judgements j ON j.id = v.judgement_id WHERE v.choice_id = c.id
) chosen;

CREATE OR REPLACE VIEW lineage.instructions AS
SELECT
  i.id, i.run_id, r.name AS run, i.task_type, i.position, i.text, i.state, i.reason, i.accepted_order,
  i.max_similarity, i.most_similar, i.generation_id, i.created_at,
  EXISTS (
    SELECT FROM retracted_records m JOIN retractions t ON t.id = m.retraction_id
    WHERE m.record_id = i.id AND m.kind = 'instruction' AND t.undone_at IS NULL
  ) AS retracted,
  i.origin_id
FROM instructions i JOIN runs r ON r.id = i.run_id;

CREATE OR REPLACE VIEW lineage.instances AS
SELECT
  n.id, n.run_id, r.name AS run, n.task_type, n.instruction_id, n.input, n.state, n.reason, n.generation_id, n.created_at,
  n.origin_id
FROM instances n JOIN runs r ON r.id = n.run_id;

CREATE VIEW lineage.origin_files AS
SELECT
  f.id, f.run_id, r.name AS run, f.number, f.voice, f.name AS file, f.sha256, f.source, f.licence, f.records, f.created_at
FROM origin_files f JOIN runs r ON r.id = f.run_id;
COMMENT ON VIEW lineage.origin_files IS 'Every file that was imported.';

CREATE VIEW lineage.origins AS
SELECT
  o.id, f.run_id, r.name AS run, o.file_id, f.name AS file, o.number, o.line, f.source, f.licence, o.record, f.created_at
FROM origins o JOIN origin_files f ON f.id = o.file_id JOIN runs r ON r.id = f.run_id;
COMMENT ON VIEW lineage.origins IS 'Every record of an imported file, as it stood there: the root of what was made of it.';

CREATE OR REPLACE VIEW lineage.edges AS
SELECT 'example' AS child_kind, id AS child_id, 'decided_by' AS relation, 'verdict' AS parent_kind, verdict_id AS parent_id
FROM examples
UNION ALL SELECT 'example', id, 'output_from', 'candidate', candidate_id FROM examples
UNION ALL SELECT 'example', id, 'made_from', 'instance', instance_id FROM examples
UNION ALL SELECT 'verdict', v.id, 'compared', 'candidate', c.id FROM verdicts v CROSS JOIN LATERAL unnest(v.candidate_ids) AS c(id)
UNION ALL SELECT 'candidate', id, 'answers', 'instance', instance_id FROM candidates
UNION ALL SELECT 'candidate', id, 'written_by', 'generation', generation_id FROM candidates WHERE generation_id IS NOT NULL
UNION ALL SELECT 'instance', id, 'carries_out', 'instruction', instruction_id FROM instances
UNION ALL SELECT 'instance', id, 'written_by', 'generation', generation_id FROM instances WHERE generation_id IS NOT NULL
UNION ALL SELECT 'instruction', id, 'written_by', 'generation', generation_id FROM instructions WHERE generation_id IS NOT NULL
UNION ALL SELECT 'generation', id, 'asked', 'model', model_id FROM generations
UNION ALL SELECT 'generation', id, 'answered_by', 'server', server_id FROM generations WHERE server_id IS NOT NULL
UNION ALL SELECT 'server', id, 'serves', 'model', model_id FROM servers
UNION ALL SELECT 'generation', id, 'rendered_from', 'prompt_template', template_id FROM generations
UNION ALL SELECT 'generation', g.id, 'shown', 'seed_task', s.id FROM generations g CROSS JOIN LATERAL unnest(g.seed_task_ids) AS s(id)
UNION ALL SELECT 'generation', g.id, 'shown', 'instruction', i.id FROM generations g CROSS JOIN LATERAL unnest(g.instruction_ids) AS i(id)
UNION ALL SELECT 'instruction', id, 'imported_from', 'origin', origin_id FROM instructions WHERE origin_id IS NOT NULL
UNION ALL SELECT 'instance', id, 'imported_from', 'origin', origin_id FROM instances WHERE origin_id IS NOT NULL
UNION ALL SELECT 'candidate', id, 'imported_from', 'origin', origin_id FROM candidates WHERE origin_id IS NOT NULL
UNION ALL SELECT 'origin', id, 'stands_in', 'origin_file', file_id FROM origins;

CREATE OR REPLACE FUNCTION lineage.ancestors(kind text, id uuid)
RETURNS TABLE (ancestor_kind text, ancestor_id uuid, distance integer) LANGUAGE plpgsql STABLE ROWS 500 AS $$
DECLARE
  kinds text[] := ARRAY[kind];
  ids uuid[] := ARRAY[id];
  seen uuid[] := ARRAY[id];
BEGIN
  distance := 0;
  LOOP
    SELECT array_agg(r.parent_kind), array_agg(r.parent_id) INTO kinds, ids FROM (
      SELECT e.parent_kind, e.parent_id FROM lineage.edges e
      WHERE 'example' = ANY (kinds) AND e.child_kind = 'example' AND e.child_id = ANY (ids)
      UNION SELECT e.parent_kind, e.parent_id FROM lineage.edges e
      WHERE 'verdict' = ANY (kinds) AND e.child_kind = 'verdict' AND e.child_id = ANY (ids)
      UNION SELECT e.parent_kind, e.parent_id FROM lineage.edges e
      WHERE 'candidate' = ANY (kinds) AND e.child_kind = 'candidate' AND e.child_id = ANY (ids)
      UNION SELECT e.parent_kind, e.parent_id FROM lineage.edges e
      WHERE 'instance' = ANY (kinds) AND e.child_kind = 'instance' AND e.child_id = ANY (ids)
      UNION SELECT e.parent_kind, e.parent_id FROM lineage.edges e
      WHERE 'instruction' = ANY (kinds) AND e.child_kind = 'instruction' AND e.child_id = ANY (ids)
      UNION SELECT e.parent_kind, e.parent_id FROM lineage.edges e
      WHERE 'generation' = ANY (kinds) AND e.child_kind = 'generation' AND e.child_id = ANY (ids)
      UNION SELECT e.parent_kind, e.parent_id FROM lineage.edges e
      WHERE 'server' = ANY (kinds) AND e.child_kind = 'server' AND e.child_id = ANY (ids)
      UNION SELECT e.parent_kind, e.parent_id FROM lineage.edges e
      WHERE 'origin' = ANY (kinds) AND e.child_kind = 'origin' AND e.child_id = ANY (ids)
    ) AS r (parent_kind, parent_id)
    WHERE NOT EXISTS (SELECT FROM unnest(seen) AS s (id) WHERE s.id = r.parent_id);
    EXIT WHEN ids IS NULL;
    distance := distance + 1;
    RETURN QUERY SELECT f.kind, f.id, distance FROM unnest(kinds, ids) AS f (kind, id);
    seen := seen || ids;
  END LOOP;
END
$$;
COMMENT ON FUNCTION lineage.ancestors IS 'All that a thing came from, each once with its distance (the fewest edges to it), down to models, prompt templates, seed tasks and imported files.';

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
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'origin_file' = ANY (kinds) AND e.parent_kind = 'origin_file'
        AND e.parent_id = ANY (ids)
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'origin' = ANY (kinds) AND e.parent_kind = 'origin'
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

DO $$
DECLARE
  word record;
BEGIN
  FOR word IN
    SELECT * FROM (VALUES
      ('instructions', 'generation_id', 'The LM call that wrote it; null if it was imported.'),
      ('instances', 'generation_id', 'The LM call that wrote it; null if none was answered, or if it was imported.'),
      ('candidates', 'generation_id', 'The LM call that wrote it; null if none was answered, or if it was imported.'),
      ('instructions', 'origin_id', 'The imported record that it stood in; null if an LM wrote it.'),
      ('instances', 'origin_id', 'The imported record that it stood in; null if an LM wrote it.'),
      ('candidates', 'origin_id', 'The imported record that it stood in; null if an LM wrote it.'),
      ('candidates', 'voice', 'Which of the run''s voices spoke; instance is the instance''s own output, and an imported file is a voice.'),
      ('examples', 'chosen_model', 'Which model wrote the output; null if it was imported.'),
      ('edges', 'relation', 'How: decided_by, output_from, made_from, compared, answers, carries_out, written_by, asked, answered_by, serves, rendered_from, shown, imported_from or stands_in.'),
      ('retractions', 'kind', 'What it names: a seed_task, model, prompt_template, instruction, example, origin or origin_file.'),
      ('origin_files', 'id', 'The file, in this run.'),
      ('origin_files', 'run_id', 'The run that it was imported as.'),
      ('origin_files', 'run', 'The run''s name.'),
      ('origin_files', 'number', 'Its place among the run''s files: 0 has the instances with their own outputs, later ones further outputs.'),
      ('origin_files', 'voice', 'The voice that its outputs are.'),
      ('origin_files', 'file', 'Its name, without folders.'),
      ('origin_files', 'sha256', 'The SHA-256 of its bytes.'),
      ('origin_files', 'source', 'Where it is from, as whoever imported it said.'),
      ('origin_files', 'licence', 'Its licence, as whoever imported it said.'),
      ('origin_files', 'records', 'How many records it holds.'),
      ('origin_files', 'created_at', 'When it was imported.'),
      ('origins', 'id', 'The record.'),
      ('origins', 'run_id', 'The run that it was imported as.'),
      ('origins', 'run', 'The run''s name.'),
      ('origins', 'file_id', 'The file that it stands in.'),
      ('origins', 'file', 'The file''s name, without folders.'),
      ('origins', 'number', 'Its place in the file, from 1.'),
      ('origins', 'line', 'The line in which it begins, from 1.'),
      ('origins', 'source', 'Where the file is from, as whoever imported it said.'),
      ('origins', 'licence', 'The file''s licence, as whoever imported it said.'),
      ('origins', 'record', 'The record as JSON, word for word.'),
      ('origins', 'created_at', 'When it was imported.')
    ) AS said (view, name, text)
  LOOP
    EXECUTE concat('COMMENT ON COLUMN lineage.', quote_ident(word.view), '.', quote_ident(word.name), ' IS ',
      quote_literal(word.text));
  END LOOP;
END
$$;

GRANT SELECT ON ALL TABLES IN SCHEMA lineage TO dataset_reader;

ALTER TABLE retractions DROP CONSTRAINT ck_retractions_kind;
ALTER TABLE retractions ADD CONSTRAINT ck_retractions_kind
  CHECK (kind IN ('seed_task', 'model', 'prompt_template', 'instruction', 'example', 'origin', 'origin_file'));
