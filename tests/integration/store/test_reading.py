"""What a person's condition can do in the database: read the lineage, and nothing else."""

import uuid

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from shared.dataset.conditions import read_condition
from shared.store import reading as module
from shared.store.keys import judgement_key
from shared.store.reading import ConditionRefusedError, ConditionTooSlowError, check_functions, matching, reading
from shared.store.session import Sessions, make_sessions
from tests.integration.store.judged import plant_judged

CONDITIONS = (
    "exact_match OR margin > 0.1",
    "output LIKE '%e' AND NOT output ~ '^y' OR output !~* 'E'",
    "position % 2 = 0 AND mod(position, 64) <> 1",
    "length(output) / 2 > 2 OR candidates - 1 > 2 AND surplus",
    "created_at > now() - interval '1 day' AND date_trunc('day', created_at) <= current_date",
    "scores -> 0 ->> 1 = '0.0' OR CAST(scores -> 1 ->> 2 AS float) = 1",
    "run = 'judged-1' AND judgement = 0 AND task_type IN ('output_only') AND chosen_voice <> 'two'",
    "agreement IS NOT NULL AND (agreement IS DISTINCT FROM 0) IS TRUE",
    "NOT (surplus AND output = 'it''s') AND substring(output FROM 1 FOR 3) = 'sho'",
    "split_part(output, ' ', 1) || '!' = 'yes!' OR position('o' IN output) > 0",
    "EXISTS (SELECT FROM lineage.candidates c WHERE c.instance_id = examples.instance_id AND c.voice = 'one')",
    "(SELECT count(*) FROM lineage.ancestors('example', examples.id) a WHERE a.ancestor_kind = 'candidate') = 3",
)


@pytest.fixture
def judged(sessions: Sessions) -> uuid.UUID:
    """A judgement of three examples."""
    outputs = [("a long answer", "short", "short"), ("yes indeed", "yes indeed", "no"), ("we do", "we see", "we can")]
    return judgement_key(plant_judged(sessions, outputs))


def found(session: Session, condition: str, judgement_id: uuid.UUID) -> set[uuid.UUID]:
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    read = read_condition(condition)
    with reading(session) as connection:
        check_functions(connection, read.functions)
        return {id for page in matching(connection, read.sql, [judgement_id]) for id in page}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_means_what_it_means_to_postgres(sessions: Sessions, judged: uuid.UUID, condition: str) -> None:
    with sessions() as session:
        verbatim = f"SELECT id FROM lineage.examples WHERE {condition.replace('%', '%%')}"  # noqa: S608 - our conditions
        expected = set(session.connection().exec_driver_sql(verbatim).scalars())
    with sessions() as session:
        assert found(session, condition, judged) == expected


def test_it_sees_what_the_session_sees_and_no_later(sessions: Sessions, judged: uuid.UUID) -> None:
    with sessions() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        session.execute(text("SELECT 1"))
        with sessions.begin() as another:
            another.execute(text("UPDATE examples SET output = 'changed since'"))
        with reading(session) as connection:
            assert not [*matching(connection, "output = 'changed since'", [judged])]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("CREATE TEMPORARY TABLE mine (x int)", "read-only transaction"),
        ("UPDATE lineage.seed_tasks SET name = ''", "read-only transaction|permission denied"),
        ("SELECT * FROM public.runs", "permission denied"),
        ("SELECT * FROM runs", "does not exist"),
        ("SELECT pg_read_file('/etc/passwd')", "permission denied"),
    ],
)
def test_the_connection_can_do_nothing_else(sessions: Sessions, statement: str, told: str) -> None:
    with sessions() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        with reading(session) as connection, pytest.raises(DBAPIError, match=told):
            connection.exec_driver_sql(statement)


def test_a_second_statement_is_not_even_taken(sessions: Sessions, judged: uuid.UUID) -> None:
    with sessions() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        with (
            reading(session) as connection,
            pytest.raises(ConditionRefusedError, match="cannot insert multiple commands"),
        ):
            [*matching(connection, "true); SELECT (true", [judged])]


def test_a_condition_that_takes_too_long_is_given_up(
    sessions: Sessions, judged: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 1)
    slow = "(SELECT count(*) FROM generate_series(1, 100000000000)) > 0"
    with sessions() as session, pytest.raises(ConditionTooSlowError, match="after 1 seconds"):
        found(session, slow, judged)


def test_a_user_who_is_no_reader_reads_with_the_rights_of_its_own(
    sessions: Sessions, judged: uuid.UUID, database_url: str
) -> None:
    name = f"owner_{uuid.uuid4().hex[:8]}"
    with sessions.begin() as session:
        session.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'secret' IN ROLE pg_read_all_data"))
        session.execute(text(f"GRANT USAGE ON SCHEMA lineage TO {name}"))
        session.execute(text(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lineage TO {name}"))
    address = database_url.replace("postgresql://", "postgresql+psycopg://").split("@")[1]
    engine = create_engine(f"postgresql+psycopg://{name}:secret@{address}")
    try:
        with make_sessions(engine)() as session:
            assert len(found(session, "output = 'short'", judged)) == 1
    finally:
        engine.dispose()
        with sessions.begin() as session:
            session.execute(text(f"DROP OWNED BY {name}"))
            session.execute(text(f"DROP ROLE {name}"))
