"""The tables: made by migrations, as the program knows them, open to readers as far as promised."""

import uuid
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from shared.store import migrate
from shared.store.migrate import upgrade
from shared.store.revisions import (
    LOCATION,
    DatabaseEmptyError,
    DatabaseNewerError,
    DatabaseNotMigratedError,
    current_revision,
    known_revisions,
    newest_revision,
    require_migrated,
)
from shared.store.session import (
    DatabaseAddressError,
    DatabaseUnreachableError,
    make_engine,
    ping,
)
from shared.store.tables import Base

VIEWS = [
    *("candidates", "edges", "examples", "export_exclusions", "export_rows", "exports"),
    *("funnel", "generations", "instances", "instructions", "judgements", "models"),
    *("origin_files", "origins", "prompt_templates", "rejections", "retracted_records", "retractions"),
    *("runs", "seed_influence", "seed_tasks"),
    *("servers", "usage", "verdicts", "yields"),
]


def downgrade(engine: Engine, revision: str = "base") -> None:
    config = Config()
    config.set_main_option("script_location", str(LOCATION))
    config.attributes["engine"] = engine
    command.downgrade(config, revision)


def tables(engine: Engine) -> set[str]:
    statement = text(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables"
        " WHERE table_schema IN ('public', 'lineage')"
    )
    with engine.connect() as connection:
        return set(connection.scalars(statement))


def as_reader(engine: Engine, statement: str) -> list[Any]:
    """What a statement gives to somebody who is nothing but a `dataset_reader`."""
    with engine.connect() as connection:
        connection.execute(text("SET ROLE dataset_reader"))
        return [*connection.execute(text(statement))]


