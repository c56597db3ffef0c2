"""A login that may read what a ScaledObject asks for, and nothing else."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from shared.store.roles import Role, create_login
from shared.store.session import make_engine


@contextmanager
def a_scaler(database_url: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """A connection of a new login, which is gone afterwards."""
    name = password = f"scaler_{uuid.uuid4().hex[:8]}"
    engine = make_engine(database_url)
    create_login(engine, name, Role.SCALER, password)
    engine.dispose()
    try:
        with psycopg.connect(database_url, user=name, password=password, autocommit=True) as connection:
            yield connection
    finally:
        with psycopg.connect(database_url, autocommit=True) as owner:
            owner.execute(f"DROP ROLE {name}")


def ask(scaler: "psycopg.Connection[tuple[Any, ...]]", question: str) -> float:
    """The number that Postgres answers."""
    found = scaler.execute(question).fetchone()
    assert found
    return float(found[0])
