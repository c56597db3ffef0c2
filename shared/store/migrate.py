"""Bringing the database's tables up to date, and checking that they are."""

import time
from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import errors
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from shared.errors import WorldError
from shared.store.session import (
    DatabaseNewerError,
    DatabaseNotMigratedError,
    DatabaseUnreachableError,
    address_of,
    explained,
)

LOCATION = Path(__file__).parent / "migrations"
WAITS_S = (1.0, 5.0, 15.0)  # before further tries at tables that others use


class TablesBusyError(WorldError):
    """The tables of the database at {address} are in use, so they could not be changed; nothing was. Somebody holds
    a transaction open: look at pg_stat_activity, end it, and try again."""


def _config(engine: Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(LOCATION))
    config.attributes["engine"] = engine
    return config


@lru_cache
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

    A table that others use is waited for a little, and again a few times, so that they never wait long for us.
    Raises `DatabaseNewerError`, `TablesBusyError`.
    """
    _refuse_newer(engine, current_revision(engine))
    for wait_s in (*WAITS_S, None):
        try:
            with explained(engine):
                command.upgrade(_config(engine), "head")
                return newest_revision()
        except DatabaseUnreachableError as error:
            refusal = error.__cause__
            if not (isinstance(refusal, OperationalError) and isinstance(refusal.orig, errors.LockNotAvailable)):
                raise
            if wait_s is None:
                raise TablesBusyError(address=address_of(engine)) from error
            time.sleep(wait_s)
    raise AssertionError("the last wait is none")


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
