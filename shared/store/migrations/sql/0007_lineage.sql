-- The lineage schema, complete: both directions with distances, the funnel, the totals, and a word on every column.

DROP FUNCTION lineage.ancestors(text, uuid);

-- Both functions go breadth first, so a distance is the shortest. A step names each kind as a constant, so that
-- the planner keeps only the tables that it concerns, and looks its things up by their indexes.
CREATE FUNCTION lineage.ancestors(kind text, id uuid)
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
    ) AS r (parent_kind, parent_id)
    WHERE NOT EXISTS (SELECT FROM unnest(seen) AS s (id) WHERE s.id = r.parent_id);
    EXIT WHEN ids IS NULL;
    distance := distance + 1;
    RETURN QUERY SELECT f.kind, f.id, distance FROM unnest(kinds, ids) AS f (kind, id);
    seen := seen || ids;
  END LOOP;
END
$$;
COMMENT ON FUNCTION lineage.ancestors IS 'All that a thing came from, each once with its distance (the fewest edges to it), down to models, prompt templates and seed tasks.';

-- What was shown in a prompt, or compared, lies in arrays: such edges are followed backwards by the arrays' indexes,
-- one thing at a time (OFFSET 0), for an index of arrays takes the square of the time for many.
CREATE FUNCTION lineage.descendants(kind text, id uuid)
RETURNS TABLE (descendant_kind text, descendant_id uuid, distance integer) LANGUAGE plpgsql STABLE ROWS 5000 AS $$
DECLARE
  kinds text[] := ARRAY[kind];
  ids uuid[] := ARRAY[id];
  seen uuid[] := ARRAY[id];
BEGIN
  distance := 0;
  LOOP
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
      UNION SELECT 'generation', g.id FROM unnest(kinds, ids) AS f (kind, id) CROSS JOIN LATERAL (
        SELECT p.id FROM lineage.generations p WHERE p.instruction_ids @> ARRAY[f.id] OFFSET 0
      ) g WHERE f.kind = 'instruction'
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'instruction' = ANY (kinds) AND e.parent_kind = 'instruction' AND e.relation = 'carries_out'
        AND e.parent_id = ANY (ids)
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'generation' = ANY (kinds) AND e.parent_kind = 'generation'
        AND e.parent_id = ANY (ids)
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'instance' = ANY (kinds) AND e.parent_kind = 'instance'
        AND e.parent_id = ANY (ids)
      UNION SELECT e.child_kind, e.child_id FROM lineage.edges e
      WHERE 'candidate' = ANY (kinds) AND e.parent_kind = 'candidate' AND e.relation = 'output_from'
        AND e.parent_id = ANY (ids)
      UNION SELECT 'verdict', v.id FROM unnest(kinds, ids) AS f (kind, id) JOIN lineage.candidates c ON c.id = f.id
      CROSS JOIN LATERAL (
        SELECT w.id FROM lineage.verdicts w WHERE w.instance_id = c.instance_id AND c.id = ANY (w.candidate_ids) OFFSET 0
      ) v WHERE f.kind = 'candidate'
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
COMMENT ON FUNCTION lineage.descendants IS 'All that came from a thing, each once with its distance (the fewest edges to it): the opposite of lineage.ancestors.';

CREATE VIEW lineage.runs AS
SELECT id, name AS run, job, fingerprint, state, reason, created_at, finished_at FROM runs;
COMMENT ON VIEW lineage.runs IS 'Every run, with the job that it carries out.';

CREATE VIEW lineage.models AS
SELECT m.id, m.run_id, r.name AS run, m.name AS model, m.protocol, m.kind, m.served_model, m.licence
FROM models m JOIN runs r ON r.id = m.run_id;
COMMENT ON VIEW lineage.models IS 'The language models of each run, as its job describes them.';

CREATE VIEW lineage.servers AS
SELECT
  s.id, s.model_id, m.run_id, r.name AS run, m.name AS model, s.endpoint, s.served_model, s.model_revision,
  s.server_version, s.max_input_tokens, s.max_total_tokens, s.seen_at
FROM servers s JOIN models m ON m.id = s.model_id JOIN runs r ON r.id = m.run_id;
COMMENT ON VIEW lineage.servers IS 'What the models'' servers said of themselves: a new revision or version is a new row.';

CREATE VIEW lineage.prompt_templates AS
SELECT id, name AS template, version AS template_version, sha256, stage, task_type, source FROM prompt_templates;
COMMENT ON VIEW lineage.prompt_templates IS 'Every prompt template that a run ever used, word for word.';

CREATE VIEW lineage.instructions AS
SELECT
  i.id, i.run_id, r.name AS run, i.task_type, i.position, i.text, i.state, i.reason, i.accepted_order,
  i.max_similarity, i.most_similar, i.generation_id, i.created_at
