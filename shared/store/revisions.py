"""Which revision the database's tables have, and whether it is the one that this program needs.

Told without Alembic, which takes half a second to load, and which only those need who change the tables.
"""

from functools import lru_cache
from pathlib import Path

from sqlalchemy import Engine, text

from shared.errors import WorldError
from shared.store.session import address_of, explained

LOCATION = Path(__file__).parent / "migrations"


class DatabaseNewerError(WorldError):
    """The database at {address} has revision {found}, which this program does not know: it was migrated by a
    newer one. Upgrade ensemble-instruct here, too."""


class DatabaseEmptyError(WorldError):
    """The database at {address} is empty. If it is the one that you want (DATABASE_URL names it, or without that
    ENSEMBLE_INSTRUCT_HOME the embedded one's folder), run `ensemble-instruct db upgrade`."""


class DatabaseNotMigratedError(WorldError):
    """The database at {address} has revision {found}, this program needs {needed}: run `ensemble-instruct
    db upgrade`."""


@lru_cache
def known_revisions() -> tuple[str, ...]:
    """This program's migrations, the oldest first: a migration's file is named for its revision."""
    return tuple(sorted(path.name.partition("_")[0] for path in (LOCATION / "versions").glob("[0-9]*.py")))


def newest_revision() -> str:
    """The revision that this program's tables need."""
    return known_revisions()[-1]


def current_revision(engine: Engine) -> str | None:
    """The revision of the database's tables; `None` for an empty database."""
    with explained(engine), engine.connect() as connection:
        if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def require_migrated(engine: Engine) -> None:
    """Raises `DatabaseEmptyError` where there are no tables, `DatabaseNotMigratedError` when they are older than this
    program, and `DatabaseNewerError` when they are newer."""
    found, needed = current_revision(engine), newest_revision()
    if found is None:
        raise DatabaseEmptyError(address=address_of(engine))
    refuse_newer(engine, found)
    if found != needed:
        raise DatabaseNotMigratedError(address=address_of(engine), found=found, needed=needed)


def refuse_newer(engine: Engine, found: str | None) -> None:
    """Raises `DatabaseNewerError` if the tables' revision is none that this program knows."""
    if found and found not in known_revisions():
        raise DatabaseNewerError(address=address_of(engine), found=found)
