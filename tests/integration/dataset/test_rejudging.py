"""A run decided anew: what is written, what is left alone, and what is said to have changed."""

import uuid
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text, update

from shared.dataset.changes import Change, Changes
from shared.dataset.rejudging import compare, rejudge
from shared.method.consensus import Rule
from shared.method.tasks import TaskType
from shared.method.terms import Terms
from shared.store.judgements import terms_of, verdict_pages
from shared.store.keys import judgement_key
from shared.store.lineage import lineage_of
from shared.store.session import Sessions
from shared.store.tables.records import Candidate, Example, Judgement, RecordState, Verdict
from tests.integration.store.judged import plant_judged, three_voices

AGREED = ("yes indeed", "yes indeed", "yes indeed")
OUTVOTED = ("a long and careful answer", "short", "short")
AT_ODDS = ("red", "green", "blue")
ALL = (AT_ODDS, OUTVOTED, AGREED, AGREED)

OWN = three_voices().terms
UNJUDGED = replace(OWN, rule=Rule.NONE)


def decide(sessions: Sessions, run_id: uuid.UUID, terms: Terms, number: int = 1) -> Changes:
    with sessions.begin() as session:
        return rejudge(session, run_id, number, terms)


def every(sessions: Sessions, statement: Any) -> list[Any]:
    with sessions() as session:
        return [tuple(row) for row in session.execute(statement).all()]


def rows_of(sessions: Sessions, number: int, run_id: uuid.UUID) -> list[list[Any]]:
    """All that stands of a judgement."""
    id = judgement_key(run_id, number)
    tables = ((Judgement.__table__, "id"), (Verdict.__table__, "judgement_id"), (Example.__table__, "judgement_id"))
    return [
        every(sessions, select(table).where(table.c[column] == id).order_by(table.c.id)) for table, column in tables
    ]


def choices(sessions: Sessions, number: int) -> list[str | None]:
    """Whose output each instance got, in the run's order."""
    statement = text(
        "SELECT v.chosen_voice FROM lineage.verdicts v JOIN instructions i ON i.id = v.instruction_id"
        " WHERE v.judgement = :number ORDER BY i.position"
    ).bindparams(number=number)
    return [voice for (voice,) in every(sessions, statement)]


def test_the_first_judgement_stays_as_it_is(sessions: Sessions) -> None:
    run_id = plant_judged(sessions, ALL)
    before = rows_of(sessions, 0, run_id)
    decide(sessions, run_id, UNJUDGED)
    assert rows_of(sessions, 0, run_id) == before
    assert [len(rows) for rows in rows_of(sessions, 1, run_id)] == [1, 4, 4]


def test_comparing_writes_nothing(sessions: Sessions) -> None:
    run_id = plant_judged(sessions, ALL)
    with sessions.begin() as session:
        changes = compare(session, run_id, UNJUDGED)
    assert rows_of(sessions, 1, run_id) == [[], [], []]
    assert changes == decide(sessions, run_id, UNJUDGED)


def test_what_changed_is_counted_by_instance_by_voice_and_by_type(sessions: Sessions) -> None:
    run_id = plant_judged(sessions, ALL)
    changes = decide(sessions, run_id, UNJUDGED)
    assert changes.instances == 4
    assert changes.counts == {Change.NEWLY_KEPT: 1, Change.OTHER_OUTPUT: 1, Change.SAME_OUTPUT: 2}
    assert (changes.wins_before, changes.wins_after) == ({"one": 1, "instance": 2}, {"instance": 4})
    assert changes.examples({TaskType.OUTPUT_ONLY: 2}) == {TaskType.OUTPUT_ONLY: 2}
    by_change = {each.change: each for each in changes.samples}
    assert set(by_change) == {Change.NEWLY_KEPT, Change.OTHER_OUTPUT}
    assert by_change[Change.NEWLY_KEPT].before.reason == "low_agreement"
    outvoted = by_change[Change.OTHER_OUTPUT]
    assert (outvoted.before.output, outvoted.after.output) == (OUTVOTED[1], OUTVOTED[0])


def test_the_wanted_examples_are_the_first_of_the_new_order(sessions: Sessions) -> None:
    run_id = plant_judged(sessions, ALL)
    decide(sessions, run_id, UNJUDGED)
    in_order = select(Example.output, Example.surplus).order_by(Example.position)
    own, other = (in_order.where(Example.judgement_id == judgement_key(run_id, number)) for number in (0, 1))
    assert every(sessions, own) == [("short", False), ("yes indeed", False), ("yes indeed", True)]
    first, second = AT_ODDS[0], OUTVOTED[0]
    assert every(sessions, other) == [
        (first, False),
        (second, False),
        ("yes indeed", True),
        ("yes indeed", True),
    ]


