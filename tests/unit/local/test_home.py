"""The state folder: found, private, used by one at a time."""

import stat
from pathlib import Path

import pytest

from services.local.home import Home
from services.local.home_lock import HomeLock
from services.local.private_files import password_in
from services.local.stack_info import Kind, Part, StackInfo, read_info, write_info

INFO = StackInfo(
    pid=1,
    started_at="2026-11-23T03:31:38+00:00",
    database_url="postgresql://postgres:secret@127.0.0.1:1/x",
    redis_url="redis://:secret@127.0.0.1:2/0",
    model_urls={"gemma": "http://127.0.0.1:3"},
    parts=(Part("PostgreSQL", Kind.DATABASE, "127.0.0.1:1", 2),),
)


def mode(path: Path) -> int:
    """A file's permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_the_environment_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_INSTRUCT_HOME", str(tmp_path / "mine"))
    assert Home.find().root == tmp_path / "mine"


def test_else_it_lies_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENSEMBLE_INSTRUCT_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Home.find().root == tmp_path / "ensemble-instruct"


def test_else_in_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENSEMBLE_INSTRUCT_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Home.find().root == tmp_path / ".local" / "share" / "ensemble-instruct"


def test_only_its_owner_may_enter(tmp_path: Path) -> None:
    assert mode(Home.at(tmp_path / "a" / "b").root) == 0o700


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    first, second = HomeLock(tmp_path / "lock"), HomeLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()


def test_a_lock_names_its_holder_until_it_is_given_back(tmp_path: Path) -> None:
    lock, other = HomeLock(tmp_path / "lock"), HomeLock(tmp_path / "lock")
    assert other.holder() is None
    lock.acquire()
    assert other.holder() is not None
    lock.release()
    assert other.holder() is None


def test_a_password_is_made_once_and_private(tmp_path: Path) -> None:
    password = password_in(tmp_path / "password")
    assert len(password) == 32
    assert password_in(tmp_path / "password") == password
    assert mode(tmp_path / "password") == 0o600


def test_what_runs_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_info(tmp_path / "stack.json", INFO)
    assert read_info(tmp_path / "stack.json") == INFO
    assert mode(tmp_path / "stack.json") == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"parts": [{}]}'])
def test_half_a_file_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    assert read_info(tmp_path / "stack.json") is None
