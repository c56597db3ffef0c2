"""Who agrees with whom in a judgement, by some of its verdicts, so that it costs the same however large the run is."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from shared.method.agreement import Agreement, AgreementReport, Judged
from shared.method.consensus import Rule
from shared.method.terms import Terms
from shared.store.views.runs import JudgementView

SAMPLE = """
SELECT v.candidate_ids, v.scores, v.choice_id, v.exact_match, spoken.ids, spoken.voices, spoken.outputs
FROM (
  SELECT * FROM lineage.verdicts WHERE run_id = :run AND judgement = :judgement ORDER BY instance_id LIMIT :most
) v CROSS JOIN LATERAL (
  SELECT array_agg(c.id) AS ids, array_agg(c.voice) AS voices, array_agg(coalesce(c.output, '')) AS outputs
  FROM lineage.candidates c WHERE c.instance_id = v.instance_id
) spoken
"""


def sampled_agreement(session: Session, run_id: uuid.UUID, judgement: JudgementView, most: int) -> AgreementReport:
    """What `most` verdicts say at most: the first by the keys of their instances, which are as good as drawn by lot."""
    terms = Terms(
        Rule(judgement.rule), judgement.threshold, judgement.min_candidates, judgement.weights, judgement.families
    )
    ranks = {voice: rank for rank, voice in enumerate(judgement.voices)}
    agreement = Agreement(judgement.voices, terms)
    values = {"run": run_id, "judgement": judgement.number, "most": most}
    for row in session.execute(text(SAMPLE), values):
        agreement.add(_judged(row, ranks))
    return agreement.report()


def _judged(row: Row[Any], ranks: Mapping[str, int]) -> Judged:
    """What was compared, in the order of the voices."""
    spoken = dict(zip(row.ids, zip(row.voices, row.outputs, strict=True), strict=True))
    by_voice = sorted(range(len(row.candidate_ids)), key=lambda place: ranks[spoken[row.candidate_ids[place]][0]])
    ids = [row.candidate_ids[place] for place in by_voice]
    return Judged(
        voices=[spoken[id][0] for id in ids],
        outputs=[spoken[id][1] for id in ids],
        scores=[[row.scores[one][two] for two in by_voice] for one in by_voice],
        choice=None if row.choice_id is None else ids.index(row.choice_id),
        exact_match=row.exact_match,
    )