@pytest.mark.parametrize(
    ("terms", "kept"),
    [
        (OWN, [None, "one", "instance", "instance"]),
        (replace(OWN, weights={**OWN.weights, "instance": 3.0}, rule=Rule.MAJORITY), ["instance"] * 4),
        (replace(OWN, weights={**OWN.weights, "two": 2.0}, rule=Rule.MAJORITY), ["two", "one", "instance", "instance"]),
        (replace(OWN, families={"one": "flan", "two": "flan"}), [None, None, "instance", "instance"]),
        (replace(OWN, min_candidates=4), [None] * 4),
        (replace(OWN, threshold=1.0), [None, "one", "instance", "instance"]),
    ],
)
def test_a_judgement_keeps_to_its_terms_and_remembers_them(
    sessions: Sessions, terms: Terms, kept: list[str | None]
) -> None:
    run_id = plant_judged(sessions, ALL)
    decide(sessions, run_id, terms)
    assert choices(sessions, 0) == [None, "one", "instance", "instance"]
    assert choices(sessions, 1) == kept
    with sessions() as session:
        assert terms_of(session.get_one(Judgement, judgement_key(run_id, 1))) == terms


def test_a_verdict_that_crashed_is_given_after_all(sessions: Sessions) -> None:
    run_id = plant_judged(sessions, [AT_ODDS])
    with sessions.begin() as session:
        session.execute(update(Verdict).values(candidate_ids=[], scores=[], reason="crashed"))
    assert decide(sessions, run_id, OWN).samples == []
    assert choices(sessions, 1) == [None]
    with sessions() as session:
        assert session.get_one(Verdict, rows_of(sessions, 1, run_id)[1][0][0]).reason == "low_agreement"


def test_an_output_that_was_rejected_has_no_part(sessions: Sessions) -> None:
    run_id = plant_judged(sessions, [OUTVOTED])
    with sessions.begin() as session:
        unusable = {"state": RecordState.REJECTED, "reason": "truncated"}
        session.execute(update(Candidate).where(Candidate.voice != "one").values(**unusable))
    decide(sessions, run_id, OWN)
    (verdict,) = every(sessions, select(Verdict.reason, Verdict.scores).where(Verdict.state == "rejected"))
    assert verdict == ("too_few_candidates", [[1.0]])


def test_another_run_is_left_alone(sessions: Sessions) -> None:
    other = plant_judged(sessions, ALL, "judged-2")
    run_id = plant_judged(sessions, ALL)
    before = rows_of(sessions, 0, other)
    assert decide(sessions, run_id, UNJUDGED).instances == 4
    assert rows_of(sessions, 0, other) == before


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_pages_give_each_verdict_once_and_let_it_go(sessions: Sessions, size: int) -> None:
    run_id = plant_judged(sessions, ALL)
    with sessions() as session:
        seen = [verdict.id for page in verdict_pages(session, judgement_key(run_id), size) for verdict in page]
        assert not list(session.identity_map.keys())
    assert len(set(seen)) == len(seen) == 4


def test_the_lineage_tells_judgements_apart_and_doubles_no_candidate(sessions: Sessions) -> None:
    run_id = plant_judged(sessions, ALL)
    decide(sessions, run_id, UNJUDGED)
    count = "SELECT judgement, count(*) FROM lineage.{} GROUP BY 1 ORDER BY 1"
    counts = {view: every(sessions, text(count.format(view))) for view in ("examples", "verdicts", "rejections")}
    assert counts == {"examples": [(0, 3), (1, 4)], "verdicts": [(0, 4), (1, 4)], "rejections": [(0, 1)]}
    assert every(sessions, text("SELECT count(*), count(DISTINCT id) FROM lineage.candidates")) == [(12, 12)]
    chosen = "SELECT voice, chosen, chosen_in FROM lineage.candidates WHERE output = ANY(:outputs) ORDER BY number"
    assert every(sessions, text(chosen).bindparams(outputs=list(OUTVOTED))) == [
        ("instance", False, [1]),
        ("one", True, [0]),
        ("two", False, []),
    ]
    assert every(sessions, text("SELECT judgement, rule FROM lineage.judgements ORDER BY 1")) == [
        (0, "ensemble-instruct"),
        (1, "none"),
    ]


def test_an_example_of_a_later_judgement_descends_from_that_judgements_verdict(sessions: Sessions) -> None:
    run_id = plant_judged(sessions, ALL)
    decide(sessions, run_id, UNJUDGED)
    with sessions() as session:
        example = session.scalars(select(Example).where(Example.judgement_id == judgement_key(run_id, 1))).first()
        assert example
        lineage = lineage_of(session, "example", example.id)
        (verdict,) = lineage.parents(example.id, "decided_by")
    assert (verdict.attributes["judgement"], verdict.attributes["rule"]) == (1, "none")
    assert {node.kind for node in lineage.nodes.values()} >= {"candidate", "instance", "instruction", "generation"}
