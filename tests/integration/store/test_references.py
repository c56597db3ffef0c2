"""What a record belongs to exists, and stays, though the totals hold the foreign keys."""

import uuid
from typing import Any

import pytest
from sqlalchemy import inspect, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.store.base import Base
from shared.store.copying import copy_rows
from shared.store.session import Sessions
from shared.store.tables.records import Candidate, Example, Generation, Instance, Instruction, Verdict
from tests.integration.store.judged import plant_judged

RECORDS = (Generation, Instruction, Instance, Candidate, Verdict, Example)
OWNERS = [
    *((kind, "run_id") for kind in RECORDS),
    *((Generation, column) for column in ("model_id", "template_id")),
    *((kind, "judgement_id") for kind in (Verdict, Example)),
]


@pytest.fixture
def planted(sessions: Sessions) -> Sessions:
    """A database with two instances that were judged, and all that they are made of."""
    plant_judged(sessions, [("a b", "a b", "c"), ("d e", "d e", "d e")])
    return sessions


def _row(session: Session, kind: type[Base]) -> dict[str, Any]:
    found = session.execute(text(f"SELECT * FROM {kind.__tablename__} LIMIT 1")).mappings().one()  # noqa: S608 - our names
    return dict(found)


def _again(session: Session, kind: type[Base], **changes: object) -> None:
    """Write a record that is there already once more, but for these changes, under keys of its own."""
    unique = {"id": uuid.uuid4(), "attempt": 9, "position": 99, "accepted_order": 99, "number": 9}
    row = _row(session, kind)
    copy_rows(session, kind, [row | {name: value for name, value in unique.items() if name in row} | changes])


@pytest.mark.parametrize(("kind", "owner"), OWNERS)
def test_a_record_of_what_does_not_exist_is_refused(planted: Sessions, kind: type[Base], owner: str) -> None:
    with planted() as session:
        _drop_uniqueness(session, kind)
        _again(session, kind)
        with pytest.raises(IntegrityError, match="foreign key"):
            _again(session, kind, **{owner: uuid.uuid4()})


def _drop_uniqueness(session: Session, kind: type[Base]) -> None:
    """Within this transaction, lest a second row of the same parents be refused for that."""
    for constraint in inspect(session.connection()).get_unique_constraints(kind.__tablename__):
        session.execute(text(f'ALTER TABLE {kind.__tablename__} DROP CONSTRAINT "{constraint["name"]}" CASCADE'))


@pytest.mark.parametrize("parent", ["runs", "models", "prompt_templates", "judgements"])
def test_what_records_belong_to_can_not_be_deleted(planted: Sessions, parent: str) -> None:
    used = {
        "runs": "SELECT run_id FROM generations",
        "models": "SELECT model_id FROM generations",
        "prompt_templates": "SELECT template_id FROM generations",
        "judgements": "SELECT judgement_id FROM verdicts",
    }
    with planted() as session, pytest.raises(IntegrityError, match="foreign key"):
        session.execute(text(f"DELETE FROM {parent} WHERE id IN ({used[parent]})"))  # noqa: S608 - our names


@pytest.mark.parametrize(("kind", "owner"), OWNERS)
def test_a_record_never_belongs_to_another(planted: Sessions, kind: type[Base], owner: str) -> None:
    with planted() as session, pytest.raises(IntegrityError, match="never changes"):
        session.execute(update(kind).values({owner: uuid.uuid4()}))