FROM instructions i JOIN runs r ON r.id = i.run_id;
COMMENT ON VIEW lineage.instructions IS 'Every instruction that was proposed, with what it was most similar to.';

CREATE VIEW lineage.instances AS
SELECT
  n.id, n.run_id, r.name AS run, n.task_type, n.instruction_id, n.input, n.state, n.reason, n.generation_id, n.created_at
FROM instances n JOIN runs r ON r.id = n.run_id;
COMMENT ON VIEW lineage.instances IS 'Every instruction''s input, or why there is none.';

CREATE VIEW lineage.usage AS
SELECT
  t.run_id, r.name AS run, t.stage, t.task_type, m.name AS model, m.served_model, m.licence, p.name AS template,
  p.version AS template_version, t.fault, CAST(sum(t.calls) AS bigint) AS calls,
  CAST(sum(t.prompt_tokens) AS bigint) AS prompt_tokens, CAST(sum(t.completion_tokens) AS bigint) AS completion_tokens,
  sum(t.latency_s) AS latency_s
FROM generation_totals t
JOIN runs r ON r.id = t.run_id
JOIN models m ON m.id = t.model_id
JOIN prompt_templates p ON p.id = t.template_id
GROUP BY t.run_id, r.name, t.stage, t.task_type, m.id, p.id, t.fault;
COMMENT ON VIEW lineage.usage IS 'What was asked of each model: LM calls, tokens and seconds, by stage and prompt template. lineage.generations added up, at the cost of a few rows.';

CREATE VIEW lineage.yields AS
SELECT
  t.run_id, r.name AS run, coalesce(j.number, 0) AS judgement, t.kind, t.task_type, t.voice, m.name AS model,
  p.name AS template, p.version AS template_version, t.state, t.reason, CAST(sum(t.records) AS bigint) AS records
FROM record_totals t
JOIN runs r ON r.id = t.run_id
LEFT JOIN judgements j ON j.id = t.judgement_id
LEFT JOIN models m ON m.id = t.model_id
LEFT JOIN prompt_templates p ON p.id = t.template_id
GROUP BY t.run_id, r.name, j.number, t.kind, t.task_type, t.voice, m.id, p.id, t.state, t.reason
HAVING sum(t.records) <> 0;
COMMENT ON VIEW lineage.yields IS 'What came of each model''s calls: records by their kind, voice, model, prompt template, state and reason. The records'' views added up, at the cost of a few rows.';

CREATE VIEW lineage.funnel AS
SELECT
  run_id, run, 0 AS judgement, 1 AS step, 'proposal' AS kind, task_type,
  CASE WHEN fault IS NULL THEN 'answered' ELSE 'failed' END AS state, fault AS reason, CAST(sum(calls) AS bigint) AS records
FROM lineage.usage WHERE stage = 'instruction' GROUP BY run_id, run, task_type, fault
UNION ALL
SELECT
  run_id, run, judgement, 1 + array_position(ARRAY['instruction', 'instance', 'candidate', 'verdict', 'example'], kind),
  kind, task_type, state, reason, CAST(sum(records) AS bigint)
FROM lineage.yields GROUP BY run_id, run, judgement, kind, task_type, state, reason;
COMMENT ON VIEW lineage.funnel IS 'How many records each step of a run made, kept and left out, with the reasons; from proposals to examples.';

CREATE VIEW lineage.seed_influence AS
SELECT
  j.run_id, r.name AS run, j.number AS judgement, t.seed_task_id, s.source_id, s.name, t.examples
FROM seed_totals t
JOIN judgements j ON j.id = t.judgement_id
JOIN runs r ON r.id = j.run_id
JOIN seed_tasks s ON s.id = t.seed_task_id
WHERE t.examples <> 0;
COMMENT ON VIEW lineage.seed_influence IS 'In how many of a judgement''s wanted examples each seed task had a direct part: it was shown to the LM that wrote the instruction.';

DO $$
DECLARE
  word record;
