"""Which models an example came from: for all at once what `lineage.ancestors` finds for each, on a real run."""

import random
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.dataset.choosing import NothingLeftError, Request
from shared.dataset.export import export
from shared.dataset.export_record import ExportOptions
from shared.lm.fake import FakeServer
from shared.store.authorship import authors_of, trace
from shared.store.exports import ExportedRun, row_pages
from shared.store.keys import judgement_key
from shared.store.session import Sessions
from tests.integration.workers.driving import a_worker, begin, drive, small_job

ANCESTORS = """
    SELECT e.id, a.ancestor_id FROM lineage.examples e CROSS JOIN LATERAL lineage.ancestors('example', e.id) a
    WHERE e.run_id = :run AND a.ancestor_kind = 'model'
"""
OF_EXAMPLES = """
    SELECT e.id, c.generation_id FROM lineage.examples e JOIN candidates c ON c.id = e.candidate_id
    WHERE e.run_id = :run ORDER BY e.id
"""
CALLS_BEHIND = """
    SELECT a.ancestor_id FROM lineage.ancestors('example', :id) a WHERE a.ancestor_kind = 'generation'
"""
LICENCES = {"base": "Apache-2.0", "chat": "MIT", "third": None}


@dataclass(frozen=True, slots=True)
class Mixed:
    """A run whose calls were made by three models, in a database of its own."""

    sessions: Sessions
    run: ExportedRun


@pytest.fixture
def mixed(database_url: str, redis_url: str, sessions: Sessions) -> Mixed:
    """A real run; afterwards some of its calls are said to be another model's, so that ancestries differ."""
    with FakeServer() as lm:
        models = {"third": {"protocol": "openai", "kind": "vanilla", "endpoints": [lm.url]}}
        job = small_job(lm.url, targets={"input_output": 12, "output_only": 8}, models=models)
        with a_worker(database_url, redis_url) as runtime:
            run = drive(runtime, begin(runtime, job))
    with sessions.begin() as session:
        for name, licence in LICENCES.items():
            session.execute(
                text("UPDATE models SET licence = :licence WHERE name = :name"), {"licence": licence, "name": name}
            )
        _pass_off(session, run.id)
    return Mixed(sessions, ExportedRun(run.id, run.name, judgement_key(run.id), 0))


def _pass_off(session: Session, run_id: uuid.UUID) -> None:
    """Say of one proposal in ten, and of one instance and output in four, that another model wrote it.

    One example is of `base` alone, and the output of another is `third`'s, whatever the dice say.
    """
    chance = random.Random(3)
    session.execute(text("ALTER TABLE generations DISABLE TRIGGER refuse_other_owner"))
    calls = session.execute(text("SELECT id, stage FROM generations WHERE run_id = :run ORDER BY id"), {"run": run_id})
    for id, stage in calls.all():
        if chance.random() < (0.1 if stage == "instruction" else 0.25):
            _say(session, run_id, id, chance.choice(list(LICENCES)))
    first, *_, last = session.execute(text(OF_EXAMPLES), {"run": run_id}).all()
    for id in session.scalars(text(CALLS_BEHIND), {"id": first.id}):
        _say(session, run_id, id, "base")
    _say(session, run_id, last.generation_id, "third")


def _say(session: Session, run_id: uuid.UUID, id: uuid.UUID, model: str) -> None:
    """Say that a model made a call."""
    session.execute(
        text(
            "UPDATE generations SET server_id = NULL, model_id = "
            "(SELECT id FROM models WHERE run_id = :run AND name = :name) WHERE id = :id"
        ),
        {"run": run_id, "id": id, "name": model},
    )


def ancestors(session: Session, run_id: uuid.UUID) -> dict[uuid.UUID, set[uuid.UUID]]:
    found: dict[uuid.UUID, set[uuid.UUID]] = {}
    for example_id, model_id in session.execute(text(ANCESTORS), {"run": run_id}):
        found.setdefault(example_id, set()).add(model_id)
    return found


def test_it_is_what_the_lineage_tells_of_each_and_decides_by_licence(mixed: Mixed, tmp_path: Path) -> None:
    with mixed.sessions() as session:
        expected = ancestors(session, mixed.run.run_id)
        trace(session, [mixed.run.run_id])
        assert authors_of(session, list(expected)) == expected
    assert len(set(map(frozenset, expected.values()))) > 2
    for licences in ("apache-2.0",), ("apache-2.0", "mit"):
        with mixed.sessions() as session:
            assert licensed(session, mixed.run, licences, tmp_path / str(len(licences))) == {
                example_id for example_id, models in expected.items() if models <= carrying(session, licences)
            }
    with mixed.sessions() as session, pytest.raises(NothingLeftError, match="model third has none declared"):
        licensed(session, mixed.run, ("gpl-3.0",), tmp_path / "none")


def carrying(session: Session, licences: tuple[str, ...]) -> set[uuid.UUID]:
    found = text("SELECT id FROM models WHERE lower(licence) = ANY (:licences)")
    return set(session.scalars(found, {"licences": list(licences)}))


def licensed(session: Session, run: ExportedRun, licences: tuple[str, ...], out: Path) -> set[uuid.UUID]:
    record = export(session, Request((run,), ExportOptions(licences=licences, surplus=True)), out).record
    assert sum(record.left_out.values()) > 0
    return {row.id for page in row_pages(session, record.id) for row in page}
