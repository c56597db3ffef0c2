-- A run of about :examples examples, as it would lie in the tables: what was refused, failed and left over included.
-- Of five proposals three are accepted; of 25 instances one is rejected; of ten verdicts six make an example.
-- Each record's key is the md5 of its kind and number, and what is drawn by lot is a hash: the same rows every time.
SET session_replication_role = replica;  -- no triggers: the rows are sound by construction
SET synchronous_commit = off;

CREATE FUNCTION pg_temp.rid(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN md5(kind || n)::uuid;

CREATE FUNCTION pg_temp.lot(n bigint, k bigint, sides bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (hashint8extended(n, k) & 9223372036854775807) %% greatest(sides, 1);

CREATE FUNCTION pg_temp.proposal_of(accepted bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN accepted / 3 * 5 + accepted %% 3;

CREATE TEMP TABLE made AS
SELECT
  r.id AS run_id,
  ARRAY(SELECT seed_task_id FROM run_seeds s WHERE s.run_id = r.id ORDER BY position) AS seeds,
  ARRAY(SELECT m.id FROM models m WHERE m.run_id = r.id ORDER BY name) AS models,
  ARRAY(SELECT t.id FROM prompt_templates t ORDER BY t.name) AS templates,
  CAST(%(examples)s * 3.0 AS bigint) AS proposals,
  repeat('Come up with a task, and write it down in one sentence. ', 20) AS prompt
FROM runs r;

INSERT INTO servers (id, model_id, endpoint, served_model, model_revision)
SELECT pg_temp.rid('server', n), made.models[n], 'http://lm-' || n, 'org/model-' || n, md5(n::text)
FROM made, generate_subscripts(models, 1) AS n;

INSERT INTO generations (
  id, run_id, work_item_id, attempt, stage, task_type, model_id, endpoint, server_id, template_id, seed_task_ids,
  instruction_ids, prompt, parameters, seed, response, finish_reason, fault, prompt_tokens, completion_tokens,
  latency_s, worker
)
SELECT
  pg_temp.rid('proposing', n), run_id, pg_temp.rid('work', n), 0, 'instruction',
  CASE WHEN n %% 3 = 0 THEN 'output_only' ELSE 'input_output' END, models[1], 'http://lm-1',
  pg_temp.rid('server', 1), templates[3 + n %% 2],
  ARRAY(SELECT seeds[1 + pg_temp.lot(n, k, cardinality(seeds))] FROM generate_series(1, 8) k),
  CASE WHEN n < 10 THEN '{}' ELSE ARRAY(
    SELECT pg_temp.rid('instruction', pg_temp.proposal_of(pg_temp.lot(n, k, n / 5 * 3))) FROM generate_series(9, 10) k
  ) END,
  prompt, '{"temperature": 0.7}', n, 'Write about ' || n, 'stop', NULL, 600, 30, 1.5, 'worker-' || n %% 8
FROM made, generate_series(0, proposals - 1) AS n;

INSERT INTO instructions (
  id, run_id, task_type, position, generation_id, text, state, reason, accepted_order, max_similarity, most_similar
)
SELECT
  pg_temp.rid('instruction', n), run_id, CASE WHEN n %% 3 = 0 THEN 'output_only' ELSE 'input_output' END, n,
  pg_temp.rid('proposing', n), 'Write about number ' || n || ', and say why it matters.',
  CASE WHEN n %% 5 < 3 THEN 'accepted' ELSE 'rejected' END,
  CASE WHEN n %% 5 = 3 THEN 'not_novel' WHEN n %% 5 = 4 THEN (ARRAY['too_short', 'too_long', 'truncated'])[1 + n %% 3] END,
  CASE WHEN n %% 5 < 3 THEN n / 5 * 3 + n %% 5 END, pg_temp.lot(n, 11, 100) / 100.0,
  jsonb_build_array(jsonb_build_object(
    'id', pg_temp.rid('instruction', pg_temp.proposal_of(pg_temp.lot(n, 12, n / 5 * 3))), 'score', 0.7))
FROM made, generate_series(0, proposals - 1) AS n;

CREATE TEMP TABLE accepted AS
SELECT j, pg_temp.proposal_of(j) AS n, j %% 25 <> 0 AS sound
FROM made, generate_series(0, proposals / 5 * 3 - 1) AS j;

INSERT INTO generations (
  id, run_id, work_item_id, attempt, stage, task_type, model_id, endpoint, server_id, template_id, seed_task_ids,
  instruction_ids, prompt, parameters, seed, response, finish_reason, fault, prompt_tokens, completion_tokens,
  latency_s, worker
)
SELECT
  pg_temp.rid('instancing', n), run_id, pg_temp.rid('instance work', n), 0, 'instance',
  CASE WHEN n %% 3 = 0 THEN 'output_only' ELSE 'input_output' END, models[1], 'http://lm-1',
  pg_temp.rid('server', 1), templates[1 + n %% 2],
  ARRAY(SELECT seeds[1 + pg_temp.lot(n, k, cardinality(seeds))] FROM generate_series(21, 26) k), '{}',
  prompt, '{"temperature": 0.7}', n, 'An output', 'stop', NULL, 450, 60, 1.5, 'worker-' || n %% 8
FROM made, accepted;

INSERT INTO instances (id, run_id, task_type, instruction_id, generation_id, input, state, reason)
SELECT
  pg_temp.rid('instance', n), run_id, CASE WHEN n %% 3 = 0 THEN 'output_only' ELSE 'input_output' END,
  pg_temp.rid('instruction', n), pg_temp.rid('instancing', n), 'the number ' || n,
  CASE WHEN sound THEN 'accepted' ELSE 'rejected' END, CASE WHEN NOT sound THEN 'empty_input' END
FROM made, accepted;

INSERT INTO generations (
  id, run_id, work_item_id, attempt, stage, task_type, model_id, endpoint, server_id, template_id, seed_task_ids,
  instruction_ids, prompt, parameters, seed, response, finish_reason, fault, prompt_tokens, completion_tokens,
  latency_s, worker
)
SELECT
  pg_temp.rid('output ' || v, n), run_id, pg_temp.rid('output work ' || v, n), 0, 'output',
  CASE WHEN n %% 3 = 0 THEN 'output_only' ELSE 'input_output' END, models[v], 'http://lm-' || v,
  pg_temp.rid('server', v), templates[cardinality(templates)], '{}', '{}',
  left(prompt, 300), '{"temperature": 0.7}', n, CASE WHEN (n + v) %% 50 > 0 THEN 'An answer' END, 'stop',
  CASE WHEN (n + v) %% 50 = 0 THEN 'refused_input' END, 120, 60, 1.5, 'worker-' || n %% 8
FROM made, accepted, generate_series(2, 4) AS v WHERE sound;

INSERT INTO candidates (id, run_id, instance_id, number, voice, generation_id, output, state, reason)
SELECT
  pg_temp.rid('candidate ' || v, n), run_id, pg_temp.rid('instance', n), v - 1,
  (ARRAY['instance', 'qwen', 'qwen-chat', 'zephyr'])[v],
  CASE WHEN v = 1 THEN pg_temp.rid('instancing', n) ELSE pg_temp.rid('output ' || v, n) END,
  CASE WHEN v = 1 OR (n + v) %% 50 > 0 THEN 'The answer to number ' || n END,
  CASE WHEN v = 1 OR (n + v) %% 50 > 0 THEN 'accepted' ELSE 'rejected' END,
  CASE WHEN v > 1 AND (n + v) %% 50 = 0 THEN 'refused_input' END
FROM made, accepted, generate_series(1, 4) AS v WHERE sound;

INSERT INTO verdicts (
  id, run_id, judgement_id, instance_id, candidate_ids, scores, exact_match, margin, choice_id, state, reason
)
SELECT
  pg_temp.rid('verdict', n), made.run_id, j.id, pg_temp.rid('instance', n),
  ARRAY(SELECT pg_temp.rid('candidate ' || v, n) FROM generate_series(1, 4) v WHERE v = 1 OR (n + v) %% 50 > 0),
  (SELECT jsonb_agg(row) FROM (
    SELECT jsonb_agg(CASE WHEN a = b THEN 1 ELSE pg_temp.lot(n, 40 + least(a, b) * 4 + greatest(a, b), 1000) / 1000.0 END)
    FROM generate_series(1, 4) a, generate_series(1, 4) b GROUP BY a ORDER BY a
  ) scores (row)), n %% 7 = 0,
  pg_temp.lot(n, 31, 100) / 100.0,
  CASE WHEN accepted.j %% 10 < 6 THEN pg_temp.rid('candidate 1', n) END,
  CASE WHEN accepted.j %% 10 < 6 THEN 'accepted' ELSE 'rejected' END,
  CASE WHEN accepted.j %% 10 >= 6 THEN 'disagreement' END
FROM made JOIN judgements j USING (run_id), accepted WHERE sound;

INSERT INTO examples (
  id, run_id, judgement_id, task_type, position, instance_id, verdict_id, candidate_id, instruction, input, output,
  surplus
)
SELECT
  pg_temp.rid('example', i.position), v.run_id, v.judgement_id, i.task_type, i.position, v.instance_id, v.id,
  v.choice_id, i.text, s.input, c.output, i.position %% 1000 = 0
FROM verdicts v JOIN instances s ON s.id = v.instance_id JOIN instructions i ON i.id = s.instruction_id
JOIN candidates c ON c.id = v.choice_id;

SET session_replication_role = origin;
