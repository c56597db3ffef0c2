"""What logins of each role may do, and above all what they may not."""

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import errors, sql
from sqlalchemy import Engine, make_url, text

from services.local.postgres import Postgres
from shared.store.retractions import retract
from shared.store.roles import MayNotCreateUsersError, Role, UserIsMoreError, WeakPasswordError, create_login
from shared.store.roots import find_roots
from shared.store.session import Sessions, make_engine, make_sessions
from shared.store.tables.retractions import RootKind
from tests.integration.admin.command_line import CommandLine
from tests.integration.store.planted import plant_run

PASSWORD = "correct-horse-battery"  # noqa: S105 - of logins that live as long as a test
SECURITY = Path(__file__).parents[3] / "docs" / "security.md"
Login = Callable[[Role], str]


@pytest.fixture
def login(engine: Engine, postgres: Postgres, database_url: str) -> Iterator[Login]:
    """Makes logins; each gets an address. They are the server's, so they go with the test."""
    names: list[str] = []

    def make(role: Role) -> str:
        names.append(f"{role}_{uuid.uuid4().hex[:8]}")
        create_login(engine, names[-1], role, PASSWORD)
        return address(database_url, names[-1])

    yield make
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def address(database_url: str, name: str, password: str = PASSWORD) -> str:
    """The database's address for a login."""
    return make_url(database_url).set(username=name, password=password).render_as_string(hide_password=False)


def refused(url: str, statement: LiteralString) -> bool:
    """Whether a statement is refused for want of a right."""
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            connection.execute(statement)
        except errors.InsufficientPrivilege:
            return True
    return False


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE generations",
        "ALTER TABLE generations ADD COLUMN more text",
        "CREATE TABLE more (id integer)",
        "TRUNCATE model_shares",
        "DELETE FROM generations",
        "DELETE FROM examples",
        "UPDATE generations SET prompt = ''",
        "UPDATE examples SET output = ''",
        "UPDATE runs SET job = '{}'",
        "INSERT INTO retracted_records VALUES (gen_random_uuid(), 1, 'example', 1)",
        "UPDATE retractions SET undone_at = now(), undone_by = ''",
        "CREATE TEMP TABLE servers (id uuid, model_id uuid); CREATE TRIGGER mine AFTER INSERT ON pg_temp.servers"
        " REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mark_made('server', 'ARRAY[c.id]')",
        "INSERT INTO runs (id, name, job, fingerprint) VALUES (gen_random_uuid(), 'more', '{}', '')",
        "DROP VIEW lineage.examples",
        "CREATE ROLE more",
        "UPDATE alembic_version SET version_num = ''",
    ],
)
def test_a_worker_can_not(login: Login, statement: LiteralString) -> None:
    assert refused(login(Role.WORKER), statement)


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE runs", "TRUNCATE runs CASCADE", "DELETE FROM generations", "CREATE TABLE more (id integer)",
     "UPDATE alembic_version SET version_num = ''"],
)  # fmt: skip
def test_an_operator_can_not(login: Login, statement: LiteralString) -> None:
    assert refused(login(Role.OPERATOR), statement)


@pytest.mark.parametrize("statement", ["DELETE FROM instances", "DELETE FROM candidates", "DELETE FROM verdicts"])
def test_an_operator_can_take_back_what_stood_in_for_dead_work(login: Login, statement: LiteralString) -> None:
    assert not refused(login(Role.OPERATOR), statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO seed_tasks SELECT * FROM seed_tasks",
        "UPDATE runs SET state = 'cancelled'",
        "DELETE FROM model_shares",
        "DROP VIEW lineage.examples",
        "CREATE TABLE lineage.more (id integer)",
        "CREATE TABLE more (id integer)",
        "SELECT job FROM runs",
    ],
)
def test_a_reader_can_not(login: Login, statement: LiteralString) -> None:
    assert refused(login(Role.READER), statement)


def test_a_reader_has_no_right_to_anything_outside_of_the_lineage(engine: Engine, login: Login) -> None:
    name = make_url(login(Role.READER)).username
    with engine.connect() as connection:
        rights = connection.execute(
            text(
                """
                SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                WHERE nspname IN ('public', 'lineage') AND CASE WHEN relkind = 'S'
                  THEN has_sequence_privilege(:name, c.oid, 'USAGE, SELECT, UPDATE')
                  WHEN relkind IN ('r', 'p', 'v', 'm')
                  THEN has_table_privilege(:name, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                    OR nspname = 'public' AND has_any_column_privilege(:name, c.oid, 'SELECT, INSERT, UPDATE')
                  ELSE false END
                """
            ),
            {"name": name},
        )
        assert rights.scalars().all() == []


def test_what_postgres_gives_to_all_can_be_taken_from_a_reader(
    engine: Engine, login: Login, sessions: Sessions, database_url: str
) -> None:
    reader, operator = login(Role.READER), login(Role.OPERATOR)
    recipe = re.search(r"```sql\n(REVOKE TEMPORARY.*?)```", SECURITY.read_text(), re.DOTALL)
    assert recipe
    with engine.begin() as connection:
        connection.execute(text(recipe[1].replace("ensemble_instruct ", f"{make_url(database_url).database} ")))
    assert refused(reader, "CREATE TEMP TABLE mine (id integer)")
    assert refused(reader, "SELECT lo_from_bytea(0, 'x')")
    assert refused(reader, "SELECT lo_create(0)")
    plant_run(sessions)
    as_operator = make_engine(operator)
    with make_sessions(as_operator)() as session:
        assert retract(session, find_roots(session, RootKind.MODEL, "base"), "base", "it is wrong", "a test")
    as_operator.dispose()


