"""`ensemble-instruct export`: what it writes, where, and what it refuses."""

import hashlib
import json
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from shared.store.roles import Role, create_login
from shared.store.session import make_engine
from tests.integration.admin.command_line import CommandLine, row_counts, start
from tests.integration.admin.conftest import Finished

PASSWORD = "correct-horse-battery"  # noqa: S105 - of a login that lives as long as a test


def lines_of(path: str | Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def rows(finished: Finished, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(finished.database_url) as connection:
        return connection.execute(query).fetchall()


def test_jsonl_holds_one_example_a_line(changing_command: CommandLine, changeable: Finished) -> None:
    outcome = changing_command("export", changeable.name)
    assert outcome.out == f"exports/{changeable.name}/examples.jsonl\n"
    records = lines_of(outcome.out.strip())
    assert [sorted(record) for record in records] == [["id", "input", "instruction", "output"]] * 5
    assert [bool(record["input"]) for record in records] == [True] * 3 + [False] * 2
    assert [path.name for path in Path("exports").iterdir()] == [changeable.name]
    ids = rows(changeable, "SELECT CAST(example_id AS text) FROM lineage.export_rows ORDER BY place")
    assert [(record["id"],) for record in records] == ids


def test_several_formats_at_once_hold_the_same(changing_command: CommandLine, changeable: Finished) -> None:
    formats = ("--format", "alpaca", "--format", "messages", "--format", "jsonl")
    outcome = changing_command("export", changeable.id[:6], *formats, "--out", "data")
    assert outcome.out.splitlines() == ["data/examples.jsonl", "data/alpaca.json", "data/messages.jsonl"]
    records = lines_of("data/examples.jsonl")
    texts = [{key: record[key] for key in ("instruction", "input", "output")} for record in records]
    assert json.loads(Path("data/alpaca.json").read_text()) == texts
    assert [each["id"] for each in lines_of("data/messages.jsonl")] == [record["id"] for record in records]


def test_the_record_tells_every_file(changing_command: CommandLine, changeable: Finished) -> None:
    told = json.loads(changing_command("export", changeable.name, "--format", "jsonl", "--out", "data", "--json").out)
    content = Path("data/examples.jsonl").read_bytes()
    file, *_ = told["files"]
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert (file["path"], file["bytes"], file["rows"]) == ("examples.jsonl", len(content), 5)
    assert told["runs"][0]["run"] == changeable.name
    ((kept,),) = rows(changeable, "SELECT to_jsonb(x) FROM lineage.exports x")
    assert isinstance(kept, dict)
    for name in ("id", "fingerprint", "options", "rows", "left_out", "files"):
        assert kept[name] == told[name]
    assert (kept["runs"], kept["judgements"]) == ([changeable.name], [0])


def test_exporting_twice_gives_the_same_bytes_and_the_same_record(
    changing_command: CommandLine, changeable: Finished
) -> None:
    options = ("--format", "jsonl", "--format", "parquet", "--shuffle", 7, "--split", "train=0.5,test=0.5")
    first = changing_command("export", changeable.name, *options, "--out", "one")
    before = row_counts(changeable.database_url)
    again = changing_command("export", changeable.name, *options, "--out", "two")
    assert "5 examples, the same as before" in again.err
    assert row_counts(changeable.database_url) == before
    contents = [{path.name: path.read_bytes() for path in Path(folder).iterdir()} for folder in ("one", "two")]
    assert contents[0] == contents[1]
    assert first.out.replace("one/", "two/") == again.out


def test_surplus_is_exported_when_asked_for(changing_command: CommandLine, changeable: Finished) -> None:
    with psycopg.connect(changeable.database_url) as connection:
        connection.execute("UPDATE examples SET surplus = true WHERE id = (SELECT min(id::text)::uuid FROM examples)")
        made = connection.execute("SELECT count(*), count(*) FILTER (WHERE surplus) FROM examples").fetchone()
    assert made is not None
    wanted = changing_command("export", changeable.name, "--out", "wanted").out.strip()
    every = changing_command("export", changeable.name, "--out", "every", "--surplus").out.strip()
    assert [len(lines_of(path)) for path in (wanted, every)] == [made[0] - made[1], made[0]]


def test_an_operator_exports(changing_command: CommandLine, changeable: Finished) -> None:
    engine, name = make_engine(changeable.database_url), f"operator_{uuid.uuid4().hex[:8]}"
    create_login(engine, name, Role.OPERATOR, PASSWORD)
    url = make_url(changeable.database_url).set(username=name, password=PASSWORD)
    environment = {"DATABASE_URL": url.render_as_string(hide_password=False)}
    options = ("--where", "position >= 0", "--licence", "mit")
    assert "licence left out 5" in changing_command.refused(2, "export", changeable.name, *options, **environment)
    outcome = changing_command("export", changeable.name, *options[:2], "--format", "parquet", **environment)
    assert (outcome.code, outcome.out) == (0, f"exports/{changeable.name}/examples.parquet\n")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP ROLE {name}")
    engine.dispose()


def test_columns_are_told_when_asked_for(changing_command: CommandLine, changeable: Finished) -> None:
    path = changing_command("export", changeable.name, "--columns", "agreement,task_type, run").out.strip()
    known = {
        str(id): {"task_type": task_type, "run": run, "agreement": agreement}
        for id, task_type, run, agreement in rows(
            changeable, "SELECT id, task_type, run, agreement FROM lineage.examples"
        )
    }
    for record in lines_of(path):
        assert {key: record[key] for key in ("task_type", "run", "agreement")} == known[str(record["id"])]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Name a run to export"),
        (("nobody",), "There is no run 'nobody'"),
        (("RUN", "RUN"), "is named twice"),
        (("RUN", "--judgement", 3), "has no judgement 3; it has 0"),
        (("RUN", "--where", "1=1; DROP TABLE examples"), "it goes on after a semicolon, with DROP TABLE examples"),
        (("RUN", "--where", "colour = 'red'"), 'Postgres says: column "colour" does not exist'),
        (("RUN", "--where", "position"), "Postgres says: argument of AND must be type boolean"),
        (("RUN", "--where", "count(*) > 1"), "Postgres says: aggregate functions are not allowed in WHERE"),
        (("RUN", "--where", "pg_sleep(9) IS NULL"), "pg_sleep may do more than compute"),
        (("RUN", "--where", "random() > 0.5"), "random may do more than compute"),
        (("RUN", "--where", "lo_import('/etc/passwd') > 0"), "lo_import may do more than compute"),
        (("RUN", "--where", "wordcount(output) > 1"), "there is no function wordcount"),
        (("RUN", "--where", "public.gen(output) > 1"), "there is no function public.gen"),
        (("RUN", "--where", "position / 0 = 1"), "Postgres says: division by zero"),
        (("RUN", "--where", "position < 0"), "Nothing is left to export: of 5 examples, where left out 5."),
        (("RUN", "--licence", ""), "--licence '' names no licence"),
        (("RUN", "--licence", " ,"), "--licence ' ,' names no licence"),
        (
            ("RUN", "--licence", "mit"),
            "licence left out 5 (model base has none declared; model chat has none declared).",
        ),
        (("RUN", "--min-agreement", "1", "--where", "agreement < 1"), "Nothing is left to export"),
        (("RUN", "--split", "train=0.9"), "the fractions sum to 0.9, not 1"),
        (("RUN", "--decontaminate", "gone.jsonl"), "gone.jsonl can't be read"),
        (("RUN", "--columns", "run", "--format", "alpaca"), "--columns is for the formats jsonl and messages"),
        (("RUN", "--alpaca-prompt"), "--alpaca-prompt is for the format alpaca"),
        (("--as-of", "abcdef12"), "There is no export 'abcdef12'"),
        (("RUN", "--as-of", "abcdef12"), "small-1 has no place beside it"),
        (("--as-of", "abcdef12", "--limit", 3), "--limit has no place beside it"),
        (("--as-of", "abcdef12", "--format", "hf"), "--format has no place beside it"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    later_command: CommandLine, finished: Finished, arguments: tuple[object, ...], told: str
) -> None:
    before = row_counts(finished.database_url)
    named = [finished.name if argument == "RUN" else argument for argument in arguments]
    assert told in later_command.refused(2, "export", *named, "--out", "deep/out")
    assert list(Path().iterdir()) == []
    assert row_counts(finished.database_url) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--format", "csv"), "'csv' is not one of"),
        (("--limit", 0), "should be greater than or equal to 1"),
        (("--min-agreement", 1.5), "should be less than or equal to 1"),
        (("--columns", "colour"), "'colour' is not one of task_type, run, models, agreement"),
        (("--columns", ","), "',' is not one of task_type, run, models, agreement"),
    ],
)
def test_values_that_no_export_could_have(
    later_command: CommandLine, finished: Finished, arguments: tuple[object, ...], told: str
) -> None:
    outcome = later_command("export", finished.name, *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert told in " ".join(outcome.err.replace("│", " ").split())


def test_a_folder_that_is_not_empty_stays_as_it_is(
    later_command: CommandLine, finished: Finished, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    told = later_command.refused(2, "export", finished.name, "--out", tmp_path)
    assert "exists already and is not empty; name another folder with --out" in told
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_run_without_examples_leaves_no_folder(command: CommandLine, begun: str) -> None:
    assert "Run 'small-1' has no examples yet" in command.refused(2, "export", "small-1", "--out", "out")
    assert not Path("out").exists()


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/nowhere", "x" * 300])
def test_a_folder_that_cannot_be_written(later_command: CommandLine, finished: Finished, out: str) -> None:
    Path("file").write_text("")
    before = row_counts(finished.database_url)
    assert f"{out} can't be written: " in later_command.refused(1, "export", finished.name, "--out", out)
    assert list(Path().iterdir()) == [Path("file")]
    assert row_counts(finished.database_url) == before


def _started(finished: Finished, *arguments: object, first: str = "") -> subprocess.Popen[str]:
    environment = {"DATABASE_URL": finished.database_url, "PYTHONDONTWRITEBYTECODE": "1"}
    return start("export", finished.name, *arguments, environment=environment, first=first)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_disk_that_fills_half_way_leaves_nothing(finished: Finished, tmp_path: Path, form: str) -> None:
    before = row_counts(finished.database_url)
    process = _started(finished, "--out", tmp_path / "out", "--format", form, first="ulimit -f 1;")
    told, error = process.communicate(timeout=60)
    assert (process.returncode, told) == (1, "")
    assert error == f"error: {tmp_path}/out/examples.{form} can't be written: File too large\n"
    assert list(tmp_path.iterdir()) == []
    assert row_counts(finished.database_url) == before


def test_who_stops_it_half_way_leaves_nothing(finished: Finished, tmp_path: Path) -> None:
    before = row_counts(finished.database_url)
    with psycopg.connect(finished.database_url) as another:
        another.execute("LOCK TABLE exports IN EXCLUSIVE MODE")
        process = _started(finished, "--out", tmp_path / "out")
        _wait_for_a_waiting_command(finished)
        process.send_signal(signal.SIGINT)
        told, error = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, "")
    assert "the export was stopped; nothing was written" in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []
    assert row_counts(finished.database_url) == before


def _wait_for_a_waiting_command(finished: Finished) -> None:
    here = "(SELECT oid FROM pg_database WHERE datname = current_database())"
    waiting = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND database = {here}"  # noqa: S608 - our names
    while rows(finished, waiting) == [(0,)]:
        time.sleep(0.05)


def test_without_pyarrow_the_error_says_what_to_install(
    later_command: CommandLine, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    told = later_command.refused(2, "export", finished.name, "--format", "parquet", "--out", tmp_path / "out")
    assert "pip install 'ensemble-instruct[dataset]'" in told
    assert not os.path.lexists(tmp_path / "out")