def test_migrations_go_up_and_down_and_up_again(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    try:
        assert upgrade(engine) == newest_revision()
        made = tables(engine)
        downgrade(engine)
        assert tables(engine) == {"public.alembic_version"}
        upgrade(engine)
        assert tables(engine) == made
    finally:
        engine.dispose()


def test_what_an_earlier_version_did_not_give_to_operators_is_given_now(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    may = text("SELECT has_table_privilege('ensemble_operator', 'verdicts', 'DELETE')")
    try:
        upgrade(engine)
        downgrade(engine, "0014")
        with engine.begin() as connection:
            connection.execute(text("REVOKE DELETE ON verdicts FROM ensemble_operator"))
            assert not connection.scalar(may)
        upgrade(engine)
        with engine.connect() as connection:
            assert connection.scalar(may)
    finally:
        engine.dispose()


def test_revisions_are_known_by_their_files_names() -> None:
    scripts = ScriptDirectory(str(LOCATION))
    assert known_revisions() == tuple(script.revision for script in scripts.walk_revisions())[::-1]
    assert scripts.get_heads() == [newest_revision()]


def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    before = tables(engine)
    upgrade(engine)
    assert tables(engine) == before


def test_the_tables_are_as_the_program_knows_them(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_database_checks_what_the_program_says_it_checks(engine: Engine) -> None:
    declared = {
        constraint.name
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if constraint.name and str(constraint.name).startswith("ck_")
    }
    with engine.connect() as connection:
        found = set(connection.scalars(text("SELECT conname FROM pg_constraint WHERE contype = 'c'")))
    assert declared
    assert declared <= found


def test_every_foreign_key_has_an_index_to_follow_it_backwards(engine: Engine) -> None:
    statement = text(
        """
        SELECT c.conrelid::regclass || '.' || a.attname FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'f' AND NOT EXISTS (
          SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]
            AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', a.attname)))
        """
    )
    with engine.connect() as connection:
        unindexed = set(connection.scalars(statement))
    assert unindexed == set()


def test_prompts_are_compressed_in_the_quickest_way_that_the_server_knows(engine: Engine) -> None:
    known = text("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
    chosen = text(
        "SELECT attcompression FROM pg_attribute WHERE attrelid = 'generations'::regclass AND attname = 'prompt'"
    )
    with engine.connect() as connection:
        assert connection.scalar(chosen) == ("l" if "lz4" in connection.execute(known).scalar_one() else "")


def test_an_empty_database_is_refused_with_the_command_that_mends_it(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    try:
        assert current_revision(engine) is None
        with pytest.raises(DatabaseEmptyError, match=r"is empty.* run `ensemble-instruct db upgrade`"):
            require_migrated(engine)
    finally:
        engine.dispose()


def test_tables_that_are_older_than_the_program_are_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(DatabaseNotMigratedError, match=r"revision 0001, this program needs .*db upgrade"):
        require_migrated(engine)


def test_a_database_that_is_away_is_named_without_its_password() -> None:
    engine = make_engine("postgresql://me:secret@127.0.0.1:9/nowhere")
    with pytest.raises(DatabaseUnreachableError) as refused:
        ping(engine)
    assert "127.0.0.1:9/nowhere" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("address", ["", "nowhere", "mysql://me@there/db", "http://there"])
def test_an_address_that_is_no_postgres_is_refused(address: str) -> None:
    with pytest.raises(DatabaseAddressError):
        make_engine(address)


@pytest.mark.parametrize("view", VIEWS)
def test_a_dataset_reader_may_read_every_view_of_the_lineage(engine: Engine, view: str) -> None:
    assert as_reader(engine, f"SELECT * FROM lineage.{view}") == []  # noqa: S608 - our names


def test_the_views_of_the_lineage_are_the_ones_that_readers_are_promised(engine: Engine) -> None:
    assert sorted(name.removeprefix("lineage.") for name in tables(engine) if name.startswith("lineage.")) == VIEWS


def test_a_dataset_reader_may_ask_for_ancestors(engine: Engine) -> None:
    assert as_reader(engine, f"SELECT * FROM lineage.ancestors('example', '{uuid.uuid4()}')") == []  # noqa: S608 - our key


def test_a_dataset_reader_may_ask_for_descendants(engine: Engine) -> None:
    assert as_reader(engine, f"SELECT * FROM lineage.descendants('model', '{uuid.uuid4()}')") == []  # noqa: S608 - our key


def test_every_view_and_column_of_the_lineage_says_what_it_is(engine: Engine) -> None:
    statement = text(
        """
        SELECT c.relname || coalesce('.' || a.attname, '') FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'lineage'
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE coalesce(col_description(c.oid, a.attnum), '') = '' OR coalesce(obj_description(c.oid), '') = ''
        """
    )
    with engine.connect() as connection:
        assert connection.scalars(statement).all() == []


@pytest.mark.parametrize("table", sorted(Base.metadata.tables))
def test_a_dataset_reader_may_read_no_table(engine: Engine, table: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_reader(engine, f"SELECT * FROM {table}")  # noqa: S608 - our names


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (x int)",
        "CREATE TABLE lineage.mine (x int)",
        "DELETE FROM lineage.seed_tasks",
        "UPDATE lineage.seed_tasks SET name = ''",
    ],
)
def test_a_dataset_reader_may_change_nothing(engine: Engine, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        as_reader(engine, statement)


def test_a_database_of_a_newer_program_is_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for attempt in (require_migrated, upgrade):
        with pytest.raises(DatabaseNewerError, match="revision 9999"):
            attempt(engine)


def test_tables_that_somebody_uses_are_left_as_they_are(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "WAITS_S", ())
    downgrade(engine, "0005")  # after which come tables that refer to runs
    before = current_revision(engine)
    with engine.connect() as another:
        another.execute(text("LOCK TABLE runs IN ROW EXCLUSIVE MODE"))  # as a worker that writes there
        with pytest.raises(migrate.TablesBusyError, match="pg_stat_activity"):
            upgrade(engine)
    assert current_revision(engine) == before != newest_revision()
    assert upgrade(engine) == newest_revision()
