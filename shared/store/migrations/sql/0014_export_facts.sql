-- What the card of an export tells, kept with it: a run may go on, and its card stays as it was.

CREATE OR REPLACE VIEW lineage.exports AS
SELECT
  x.id, x.fingerprint, asked.runs, asked.run_ids, asked.judgements, x.options, x.rows, x.left_out, x.files, x.created_at,
  x.facts
FROM exports x CROSS JOIN LATERAL (
  SELECT
    array_agg(r.name ORDER BY a.place) AS runs, array_agg(r.id ORDER BY a.place) AS run_ids,
    array_agg(j.number ORDER BY a.place) AS judgements
  FROM export_judgements a JOIN judgements j ON j.id = a.judgement_id JOIN runs r ON r.id = j.run_id
  WHERE a.export_id = x.id
) asked;
COMMENT ON COLUMN lineage.exports.facts IS 'All that its dataset card tells, as it was found when it was first made; null if it has no card.';
