"""Many examples' provenance as one stream: the `prov` library reads it, and it says what `lineage --prov` says."""

import json
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from prov.model import ProvDocument
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from services.local.postgres import Postgres
from services.local.valkey import Valkey
from shared.dataset.prov_document import prov_json
from shared.dataset.prov_stream import CHUNK, prov_chunks
from shared.lm.fake import FakeServer
from shared.store.gathered import NoSuchExampleError
from shared.store.lineage import lineage_of
from shared.store.session import make_engine, make_sessions
from shared.store.tables.records import Example
from tests.integration.workers.driving import a_worker, begin, drive, small_job


@pytest.fixture(scope="module")
def session(postgres: Postgres, valkey: Valkey) -> Iterator[Session]:
    """A session on the database of a run that has ended, for tests that only read."""
    name = f"prov_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    url = postgres.url_of(name)
    with FakeServer() as server, a_worker(url, valkey.url) as runtime:
        drive(runtime, begin(runtime, small_job(server.url, targets={"input_output": 4, "output_only": 4})))
    engine = make_engine(url)
    with make_sessions(engine)() as session:
        yield session
    engine.dispose()


def example_ids(session: Session) -> list[uuid.UUID]:
    """All the examples of the run."""
    return list(session.scalars(select(Example.id).order_by(Example.id)))


def read(content: str) -> ProvDocument:
    """The document, as the `prov` library reads it."""
    return ProvDocument.deserialize(content=content, format="json")


def streamed(session: Session, examples: list[uuid.UUID]) -> str:
    """The whole stream."""
    return "".join(prov_chunks(session, examples))


def test_of_one_example_it_says_what_the_library_writes(session: Session) -> None:
    for example in example_ids(session):
        assert read(streamed(session, [example])) == read(prov_json(lineage_of(session, "example", example)))


def test_of_many_it_is_the_sum_of_each_with_what_they_share_once(session: Session) -> None:
    examples = example_ids(session)
    whole = read(prov_json(lineage_of(session, "example", examples[0])))
    for example in examples[1:]:
        whole.update(read(prov_json(lineage_of(session, "example", example))))
    document = read(streamed(session, examples))
    assert document == whole.unified()
    assert len(list(document.get_records())) < len(list(whole.get_records()))


def test_every_name_stands_once(session: Session) -> None:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    told = json.loads(streamed(session, example_ids(session)), object_pairs_hook=once)
    assert set(told) == {
        *("prefix", "entity", "activity", "agent"),
        *("wasGeneratedBy", "used", "wasAssociatedWith", "wasDerivedFrom", "actedOnBehalfOf"),
    }
    elements = {**told["entity"], **told["activity"], **told["agent"]}
    for section in ("wasGeneratedBy", "used", "wasAssociatedWith", "wasDerivedFrom", "actedOnBehalfOf"):
        for edge in told[section].values():
            assert {end for name, end in edge.items() if name not in ("prov:role", "prov:type")} <= elements.keys()


def test_the_same_examples_give_the_same_text(session: Session) -> None:
    examples = example_ids(session)
    assert streamed(session, examples) == streamed(session, [*examples[::-1], examples[0]])


def test_it_comes_in_pieces(session: Session) -> None:
    pieces = list(prov_chunks(session, example_ids(session)))
    assert len(pieces) > 1
    assert all(CHUNK <= len(piece) < 2 * CHUNK for piece in pieces[:-1])


def test_no_examples_are_a_document_without_records(session: Session) -> None:
    assert list(read(streamed(session, [])).get_records()) == []


def test_what_is_no_example_is_refused_before_the_first_piece(session: Session) -> None:
    stranger = uuid.UUID(int=7)
    with pytest.raises(NoSuchExampleError, match=str(stranger)):
        next(prov_chunks(session, [*example_ids(session), stranger]))


def test_nothing_of_it_is_left_behind(session: Session) -> None:
    streamed(session, example_ids(session))
    session.rollback()
    assert session.scalar(text("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'gathered%'")) == 0
