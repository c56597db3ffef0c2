-- How much there is of everything, counted as it is written: what a million rows add up to is read from a few.
-- Each session counts in rows of its own (`backend`), so nobody waits for anybody.

CREATE FUNCTION count_generations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO generation_totals AS t (
    run_id, backend, stage, task_type, model_id, template_id, fault, calls, prompt_tokens, completion_tokens, latency_s
  )
  SELECT
    run_id, pg_backend_pid(), stage, task_type, model_id, template_id, fault, count(*),
    coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), sum(latency_s)
  FROM changed GROUP BY run_id, stage, task_type, model_id, template_id, fault
  ON CONFLICT (run_id, backend, stage, task_type, model_id, template_id, fault) DO UPDATE SET
    calls = t.calls + excluded.calls,
    prompt_tokens = t.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = t.completion_tokens + excluded.completion_tokens,
    latency_s = t.latency_s + excluded.latency_s;
  RETURN NULL;
END
$$;

-- The records of a trigger's statement, in groups: how many came (or went, if `sign` is -1) of each.
CREATE TYPE record_group AS (
  run_id uuid, kind text, judgement_id uuid, task_type text, voice text, model_id uuid, template_id uuid, state text,
  reason text, records bigint
);

CREATE FUNCTION add_to_totals(groups record_group[], sign integer) RETURNS void LANGUAGE sql AS $$
  INSERT INTO record_totals AS t (
    run_id, backend, kind, judgement_id, task_type, voice, model_id, template_id, state, reason, records
  )
  SELECT
    run_id, pg_backend_pid(), kind, judgement_id, task_type, voice, model_id, template_id, state, reason, sign * records
  FROM unnest(groups)
  ON CONFLICT (run_id, backend, kind, judgement_id, task_type, voice, model_id, template_id, state, reason)
  DO UPDATE SET records = t.records + excluded.records
$$;

CREATE FUNCTION count_instructions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM add_to_totals(array_agg(g::record_group), 1) FROM (
    SELECT
      c.run_id, 'instruction', NULL::uuid, c.task_type, NULL, g.model_id, g.template_id, c.state, c.reason, count(*)
    FROM changed c LEFT JOIN generations g ON g.id = c.generation_id
    GROUP BY c.run_id, c.task_type, g.model_id, g.template_id, c.state, c.reason
  ) g;
  RETURN NULL;
END
$$;

CREATE FUNCTION count_instances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM add_to_totals(array_agg(g::record_group), CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END) FROM (
    SELECT c.run_id, 'instance', NULL::uuid, c.task_type, NULL, g.model_id, g.template_id, c.state, c.reason, count(*)
    FROM changed c LEFT JOIN generations g ON g.id = c.generation_id
    GROUP BY c.run_id, c.task_type, g.model_id, g.template_id, c.state, c.reason
  ) g;
  RETURN NULL;
END
$$;

CREATE FUNCTION count_candidates() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM add_to_totals(array_agg(g::record_group), CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END) FROM (
    SELECT
      c.run_id, 'candidate', NULL::uuid, n.task_type, c.voice, g.model_id, g.template_id, c.state, c.reason, count(*)
    FROM changed c JOIN instances n ON n.id = c.instance_id LEFT JOIN generations g ON g.id = c.generation_id
    GROUP BY c.run_id, n.task_type, c.voice, g.model_id, g.template_id, c.state, c.reason
  ) g;
  RETURN NULL;
END
$$;

CREATE FUNCTION count_verdicts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM add_to_totals(array_agg(g::record_group), CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END) FROM (
    SELECT
      c.run_id, 'verdict', c.judgement_id, n.task_type, NULL, NULL::uuid, NULL::uuid, c.state, c.reason, count(*)
    FROM changed c JOIN instances n ON n.id = c.instance_id
    GROUP BY c.run_id, c.judgement_id, n.task_type, c.state, c.reason
  ) g;
  RETURN NULL;
END
$$;