def test_a_reader_asks_the_lineage(login: Login) -> None:
    with psycopg.connect(login(Role.READER)) as connection:
        assert connection.execute("SELECT count(*) FROM lineage.examples").fetchone() == (0,)


def test_workers_and_operators_read_every_table(engine: Engine, login: Login) -> None:
    login(Role.WORKER)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND NOT ("
            " has_table_privilege('ensemble_worker', oid, 'SELECT')"
            " AND has_table_privilege('ensemble_operator', oid, 'SELECT')"
            " AND (relname = 'alembic_version' OR has_table_privilege('ensemble_operator', oid, 'INSERT')))"
        )
        assert rows.scalars().all() == []


def test_what_a_worker_adds_is_marked_though_it_may_not_mark(
    sessions: Sessions, login: Login, database_url: str
) -> None:
    plant_run(sessions)
    with sessions() as session:
        roots = find_roots(session, RootKind.MODEL, "base")
        retract(session, roots, "base", "it is wrong", "a test")
    with psycopg.connect(login(Role.WORKER), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO servers (id, model_id, endpoint) VALUES (gen_random_uuid(), %s, 'http://127.0.0.1:1')",
            [roots[0].id],
        )
        marked = "SELECT kind, distance FROM retracted_records ORDER BY distance"
        assert connection.execute(marked).fetchall() == [("model", 0), ("server", 1)]


def test_a_login_gets_another_password(engine: Engine, login: Login, database_url: str) -> None:
    url = make_url(login(Role.WORKER))
    assert url.username
    assert create_login(engine, url.username, Role.WORKER, "another-horse-battery") is False
    with psycopg.connect(address(database_url, url.username, "another-horse-battery")):
        pass
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(address(database_url, url.username))


def test_a_login_that_is_something_else_is_left_alone(engine: Engine, login: Login) -> None:
    name = make_url(login(Role.READER)).username
    assert name
    with pytest.raises(UserIsMoreError, match="a member of dataset_reader; choose another name for the role worker"):
        create_login(engine, name, Role.WORKER, PASSWORD)
    with pytest.raises(UserIsMoreError, match="is a superuser"):
        create_login(engine, "postgres", Role.WORKER, PASSWORD)


@pytest.fixture
def owner(engine: Engine, database_url: str) -> Iterator[Engine]:
    """The connections of one who may create users and is no superuser, as a managed Postgres has them."""
    name = f"owner_{uuid.uuid4().hex[:8]}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
        connection.exec_driver_sql(f"GRANT ensemble_worker TO {name} WITH ADMIN OPTION")
        connection.exec_driver_sql(f"GRANT SELECT ON alembic_version TO {name}")
    made = make_engine(address(database_url, name))
    yield made
    made.dispose()
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {name} CASCADE")
        connection.exec_driver_sql(f"DROP ROLE {name}")


def test_an_owner_who_is_no_superuser_makes_a_login_and_gives_it_another_password(
    engine: Engine, owner: Engine, database_url: str
) -> None:
    name = f"worker_{uuid.uuid4().hex[:8]}"
    try:
        assert create_login(owner, name, Role.WORKER, PASSWORD) is True
        assert create_login(owner, name, Role.WORKER, "another-horse-battery") is False
        with psycopg.connect(address(database_url, name, "another-horse-battery")):
            pass
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP ROLE IF EXISTS {name}")


@pytest.mark.parametrize("more", ["CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS"])
def test_a_user_who_may_do_more_is_left_alone(engine: Engine, more: str) -> None:
    name = f"more_{uuid.uuid4().hex[:8]}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} {more}")
    try:
        with pytest.raises(UserIsMoreError, match="choose another name for the role worker"):
            create_login(engine, name, Role.WORKER, PASSWORD)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP ROLE {name}")


def test_a_short_password_is_refused(engine: Engine) -> None:
    with pytest.raises(WeakPasswordError, match="has 5 characters; let it have 12 or more"):
        create_login(engine, "somebody", Role.READER, "short")


def test_only_one_who_may_create_users_does(login: Login) -> None:
    engine = make_engine(login(Role.OPERATOR))
    try:
        with pytest.raises(MayNotCreateUsersError, match="Use the owner's address"):
            create_login(engine, "somebody", Role.READER, PASSWORD)
    finally:
        engine.dispose()


def test_the_command_takes_the_password_from_the_environment(
    engine: Engine,
    postgres: Postgres,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    command, name = CommandLine(monkeypatch, capsys), f"reader_{uuid.uuid4().hex[:8]}"
    assert "NEW_USER_PASSWORD is not set" in command.refused(2, "db", "create-user", name, "--role", "reader")
    made = command("db", "create-user", name, "--role", "reader", NEW_USER_PASSWORD=PASSWORD)
    assert made.err == f"user '{name}' is there now, as reader\n"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
