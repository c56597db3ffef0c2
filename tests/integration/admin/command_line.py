"""The command line as a person meets it, inside the test's own process."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from services.admin.main import main
from shared.settings import settings

PROGRAM = (sys.executable, "-m", "services.admin.main")
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs `ensemble-instruct` with the environment that `monkeypatch` has made."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object, **environment: str) -> Outcome:
        """Run one command."""
        self.capsys.readouterr()
        with self.monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["ensemble-instruct", *map(str, arguments)])
            for name, value in environment.items():
                patch.setenv(name, value)
            settings.cache_clear()
            with pytest.raises(SystemExit) as exit:
                main()
        settings.cache_clear()
        captured = self.capsys.readouterr()
        code = exit.value.code
        return Outcome(code if isinstance(code, int) else 0, captured.out, captured.err)

    def refused(self, code: int, *arguments: object, **environment: str) -> str:
        """Run a command that has to fail with this exit code; returns its message on one line."""
        outcome = self(*arguments, **environment)
        assert outcome.code == code, outcome
        assert outcome.out == ""
        assert outcome.err.count("error: ") == 1
        return " ".join(outcome.err.split())


def start(*arguments: object, environment: Mapping[str, str], first: str = "") -> subprocess.Popen[str]:
    """A command as a process of its own; `first` is what bash does before it becomes the command."""
    return subprocess.Popen(
        ["bash", "-c", f'{first} exec "$@"', "bash", *PROGRAM, *map(str, arguments)],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_ctrl_c,
    )


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in a shell's background is started deaf to it


def row_counts(database_url: str) -> dict[str, int]:
    """How many rows each table has."""
    with psycopg.connect(database_url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return {table: _count(connection, table) for (table,) in tables}


def _count(connection: psycopg.Connection[tuple[int]], table: str) -> int:
    found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert found
    return found[0]


def jsonl(name: str, records: Sequence[object]) -> Path:
    """A file of one JSON value a line."""
    path = Path(name)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path