-- A seed task's part: the examples whose instruction was written by a call that showed it.
CREATE FUNCTION add_examples(ids uuid[], as_surplus boolean, sign integer) RETURNS void LANGUAGE plpgsql AS $$
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
    SELECT e.judgement_id, shown.id, sign * count(DISTINCT e.id)
    FROM examples e JOIN instances n ON n.id = e.instance_id JOIN instructions i ON i.id = n.instruction_id
    JOIN generations g ON g.id = i.generation_id CROSS JOIN LATERAL unnest(g.seed_task_ids) AS shown(id)
    WHERE e.id = ANY (ids)
    GROUP BY e.judgement_id, shown.id ORDER BY e.judgement_id, shown.id
    ON CONFLICT (judgement_id, seed_task_id) DO UPDATE SET examples = t.examples + excluded.examples;
  END IF;
END
$$;

CREATE FUNCTION count_examples() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM add_examples(array_agg(id), surplus, 1) FROM changed GROUP BY surplus;
  RETURN NULL;
END
$$;

CREATE FUNCTION recount_examples() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM add_examples(array_agg(b.id), b.surplus, -1), add_examples(array_agg(b.id), NOT b.surplus, 1)
  FROM before b JOIN changed c ON c.id = b.id AND c.surplus <> b.surplus GROUP BY b.surplus;
  RETURN NULL;
END
$$;

CREATE TRIGGER count_generations AFTER INSERT ON generations
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_generations();
CREATE TRIGGER count_instructions AFTER INSERT ON instructions
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_instructions();
CREATE TRIGGER count_instances AFTER INSERT ON instances
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_instances();
CREATE TRIGGER uncount_instances AFTER DELETE ON instances
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_instances();
CREATE TRIGGER count_candidates AFTER INSERT ON candidates
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_candidates();
CREATE TRIGGER uncount_candidates AFTER DELETE ON candidates
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_candidates();
CREATE TRIGGER count_verdicts AFTER INSERT ON verdicts
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_verdicts();
CREATE TRIGGER uncount_verdicts AFTER DELETE ON verdicts
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_verdicts();
CREATE TRIGGER count_examples AFTER INSERT ON examples
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_examples();
CREATE TRIGGER recount_examples AFTER UPDATE ON examples
  REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION recount_examples();

-- What is there already.
INSERT INTO generation_totals (
  run_id, backend, stage, task_type, model_id, template_id, fault, calls, prompt_tokens, completion_tokens, latency_s
)
SELECT
  run_id, 0, stage, task_type, model_id, template_id, fault, count(*), coalesce(sum(prompt_tokens), 0),
  coalesce(sum(completion_tokens), 0), sum(latency_s)
FROM generations GROUP BY run_id, stage, task_type, model_id, template_id, fault;

INSERT INTO record_totals (
  run_id, backend, kind, judgement_id, task_type, voice, model_id, template_id, state, reason, records
)
SELECT
  i.run_id, 0, 'instruction', NULL::uuid, i.task_type, NULL, g.model_id, g.template_id, i.state, i.reason, count(*)
FROM instructions i LEFT JOIN generations g ON g.id = i.generation_id
GROUP BY i.run_id, i.task_type, g.model_id, g.template_id, i.state, i.reason
UNION ALL SELECT
  i.run_id, 0, 'instance', NULL::uuid, i.task_type, NULL, g.model_id, g.template_id, i.state, i.reason, count(*)
FROM instances i LEFT JOIN generations g ON g.id = i.generation_id
GROUP BY i.run_id, i.task_type, g.model_id, g.template_id, i.state, i.reason
UNION ALL SELECT
  c.run_id, 0, 'candidate', NULL::uuid, n.task_type, c.voice, g.model_id, g.template_id, c.state, c.reason, count(*)
FROM candidates c JOIN instances n ON n.id = c.instance_id LEFT JOIN generations g ON g.id = c.generation_id
GROUP BY c.run_id, n.task_type, c.voice, g.model_id, g.template_id, c.state, c.reason
UNION ALL SELECT
  v.run_id, 0, 'verdict', v.judgement_id, n.task_type, NULL, NULL::uuid, NULL::uuid, v.state, v.reason, count(*)
FROM verdicts v JOIN instances n ON n.id = v.instance_id
GROUP BY v.run_id, v.judgement_id, n.task_type, v.state, v.reason;

SELECT add_examples(array_agg(id), surplus, 1) FROM examples GROUP BY surplus;
