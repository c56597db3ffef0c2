"""Bringing the database's tables up to date."""

import time

from alembic import command
from alembic.config import Config
from psycopg import errors
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from shared.errors import WorldError
from shared.store.revisions import LOCATION, current_revision, newest_revision, refuse_newer
from shared.store.session import DatabaseUnreachableError, address_of, explained

WAITS_S = (1.0, 5.0, 15.0)  # before further tries at tables that others use


class TablesBusyError(WorldError):
    """The tables of the database at {address} are in use, so they could not be changed; nothing was. Somebody holds
    a transaction open: look at pg_stat_activity, end it, and try again."""


def _config(engine: Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(LOCATION))
    config.attributes["engine"] = engine
    return config


def upgrade(engine: Engine) -> str:
    """Apply what is missing, in one transaction, and return the revision now in force.

    A table that others use is waited for a little, and again a few times, so that they never wait long for us.
    Raises `DatabaseNewerError`, `TablesBusyError`.
    """
    refuse_newer(engine, current_revision(engine))
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
