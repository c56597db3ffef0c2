"""A demo that was stopped or killed leaves no run behind that would work on, and touches no other."""

from pathlib import Path

import pytest
from sqlalchemy import select

from services.admin.demo import cancel_unfinished
from shared.store.session import Sessions
from shared.store.tables.runs import Run, RunState
from tests.integration.admin.command_line import CommandLine


@pytest.fixture
def runs(command: CommandLine, job: Path) -> list[str]:
    """The ids of two runs of one job."""
    return [command("enqueue", str(job)).out.strip() for _ in range(2)]


def states(sessions: Sessions) -> dict[str, RunState]:
    with sessions() as session:
        return {str(run.id): run.state for run in session.scalars(select(Run))}


def test_only_the_run_that_is_noted_is_cancelled(
    runs: list[str], sessions: Sessions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noted = tmp_path / "demo-run"
    noted.write_text(f"{runs[1]}\n")
    with sessions() as session:
        cancel_unfinished(session, noted)
    assert states(sessions) == {runs[0]: RunState.RUNNING, runs[1]: RunState.CANCELLED}
    assert "is cancelled; its examples are kept: ensemble-instruct export" in capsys.readouterr().err
    assert not noted.exists()


@pytest.mark.parametrize("note", [None, "", "nonsense", "00000000-0000-0000-0000-000000000001"])
def test_without_a_run_that_is_known_nothing_is_cancelled(
    note: str | None, runs: list[str], sessions: Sessions, tmp_path: Path
) -> None:
    if note is not None:
        (tmp_path / "demo-run").write_text(note)
    with sessions() as session:
        cancel_unfinished(session, tmp_path / "demo-run")
    assert states(sessions) == dict.fromkeys(runs, RunState.RUNNING)
    assert not (tmp_path / "demo-run").exists()
