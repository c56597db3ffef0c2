"""Connections to Postgres, and what its refusals mean to a person."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from psycopg import errors
from sqlalchemy import ColumnElement, Engine, Interval, cast, create_engine, exc, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import UserError, WorldError

Sessions = sessionmaker[Session]

LOCK_TIMEOUT_MS = 30_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
LONGEST_SILENCE_S = 30  # of a network, before either side takes the other to be gone
KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
_SETTINGS: dict[str, object] = {
    **{f"tcp_{name}": value for name, value in KEEPALIVES.items()},  # the server's side of it
    "lock_timeout": LOCK_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS,
}
_PASSING = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)


class DatabaseAddressError(UserError):
    """DATABASE_URL is not an address of a database: write postgresql://user:password@host:5432/name"""


class DatabaseUnreachableError(WorldError):
    """Postgres at {address} can't be reached: {detail}. Is it running, and is DATABASE_URL right?"""


def make_engine(url: str, *, pool_size: int = 5, settings: Mapping[str, object] | None = None) -> Engine:
    """A pool of at most `2 * pool_size` connections, with these of Postgres's settings. Make it after a fork, never
    before.

    Raises `DatabaseAddressError`.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # a port that is no number is a ValueError
        raise DatabaseAddressError from None
    if address.get_backend_name() != "postgresql":
        raise DatabaseAddressError
    return create_engine(
        address.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_use_lifo=True,  # few of them are used then, and know the statements
        hide_parameters=True,  # prompts, in the messages of errors
        connect_args={
            "connect_timeout": 10,
            "application_name": "ensemble-instruct",
            **KEEPALIVES,
            "tcp_user_timeout": 1000 * LONGEST_SILENCE_S,
            "options": " ".join(f"-c {name}={value}" for name, value in (_SETTINGS | dict(settings or {})).items()),
        },
    )


def make_sessions(engine: Engine) -> Sessions:
    """A factory of sessions whose objects outlive their transaction."""
    return sessionmaker(engine, expire_on_commit=False)


def address_of(engine: Engine) -> str:
    """Where the database is, without its password."""
    return engine.url.render_as_string(hide_password=True).replace("postgresql+psycopg", "postgresql")


@contextmanager
def explained(engine: Engine) -> Iterator[None]:
    """Turns a connection that fails into a message for a person."""
    try:
        yield
    except OperationalError as error:
        detail = " ".join(str(error.orig).split())[:200].rstrip(".?! ")
        raise DatabaseUnreachableError(address=address_of(engine), detail=detail) from error


def passes(error: Exception) -> bool:
    """Whether what the database refuses now it may take later: it is away, full, read-only, or a right is missing."""
    return isinstance(error, _PASSING) or (
        isinstance(error, exc.DBAPIError) and isinstance(error.orig, errors.InsufficientPrivilege)
    )


def cause(error: exc.SQLAlchemyError) -> str:
    """What the database said, in a line; the statement and the rows that it quotes are left out."""
    said = error.orig if isinstance(error, exc.DBAPIError) else error
    primary = said.diag.message_primary if isinstance(said, errors.Error) else None
    return " ".join((primary or str(said)).split())


def seconds(count: float) -> ColumnElement[object]:
    """So many seconds as Postgres's interval."""
    return cast(f"{count:.6f} seconds", Interval)  # Postgres reads no exponent such as a tiny number is written with


def limit_waits(session: Session, *, lock_s: float, idle_s: float | None = None) -> None:
    """For the rest of the transaction: wait for a lock, or let the session stand idle, for so many seconds at most."""
    limits = {"lock_timeout": lock_s, "idle_in_transaction_session_timeout": idle_s}
    told = {name: f"{1000 * limit:.0f}ms" for name, limit in limits.items() if limit is not None}
    session.execute(select(*(func.set_config(name, limit, True) for name, limit in told.items())))


def ping(engine: Engine) -> None:
    """Ask Postgres for a sign of life. Raises `DatabaseUnreachableError`."""
    with explained(engine), engine.connect() as connection:
        connection.execute(text("SELECT 1"))
