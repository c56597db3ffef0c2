"""Worker processes on a database and a broker of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from services.local.valkey import Valkey
from tests.e2e.stack import Stack, a_stack


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Valkey]:
    """A broker that nobody else uses."""
    with Valkey(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def stack(engine: Engine, database_url: str, broker: Valkey, tmp_path: Path) -> Iterator[Stack]:
    """Where to start workers."""
    with a_stack(engine, database_url, broker.url, tmp_path) as ready:
        yield ready