BEGIN
  FOR word IN
    SELECT c.oid, c.relname, a.attname, said.text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    JOIN (VALUES
      ('', 'run_id', 'The run that it belongs to.'),
      ('', 'run', 'The run''s name.'),
      ('', 'created_at', 'When it was written.'),
      ('', 'task_type', 'Whether the task has an input: input_output or output_only.'),
      ('', 'judgement', 'The number of the judgement: 0 is the run''s own, later ones are of rejudge or add-output.'),
      ('', 'state', 'accepted, or rejected with a reason.'),
      ('', 'reason', 'Why it was rejected; null if it was accepted.'),
      ('', 'instance_id', 'The instance that it belongs to.'),
      ('', 'instruction_id', 'The instruction that it carries out.'),
      ('', 'generation_id', 'The LM call that wrote it; null if none was answered.'),
      ('', 'rule', 'The consensus rule that decided.'),
      ('', 'threshold', 'The rule''s threshold for the lowest Rouge-L F1 of a pair.'),
      ('', 'min_candidates', 'How many usable candidates an instance needs.'),
      ('', 'weights', 'How much each voice counts.'),
      ('', 'families', 'The family of each voice that has one; voices of a family share a vote.'),
      ('', 'scores', 'Stemmed Rouge-L F1 of each pair of the candidates compared, a matrix in their order.'),
      ('', 'exact_match', 'Whether an exact match between candidates decided.'),
      ('', 'margin', 'How far the choice was ahead of the next, in summed Rouge-L F1; null for an exact match.'),
      ('', 'model', 'The model''s name in the job.'),
      ('', 'served_model', 'The name that its server knows the model by, if the job says so.'),
      ('', 'licence', 'The model''s licence, as the job declares it.'),
      ('', 'stage', 'What the LM was asked for: instruction, instance or output.'),
      ('', 'template', 'The prompt template''s name.'),
      ('', 'template_version', 'The prompt template''s version.'),
      ('', 'fault', 'What went wrong with the call; null if it was answered.'),
      ('', 'voice', 'Which of the job''s voices spoke; instance is the instance''s own output.'),
      ('', 'prompt_tokens', 'Tokens read, as the server counted them.'),
      ('', 'completion_tokens', 'Tokens written, as the server counted them.'),
      ('', 'seed_task_id', 'The seed task.'),
      ('', 'source_id', 'The seed task''s id in its file.'),
      ('examples', 'id', 'The example; exports carry it.'),
      ('examples', 'judgement', 'The judgement that kept it: 0 is the run''s own. An instance may be an example of each.'),
      ('examples', 'position', 'Its place in the run: examples are kept in this order up to the target.'),
      ('examples', 'instruction', 'The text of the task.'),
      ('examples', 'input', 'The task''s input; empty for output_only.'),
      ('examples', 'output', 'The chosen output.'),
      ('examples', 'surplus', 'Whether it came after the target was met, and is left out of exports.'),
      ('examples', 'candidates', 'How many candidates were compared.'),
      ('examples', 'chosen_voice', 'Which voice wrote the output; instance is the instance''s own.'),
      ('examples', 'chosen_model', 'Which model wrote the output.'),
      ('examples', 'verdict_id', 'The verdict that kept it.'),
      ('examples', 'candidate_id', 'The candidate whose output it has.'),
      ('runs', 'id', 'The run.'),
      ('runs', 'job', 'The job as it is now.'),
      ('runs', 'fingerprint', 'A hash of all that decides the run''s records: its job, seeds and prompt templates.'),
      ('runs', 'state', 'running, paused, completed, spent, cancelled or failed.'),
      ('runs', 'reason', 'Why it paused or ended.'),
      ('runs', 'created_at', 'When it began.'),
      ('runs', 'finished_at', 'When it ended.'),
      ('models', 'id', 'The model, in this run.'),
      ('models', 'protocol', 'How it is asked: tgi or openai.'),
      ('models', 'kind', 'vanilla continues a text, instruct answers as an assistant.'),
      ('servers', 'id', 'The server at one revision and version.'),
      ('servers', 'model_id', 'The model that it serves.'),
      ('servers', 'endpoint', 'Its address.'),
      ('servers', 'served_model', 'The name of the model, as it said.'),
      ('servers', 'model_revision', 'The revision of the weights, as it said.'),
      ('servers', 'server_version', 'The version of its software, as it said.'),
      ('servers', 'max_input_tokens', 'The longest prompt that it takes, as it said.'),
      ('servers', 'max_total_tokens', 'The longest prompt and answer together, as it said.'),
      ('servers', 'seen_at', 'When it first said so.'),
      ('prompt_templates', 'id', 'The prompt template; its source decides it, so runs share it.'),
      ('prompt_templates', 'sha256', 'The SHA-256 of its source.'),
      ('prompt_templates', 'task_type', 'The task type that it is for; null for both.'),
      ('prompt_templates', 'source', 'Its text.'),
      ('instructions', 'id', 'The instruction.'),
      ('instructions', 'position', 'Its place in the run, in the order of the proposals.'),
      ('instructions', 'text', 'The text of the task.'),
      ('instructions', 'accepted_order', 'Its number among the accepted ones of its type; null if it was rejected.'),
      ('instructions', 'max_similarity', 'The highest Rouge-L F1 to any instruction accepted before it.'),
      ('instructions', 'most_similar', 'Those that it is most similar to, with their Rouge-L F1.'),
      ('instances', 'id', 'The instance.'),
      ('instances', 'input', 'The input; empty for output_only, null if there is none.'),
      ('generations', 'id', 'The LM call.'),
      ('generations', 'model_revision', 'The revision of the weights that the server named.'),
      ('generations', 'endpoint', 'The address of the server.'),
      ('generations', 'server_version', 'The version of its software that the server named.'),
      ('generations', 'template_sha256', 'The SHA-256 of the prompt template''s source.'),
      ('generations', 'prompt', 'What was sent, word for word.'),
      ('generations', 'parameters', 'The sampling parameters that were sent.'),
      ('generations', 'seed', 'The random seed that was sent.'),
      ('generations', 'response', 'What came back, word for word; null if there was a fault.'),
      ('generations', 'finish_reason', 'Why the LM stopped: stop or length.'),
      ('generations', 'detail', 'More about the fault.'),
      ('generations', 'latency_s', 'Seconds from the call to its end.'),
      ('generations', 'attempt', 'Which try it was, counted from 0.'),
      ('generations', 'worker', 'The worker that made the call.'),
      ('generations', 'seed_task_ids', 'The seed tasks shown in the prompt, in order.'),
      ('generations', 'instruction_ids', 'The generated instructions shown after them, in order.'),
      ('candidates', 'id', 'The candidate.'),
      ('candidates', 'number', 'Its place among the instance''s candidates; 0 is the instance''s own output.'),
      ('candidates', 'output', 'The text; null if the voice failed.'),
      ('candidates', 'chosen', 'Whether the run''s own judgement, number 0, chose it.'),
      ('candidates', 'chosen_in', 'The numbers of all judgements that chose it.'),
      ('judgements', 'id', 'The judgement.'),
      ('verdicts', 'id', 'The verdict.'),
      ('verdicts', 'candidate_ids', 'The candidates that were compared: the rows and columns of the scores, in order.'),
      ('verdicts', 'choice_id', 'The candidate that was chosen; null if none was.'),
      ('verdicts', 'chosen_voice', 'The voice of the candidate that was chosen.'),
      ('rejections', 'judgement', 'Of a verdict, the judgement that made it; 0, the run''s own, of all else.'),
      ('rejections', 'kind', 'What was left out: instruction, instance, candidate or verdict.'),
      ('rejections', 'id', 'The record that was left out.'),
      ('rejections', 'reason', 'Why.'),
      ('rejections', 'content', 'Its text; of an instance or a verdict, the instruction''s.'),
      ('seed_tasks', 'id', 'The seed task; its content decides it, so runs on the same seeds share it.'),
      ('seed_tasks', 'name', 'The seed task''s name in its file.'),
      ('seed_tasks', 'instruction', 'The text of the task.'),
      ('seed_tasks', 'instances', 'Its worked inputs and outputs.'),
      ('seed_tasks', 'is_classification', 'Whether the file calls it a classification.'),
      ('edges', 'child_kind', 'What the child is.'),
      ('edges', 'child_id', 'The thing that came from the parent.'),
      ('edges', 'relation', 'How: decided_by, output_from, made_from, compared, answers, carries_out, written_by, asked, answered_by, serves, rendered_from or shown.'),
      ('edges', 'parent_kind', 'What the parent is.'),
      ('edges', 'parent_id', 'The thing that the child came from.'),
      ('usage', 'calls', 'How many calls.'),
      ('usage', 'latency_s', 'Seconds from the calls to their ends, summed.'),
      ('yields', 'kind', 'What was made: instruction, instance, candidate, verdict or example.'),
      ('yields', 'model', 'The model that wrote it, of an example its output; null for verdicts and what no LM wrote.'),
      ('yields', 'state', 'accepted or rejected; of an example wanted or surplus.'),
      ('yields', 'records', 'How many.'),
      ('funnel', 'step', 'The step''s place, from 1.'),
      ('funnel', 'kind', 'What the step makes: proposal, instruction, instance, candidate, verdict, example.'),
      ('funnel', 'state', 'Of a proposal answered or failed, of an example wanted or surplus, else accepted or rejected.'),
      ('funnel', 'reason', 'Why it failed or was rejected.'),
      ('funnel', 'records', 'How many.'),
      ('seed_influence', 'name', 'The seed task''s name in its file.'),
      ('seed_influence', 'examples', 'How many examples.')
    ) AS said (view, name, text) ON said.name = a.attname AND said.view IN ('', c.relname)
    WHERE n.nspname = 'lineage' AND c.relkind = 'v'
    ORDER BY said.view  -- what is said of a view's own column comes last, and stays
  LOOP
    EXECUTE concat('COMMENT ON COLUMN lineage.', quote_ident(word.relname), '.', quote_ident(word.attname), ' IS ',
      quote_literal(word.text));
  END LOOP;
END
$$;

GRANT SELECT ON ALL TABLES IN SCHEMA lineage TO dataset_reader;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA lineage FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lineage TO dataset_reader;
