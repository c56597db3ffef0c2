"""The database and the broker that a command uses: those of the environment, or the embedded ones."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.local.stack import running, temporary_postgres
from shared.errors import UserError
from shared.queue.app import make_app
from shared.queue.hints import ping as ping_broker
from shared.settings import settings
from shared.store.revisions import require_migrated
from shared.store.session import make_engine, make_sessions
from shared.telemetry.run_events import report_runs


class NoBrokerError(UserError):
    """There is no broker: set REDIS_URL to an address such as redis://:password@host:6379/0, or start
    the embedded one with `ensemble-instruct local up`"""


@contextmanager
def database_address() -> Iterator[str]:
    """DATABASE_URL; without it, the embedded Postgres's, started for the command if need be."""
    url = settings().database_url
    if url and url.get_secret_value():
        yield url.get_secret_value()
    else:
        with temporary_postgres() as local_url:
            yield local_url


def database_at_hand() -> bool:
    """Whether there is a database that need not be started first."""
    url = settings().database_url
    return bool(url and url.get_secret_value()) or running() is not None


@contextmanager
def open_engine() -> Iterator[Engine]:
    """The database at that address."""
    with database_address() as url:
        engine = make_engine(url)
        run_events = report_runs(engine, os.environ)
        try:
            yield engine
        finally:
            if run_events:
                run_events.close()
            engine.dispose()


@contextmanager
def open_session() -> Iterator[Session]:
    """A session on a database whose tables are up to date. Nothing is committed unless the caller does."""
    with open_engine() as engine:
        require_migrated(engine)
        with make_sessions(engine)() as session:
            yield session


def open_broker() -> Celery:
    """The broker of REDIS_URL or of the running embedded stack, checked for a sign of life.

    Raises `NoBrokerError`, `BrokerAddressError`, `BrokerUnreachableError`.
    """
    url = settings().redis_url
    if url and url.get_secret_value():
        address = settings().broker()
    else:
        stack = running()
        if stack is None:
            raise NoBrokerError
        address = stack.redis_url
    app = make_app(address)
    ping_broker(app)
    return app
