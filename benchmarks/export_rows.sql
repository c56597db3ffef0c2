-- A judgement of :examples wanted examples, with the least that an export asks for: one LM call for each, which wrote
-- the instruction, the instance and both outputs. The same rows every time.
SET session_replication_role = replica;  -- no triggers: the rows are sound by construction
SET synchronous_commit = off;

CREATE FUNCTION pg_temp.rid(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN md5(kind || n)::uuid;

CREATE TEMP TABLE made AS
SELECT r.id AS run_id, j.id AS judgement_id, (SELECT id FROM models LIMIT 1) AS model_id,
  (SELECT id FROM prompt_templates LIMIT 1) AS template_id,
  (SELECT array_agg(id) FROM (SELECT id FROM seed_tasks ORDER BY id LIMIT 8) shown) AS seed_task_ids,
  ARRAY['instance', 'qwen'] AS voices,
  repeat('Read it with care, and say in a few sentences what follows from it and why. ', 2) AS words
FROM runs r JOIN judgements j ON j.run_id = r.id;

INSERT INTO generations (
  id, run_id, work_item_id, attempt, stage, task_type, model_id, endpoint, template_id, seed_task_ids, instruction_ids,
  prompt, parameters, response, latency_s, worker
)
SELECT
  pg_temp.rid('call', n), run_id, pg_temp.rid('work', n), 0, 'instruction', 'input_output', model_id, 'http://lm',
  template_id, seed_task_ids, CASE WHEN n < 2 THEN '{}' ELSE ARRAY[pg_temp.rid('instruction', n / 2)] END, '', '{}', '',
  1, 'w'
FROM made, generate_series(1, %(examples)s) n;

INSERT INTO instructions (id, run_id, task_type, position, generation_id, text, state, accepted_order)
SELECT
  pg_temp.rid('instruction', n), run_id, 'input_output', n, pg_temp.rid('call', n), 'Task ' || n || '. ' || words,
  'accepted', n
FROM made, generate_series(1, %(examples)s) n;

INSERT INTO instances (id, run_id, task_type, instruction_id, generation_id, input, state)
SELECT
  pg_temp.rid('instance', n), run_id, 'input_output', pg_temp.rid('instruction', n), pg_temp.rid('call', n),
  words || n, 'accepted'
FROM made, generate_series(1, %(examples)s) n;

INSERT INTO candidates (id, run_id, instance_id, number, voice, generation_id, output, state)
SELECT
  pg_temp.rid('candidate ' || v, n), run_id, pg_temp.rid('instance', n), v, voices[v + 1], pg_temp.rid('call', n),
  words || v, 'accepted'
FROM made, generate_series(1, %(examples)s) n, generate_series(0, 1) v;

INSERT INTO verdicts (
  id, run_id, judgement_id, instance_id, candidate_ids, scores, exact_match, margin, choice_id, state
)
SELECT
  pg_temp.rid('verdict', n), run_id, judgement_id, pg_temp.rid('instance', n),
  ARRAY[pg_temp.rid('candidate 0', n), pg_temp.rid('candidate 1', n)],
  jsonb_build_array(jsonb_build_array(1, n %% 100 / 100.0), jsonb_build_array(n %% 100 / 100.0, 1)), false, 0,
  pg_temp.rid('candidate 0', n), 'accepted'
FROM made, generate_series(1, %(examples)s) n;

INSERT INTO examples (
  id, run_id, judgement_id, task_type, position, instance_id, verdict_id, candidate_id, instruction, input, output
)
SELECT
  pg_temp.rid('example', n), run_id, judgement_id, 'input_output', n, pg_temp.rid('instance', n),
  pg_temp.rid('verdict', n), pg_temp.rid('candidate 0', n), 'Task ' || n || '. ' || words, words || n,
  repeat(words, 2) || n
FROM made, generate_series(1, %(examples)s) n;

SET session_replication_role = origin;
