-- How far an example's output agrees with the others, and what left the system.

CREATE FUNCTION lineage.comparable(output text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(
  nullif(btrim(regexp_replace(translate(lower(output), '!"#$%%&''()*+,-./:;<=>?@[\]^_`{|}~', ''), '\s+', ' ', 'g')), ''),
  btrim(regexp_replace(output, '\s+', ' ', 'g'))
);
COMMENT ON FUNCTION lineage.comparable IS 'The form in which the consensus compares texts: lower-cased, without ASCII punctuation, spaces folded; where nothing is left of it, with its spaces folded alone.';

-- Joins that a question has no use for are left away, if nothing depends on whether they find something.
CREATE OR REPLACE VIEW lineage.examples AS
SELECT
  e.id, e.run_id, r.name AS run, j.number AS judgement, e.task_type, e.position, e.instruction, e.input, e.output,
  e.surplus, j.rule, j.threshold, v.exact_match, v.margin, cardinality(v.candidate_ids) AS candidates, v.scores,
  c.voice AS chosen_voice, m.name AS chosen_model,
  e.verdict_id, e.candidate_id, e.instance_id, n.instruction_id, e.created_at,
  EXISTS (
    SELECT FROM retracted_records m JOIN retractions t ON t.id = m.retraction_id
    WHERE m.record_id = e.id AND m.kind = 'example' AND t.undone_at IS NULL
  ) AS retracted,
  (
    SELECT CASE
      WHEN v.exact_match AND max(pair.score) = 0 THEN ( -- texts without a word, such as "+", have no Rouge-L
        SELECT avg(CASE WHEN lineage.comparable(o.output) = lineage.comparable(c.output) THEN 1.0::float ELSE 0 END)
        FROM candidates o WHERE o.id = ANY (v.candidate_ids) AND o.id <> v.choice_id
      )
      ELSE avg(pair.score)
    END
    FROM (
      SELECT CAST(s.score AS float) AS score
      FROM jsonb_array_elements(v.scores -> (array_position(v.candidate_ids, v.choice_id) - 1))
        WITH ORDINALITY AS s (score, number)
      WHERE s.number <> array_position(v.candidate_ids, v.choice_id)
    ) pair
  ) AS agreement
FROM examples e
JOIN runs r ON r.id = e.run_id
JOIN judgements j ON j.id = e.judgement_id
LEFT JOIN verdicts v ON v.id = e.verdict_id
LEFT JOIN candidates c ON c.id = e.candidate_id
LEFT JOIN instances n ON n.id = e.instance_id
LEFT JOIN generations g ON g.id = c.generation_id
LEFT JOIN models m ON m.id = g.model_id;
COMMENT ON COLUMN lineage.examples.agreement IS 'How far the output agrees with the other candidates compared: the mean of its Rouge-L F1 with each, 0 to 1; null if there was no other.';

CREATE VIEW lineage.exports AS
SELECT
  x.id, x.fingerprint, asked.runs, asked.run_ids, asked.judgements, x.options, x.rows, x.left_out, x.files, x.created_at
FROM exports x CROSS JOIN LATERAL (
  SELECT
    array_agg(r.name ORDER BY a.place) AS runs, array_agg(r.id ORDER BY a.place) AS run_ids,
    array_agg(j.number ORDER BY a.place) AS judgements
  FROM export_judgements a JOIN judgements j ON j.id = a.judgement_id JOIN runs r ON r.id = j.run_id
  WHERE a.export_id = x.id
) asked;
COMMENT ON VIEW lineage.exports IS 'Every dataset that was exported, with what it was asked for and its files.';
COMMENT ON COLUMN lineage.exports.id IS 'The export; its content decides it, so the same rows exported in the same way are the same export.';
COMMENT ON COLUMN lineage.exports.fingerprint IS 'A SHA-256 over the options, the rows in their order, and what was left out.';
COMMENT ON COLUMN lineage.exports.runs IS 'The names of the runs, in the order of the command.';
COMMENT ON COLUMN lineage.exports.run_ids IS 'The runs.';
COMMENT ON COLUMN lineage.exports.judgements IS 'The number of each run''s judgement.';
COMMENT ON COLUMN lineage.exports.options IS 'All that was asked for.';
COMMENT ON COLUMN lineage.exports.rows IS 'How many examples it holds.';
COMMENT ON COLUMN lineage.exports.left_out IS 'How many examples it leaves out, by reason.';
COMMENT ON COLUMN lineage.exports.files IS 'Each file with its path in the folder, rows, bytes and SHA-256, and the library that wrote it, if it was not this program alone.';
COMMENT ON COLUMN lineage.exports.created_at IS 'When it was first written.';

CREATE VIEW lineage.export_rows AS SELECT export_id, place, example_id, split FROM export_rows;
COMMENT ON VIEW lineage.export_rows IS 'Which examples an export holds.';
COMMENT ON COLUMN lineage.export_rows.export_id IS 'The export.';
COMMENT ON COLUMN lineage.export_rows.place IS 'The example''s place in the export, counted from 0 over all splits.';
COMMENT ON COLUMN lineage.export_rows.example_id IS 'The example.';
COMMENT ON COLUMN lineage.export_rows.split IS 'The split that it is in; null if the export has none.';

CREATE VIEW lineage.export_exclusions AS SELECT export_id, example_id, reason, detail FROM export_exclusions;
COMMENT ON VIEW lineage.export_exclusions IS 'Which examples of the runs an export leaves out, and why.';
COMMENT ON COLUMN lineage.export_exclusions.export_id IS 'The export.';
COMMENT ON COLUMN lineage.export_exclusions.example_id IS 'The example.';
COMMENT ON COLUMN lineage.export_exclusions.reason IS 'retracted, where, licence, agreement, contaminated or limit: the first of these that holds.';
COMMENT ON COLUMN lineage.export_exclusions.detail IS 'More of why: of a contaminated one the file, the line and the words in common; of one that agrees too little, its agreement.';

GRANT SELECT ON ALL TABLES IN SCHEMA lineage TO dataset_reader;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA lineage FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lineage TO dataset_reader;
