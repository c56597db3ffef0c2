"""A login that may read what a ScaledObject asks for, and nothing else."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

# docs/kubernetes.md has an administrator say this
GRANTS = ("GRANT SELECT (id, state) ON runs TO {role}", "GRANT SELECT (run_id, queue, state) ON work_items TO {role}")


@contextmanager
def a_scaler(database_url: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """A connection of a new login, which is gone afterwards."""
    role = f"scaler_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
        for grant in GRANTS:
            owner.execute(grant.format(role=role))
        try:
            with psycopg.connect(database_url, user=role, password=role, autocommit=True) as connection:
                yield connection
        finally:
            owner.execute(f"DROP OWNED BY {role}")
            owner.execute(f"DROP ROLE {role}")


def ask(scaler: "psycopg.Connection[tuple[Any, ...]]", question: str) -> float:
    """The number that Postgres answers."""
    found = scaler.execute(question).fetchone()
    assert found
    return float(found[0])
