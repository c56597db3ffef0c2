"""Bringing the database's tables up to date, and checking that they are."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from shared.store.session import DatabaseNewerError, DatabaseNotMigratedError, address_of, explained

LOCATION = Path(__file__).parent / "migrations"


def _config(engine: Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(LOCATION))
    config.attributes["engine"] = engine
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(LOCATION))


def newest_revision() -> str:
    """The revision that this program's tables need."""
    head = _scripts().get_current_head()
    if head is None:
        raise RuntimeError(f"no migrations in {LOCATION}")
    return head


def current_revision(engine: Engine) -> str | None:
    """The revision of the database's tables; `None` for an empty database."""
    with explained(engine), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine) -> str:
    """Apply what is missing, in one transaction, and return the revision now in force.

    Raises `DatabaseNewerError`.
    """
    _refuse_newer(engine, current_revision(engine))
    with explained(engine):
        command.upgrade(_config(engine), "head")
    return newest_revision()


def require_migrated(engine: Engine) -> None:
    """Raises `DatabaseNotMigratedError` when the tables are older than this program, or not there, and
    `DatabaseNewerError` when they are newer."""
    found, needed = current_revision(engine), newest_revision()
    _refuse_newer(engine, found)
    if found != needed:
        raise DatabaseNotMigratedError(address=address_of(engine), found=found or "none", needed=needed)


def _refuse_newer(engine: Engine, found: str | None) -> None:
    if found and found not in {script.revision for script in _scripts().walk_revisions()}:
        raise DatabaseNewerError(address=address_of(engine), found=found)
