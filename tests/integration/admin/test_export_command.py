import json
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.integration.admin.command_line import CommandLine, start
from tests.integration.admin.conftest import Finished


def test_jsonl_holds_one_example_a_line(later_command: CommandLine, finished: Finished) -> None:
    outcome = later_command("export", finished.name)
    assert outcome.out == f"exports/{finished.name}/examples.jsonl\n"
    records = [json.loads(line) for line in Path(outcome.out.strip()).read_text().splitlines()]
    assert [sorted(record) for record in records] == [["id", "input", "instruction", "output"]] * 5
    assert [bool(record["input"]) for record in records] == [True] * 3 + [False] * 2


def test_alpaca_is_one_array_of_the_same(later_command: CommandLine, finished: Finished) -> None:
    jsonl = Path(later_command("export", finished.id[:6]).out.strip()).read_text().splitlines()
    alpaca = json.loads(Path(later_command("export", finished.id, "--format", "alpaca").out.strip()).read_text())
    records = [json.loads(line) for line in jsonl]
    assert alpaca == [{key: record[key] for key in ("instruction", "input", "output")} for record in records]


def test_surplus_is_exported_when_asked_for(changing_command: CommandLine, changeable: Finished) -> None:
    with psycopg.connect(changeable.database_url) as connection:
        connection.execute("UPDATE examples SET surplus = true WHERE id = (SELECT min(id::text)::uuid FROM examples)")
        made = connection.execute("SELECT count(*), count(*) FILTER (WHERE surplus) FROM examples").fetchone()
    assert made is not None
    wanted = changing_command("export", changeable.name, "--out", "wanted").out.strip()
    every = changing_command("export", changeable.name, "--out", "every", "--surplus").out.strip()
    lines = [len(Path(path).read_text().splitlines()) for path in (wanted, every)]
    assert lines == [made[0] - made[1], made[0]]


def test_a_file_that_is_there_stays_as_it_is(later_command: CommandLine, finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "examples.jsonl").write_text("mine")
    assert "examples.jsonl exists already" in later_command.refused(2, "export", finished.name, "--out", tmp_path)
    assert (tmp_path / "examples.jsonl").read_text() == "mine"


def test_a_run_without_examples_leaves_no_folder(command: CommandLine, begun: str) -> None:
    assert "Run 'small-1' has no examples yet" in command.refused(2, "export", "small-1", "--out", "out")
    assert not Path("out").exists()


def test_a_format_that_nobody_knows(later_command: CommandLine, finished: Finished) -> None:
    outcome = later_command("export", finished.name, "--format", "csv")
    assert (outcome.code, outcome.out) == (2, "")
    assert "jsonl" in outcome.err


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/nowhere", "x" * 300])
def test_a_folder_that_cannot_be_written(later_command: CommandLine, finished: Finished, out: str) -> None:
    Path("file").write_text("")
    assert "examples.jsonl can't be written: " in later_command.refused(1, "export", finished.name, "--out", out)
    assert list(Path().iterdir()) == [Path("file")]


def test_a_full_disk_leaves_no_file(finished: Finished, tmp_path: Path) -> None:
    out = tmp_path / "out"
    environment = {"DATABASE_URL": finished.database_url, "PYTHONDONTWRITEBYTECODE": "1"}
    process: subprocess.Popen[str] = start(
        "export", finished.name, "--out", out, environment=environment, first="ulimit -f 1;"
    )
    told, error = process.communicate(timeout=60)
    assert (process.returncode, told) == (1, "")
    assert error == f"error: {out}/examples.jsonl can't be written: File too large\n"
    assert list(out.iterdir()) == []
