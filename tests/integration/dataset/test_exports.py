"""Exports on real runs: each filter against the truth, order, splits, and that all of it happens or nothing."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shared.dataset.choosing import NothingLeftError, Request
from shared.dataset.conditions import read_condition
from shared.dataset.evaluation_sets import read_evaluation_sets
from shared.dataset.export import ExportDiffersError, export, export_again
from shared.dataset.export_record import ExportOptions, ExportRecord, find_record_of
from shared.dataset.rejudging import rejudge
from shared.method.consensus import Rule
from shared.store.exports import ExportedRun
from shared.store.judgements import judgements, terms_of
from shared.store.keys import judgement_key, key
from shared.store.session import Sessions
from shared.store.tables.exports import ExportExclusion, ExportRow, LeftOut
from shared.store.tables.records import Example
from shared.store.tables.runs import Run
from tests.integration.store.judged import Outputs, plant_judged

OUTPUTS: list[Outputs] = [
    ("the sun is hot", "the sun is hot", "no idea"),
    ("one two three four", "one two three five", "one two six seven"),
    ("alpha beta", "alpha gamma", "alpha delta epsilon"),
    ("+", "+", "+"),
]


@pytest.fixture
def run(sessions: Sessions) -> ExportedRun:
    """A run of four examples without surplus."""
    run_id = plant_judged(sessions, OUTPUTS)
    with sessions.begin() as session:
        session.execute(text("UPDATE examples SET surplus = false"))
    return ExportedRun(run_id, "judged-1", judgement_key(run_id), 0)


def exported(session: Session, out: Path, *runs: ExportedRun, **options: Any) -> ExportRecord:
    """An export with these options, those that are read from files or SQL left out."""
    return export(session, Request(runs, ExportOptions.model_validate(options)), out).record


def rows_of(session: Session, record: ExportRecord) -> list[Example]:
    return list(
        session.scalars(
            select(Example)
            .join(ExportRow, ExportRow.example_id == Example.id)
            .where(ExportRow.export_id == record.id)
            .order_by(ExportRow.place)
        )
    )


def left_out(session: Session, record: ExportRecord) -> dict[str, tuple[str, Any]]:
    """The reason and detail of each that was left out, by its output."""
    rows = session.execute(
        select(Example.output, ExportExclusion.reason, ExportExclusion.detail)
        .join(ExportExclusion, ExportExclusion.example_id == Example.id)
        .where(ExportExclusion.export_id == record.id)
    )
    return {output: (reason, detail) for output, reason, detail in rows}


def test_agreement_is_the_mean_of_the_choices_scores(sessions: Sessions, run: ExportedRun) -> None:
    with sessions() as session:
        rows = session.execute(text("SELECT output, agreement, exact_match FROM lineage.examples")).all()
    assert {output: (agreement, exact) for output, agreement, exact in rows} == {
        "the sun is hot": (0.5, True),
        "one two three four": (pytest.approx((0.75 + 0.5) / 2), False),
        "alpha beta": (pytest.approx((0.5 + 0.4) / 2), False),
        "+": (1.0, True),  # Rouge-L has no words to score there
    }


def test_what_agrees_too_little_is_left_out_with_its_agreement(
    sessions: Sessions, run: ExportedRun, tmp_path: Path
) -> None:
    with sessions() as session:
        record = exported(session, tmp_path / "out", run, min_agreement=0.5)
        assert [row.output for row in rows_of(session, record)] == ["the sun is hot", "one two three four", "+"]
        assert left_out(session, record) == {"alpha beta": ("agreement", {"agreement": pytest.approx(0.45)})}
        assert record.left_out == {LeftOut.AGREEMENT: 1}


def test_a_condition_leaves_out_what_it_does_not_hold_for(sessions: Sessions, run: ExportedRun, tmp_path: Path) -> None:
    condition = read_condition("exact_match AND output <> '+' OR output LIKE '%b%'")
    options = ExportOptions(where=condition.sql)
    with sessions() as session:
        record = export(session, Request((run,), options, condition), tmp_path / "out").record
        assert [row.output for row in rows_of(session, record)] == ["the sun is hot", "alpha beta"]
        assert set(left_out(session, record).values()) == {("where", None)}


def test_the_first_filter_that_leaves_an_example_out_is_its_reason(
    sessions: Sessions, run: ExportedRun, tmp_path: Path
) -> None:
    condition = read_condition("output <> '+'")
    options = ExportOptions(where=condition.sql, licences=("mit",), min_agreement=0.9, limit=1)
    with sessions() as session, pytest.raises(NothingLeftError) as refused:
        export(session, Request((run,), options, condition), tmp_path / "out")
    assert "of 4 examples, where left out 1, licence left out 3 (model base has none declared)." in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_what_overlaps_with_an_evaluation_set_is_left_out_and_told_where(
    sessions: Sessions, run: ExportedRun, tmp_path: Path
) -> None:
    path = tmp_path / "eval.jsonl"
    path.write_text('{"question": "Why?"}\n{"question": "WRITE number 2!"}\n')
    sets = read_evaluation_sets([path])
    with sessions() as session:
        request = Request((run,), ExportOptions(decontaminate=sets.files), evaluation=sets)
        record = export(session, request, tmp_path / "out").record
        told = {"file": "eval.jsonl", "line": 2, "ngram": "write number 2"}
        assert left_out(session, record) == {"alpha beta": ("contaminated", told)}
        assert len(rows_of(session, record)) == 3


def test_a_limit_takes_the_first_and_a_shuffle_others_the_same_each_time(
    sessions: Sessions, run: ExportedRun, tmp_path: Path
) -> None:
    with sessions() as session:
        first = rows_of(session, exported(session, tmp_path / "a", run, limit=2))
        assert [row.output for row in first] == ["the sun is hot", "one two three four"]
        orders = {}
        for seed in range(6):
            record = exported(session, tmp_path / f"s{seed}", run, shuffle=seed)
            orders[seed] = [row.id for row in rows_of(session, record)]
            limited = exported(session, tmp_path / f"l{seed}", run, shuffle=seed, limit=3)
            assert [row.id for row in rows_of(session, limited)] == orders[seed][:3]
    assert len(set(map(tuple, orders.values()))) > 1
    assert len(set(map(frozenset, orders.values()))) == 1


def test_splits_follow_the_call_that_proposed_the_instruction_whatever_else_is_exported(
    sessions: Sessions, run: ExportedRun, tmp_path: Path
) -> None:
    other = ExportedRun(plant_judged(sessions, OUTPUTS[:3], "judged-2"), "judged-2", uuid.UUID(int=0), 0)
    other = ExportedRun(other.run_id, other.run, judgement_key(other.run_id), 0)
    split = (("train", "0.5"), ("test", "0.5"))
    with sessions() as session:
        alone = splits_of(session, exported(session, tmp_path / "alone", run, split=split))
        both = splits_of(session, exported(session, tmp_path / "both", other, run, split=split, shuffle=3))
        roots: dict[uuid.UUID, uuid.UUID] = dict(
            session.execute(
                text(
                    "SELECT e.id, i.generation_id FROM examples e JOIN instances n ON n.id = e.instance_id "
                    "JOIN instructions i ON i.id = n.instruction_id"
                )
            ).all()
        )
    assert alone.items() <= both.items()
    by_root: dict[uuid.UUID, set[str | None]] = {}
    for example_id, name in both.items():
        by_root.setdefault(roots[example_id], set()).add(name)
    assert all(len(names) == 1 for names in by_root.values())
    assert set(both.values()) == {"train", "test"}


def splits_of(session: Session, record: ExportRecord) -> dict[uuid.UUID, str | None]:
    found = select(ExportRow.example_id, ExportRow.split).where(ExportRow.export_id == record.id)
    return dict(session.execute(found).all())


def test_relatives_stay_together_when_their_instructions_come_from_one_answer_or_two_judgements(
    sessions: Sessions, run: ExportedRun, tmp_path: Path
) -> None:
    with sessions.begin() as session:
        one = session.scalar(text("SELECT min(CAST(generation_id AS text)) FROM instructions"))
        session.execute(text("UPDATE instructions SET generation_id = CAST(:one AS uuid)"), {"one": one})
        own = judgements(session, run.run_id)[0]
        rejudge(session, run.run_id, 1, replace(terms_of(own), rule=Rule.NONE))
        session.execute(text("UPDATE examples SET surplus = false"))
    again = ExportedRun(run.run_id, run.run, judgement_key(run.run_id, 1), 1)
    split = (("a", "0.5"), ("b", "0.5"))
    with sessions() as session:
        names = [
            set(
                splits_of(
                    session, exported(session, tmp_path / each.run / str(each.judgement), each, split=split)
                ).values()
            )
            for each in (run, again)
        ]
    assert names[0] == names[1]
    assert len(names[0]) == 1


def test_the_folder_and_the_record_go_together_when_it_is_stopped_while_writing(
    sessions: Sessions, run: ExportedRun, tmp_path: Path
) -> None:
    seen: list[list[str]] = []

    @contextmanager
    def stopping(doing: str, total: int) -> Iterator[Any]:
        def stop(_: int) -> None:
            seen.append([path.name for path in tmp_path.rglob("*") if path.is_file()])
            raise KeyboardInterrupt

        yield stop

    with sessions() as session, pytest.raises(KeyboardInterrupt):
        export(session, Request((run,), ExportOptions()), tmp_path / "deep" / "out", stopping)
    assert seen == [["examples.jsonl"]]
    assert list(tmp_path.iterdir()) == []
    with sessions() as session:
        assert session.scalars(select(ExportRow.place)).all() == []


def test_a_record_that_can_not_be_kept_takes_its_folder_back(
    sessions: Sessions, run: ExportedRun, tmp_path: Path
) -> None:
    with sessions.begin() as session:
        session.execute(
            text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$BEGIN RAISE EXCEPTION 'the disk of the database is full'; END$$"
            )
        )
        session.execute(
            text(
                "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON exports DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )
    with sessions() as session, pytest.raises(Exception, match="the disk of the database is full"):
        exported(session, tmp_path / "out", run)
    assert list(tmp_path.iterdir()) == []


def test_an_example_that_was_tampered_with_is_noticed(sessions: Sessions, run: ExportedRun, tmp_path: Path) -> None:
    with sessions() as session:
        record = exported(session, tmp_path / "one", run)
        session.execute(text("UPDATE examples SET output = 'mine' WHERE output = '+'"))
        session.commit()
        with pytest.raises(ExportDiffersError, match=r"examples.jsonl is another file than the one recorded"):
            export_again(session, record, tmp_path / "two")
    assert not (tmp_path / "two").exists()


def test_an_earlier_export_is_made_again_when_the_run_has_gone_on(
    sessions: Sessions, run: ExportedRun, tmp_path: Path
) -> None:
    with sessions() as session:
        session.execute(text("UPDATE examples SET surplus = true WHERE output = '+'"))
        session.commit()
        record = exported(session, tmp_path / "one", run, split=(("train", "0.5"), ("test", "0.5")))
        session.execute(text("UPDATE examples SET surplus = false"))
        session.commit()
        assert exported(session, tmp_path / "more", run).rows == record.rows + 1
        again = export_again(session, find_record_of(session, str(record.id)[:8]), tmp_path / "two")
    assert (again.again, again.record) == (True, find_record(sessions, record.id))
    contents = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert contents[0] == contents[1]


def find_record(sessions: Sessions, id: uuid.UUID) -> ExportRecord:
    with sessions() as session:
        return find_record_of(session, str(id))


def test_a_record_follows_from_what_was_asked_for_and_what_came_of_it(
    sessions: Sessions, run: ExportedRun, tmp_path: Path
) -> None:
    asked: list[dict[str, Any]] = [{}, {"formats": ["alpaca"]}, {"limit": 4}, {"shuffle": 1}, {"limit": 3}]
    with sessions() as session:
        records = [exported(session, tmp_path / str(number), run, **options) for number, options in enumerate(asked)]
    assert len({record.id for record in records}) == 5
    assert all(record.id == key("export", record.fingerprint) for record in records)
    assert json.loads((tmp_path / "0" / "examples.jsonl").read_text().splitlines()[0])["output"] == "the sun is hot"


def test_two_runs_stand_in_the_order_of_the_command(sessions: Sessions, run: ExportedRun, tmp_path: Path) -> None:
    other_id = plant_judged(sessions, OUTPUTS[:2], "judged-2")
    other = ExportedRun(other_id, "judged-2", judgement_key(other_id), 0)
    with sessions() as session:
        names = dict(session.execute(select(Run.id, Run.name)).all())
        record = exported(session, tmp_path / "out", other, run)
        assert [names[row.run_id] for row in rows_of(session, record)] == ["judged-2"] * 2 + ["judged-1"] * 4
        assert [each.run for each in record.runs] == ["judged-2", "judged-1"]
