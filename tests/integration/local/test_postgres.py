"""The embedded PostgreSQL keeps its data, and to itself."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from services.local.postgres import Postgres, forget_stale_lock
from services.local.processes import NotReady


def keep(server: Postgres, word: str) -> None:
    """Write a word down."""
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        connection.execute("INSERT INTO words VALUES (%s)", [word])


def kept(server: Postgres) -> list[str]:
    """The words written down."""
    with psycopg.connect(server.url) as connection:
        return [row[0] for row in connection.execute("SELECT word FROM words ORDER BY word")]


def test_data_survive_a_stop_and_a_kill(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg", fast=True) as server:
        keep(server, "stopped")
    server.start()
    keep(server, "killed")
    assert server.child
    server.child.kill()
    with server:
        assert kept(server) == ["killed", "stopped"]


def test_another_object_finds_the_same_database(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg", fast=True) as server:
        keep(server, "first")
    with Postgres(tmp_path / "pg", fast=True) as server:
        assert kept(server) == ["first"]


def test_it_starts_again_at_once_after_its_parent_was_killed(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from services.local.postgres import Postgres
Postgres(Path({str(tmp_path / "pg")!r}), fast=True).start()
print("up", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        os.kill(parent.pid, signal.SIGKILL)
    with Postgres(tmp_path / "pg", fast=True) as server:
        keep(server, "again")


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.local.postgres.PASSING_S", 0.5)
    with Postgres(tmp_path / "pg", fast=True) as server, pytest.raises(NotReady, match="another postmaster"):
        Postgres(tmp_path / "pg", log=tmp_path / "second.log", fast=True).start()
    assert server.child is None


def test_it_asks_for_the_password(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://postgres:wrong@127.0.0.1:{postgres.port}/postgres")


def test_the_password_is_private(postgres: Postgres) -> None:
    assert stat.S_IMODE((postgres.folder / "password").stat().st_mode) == 0o600


def test_it_listens_on_the_loopback_interface_only(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute(
            "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
        ).fetchone()
    assert row == ("127.0.0.1", "")


def test_a_lock_with_another_programs_number_is_stale(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}\n")
    forget_stale_lock(tmp_path)
    assert not (tmp_path / "postmaster.pid").exists()


def test_a_folder_without_a_lock_is_left_alone(tmp_path: Path) -> None:
    forget_stale_lock(tmp_path)
    assert list(tmp_path.iterdir()) == []
