"""Runs tell OpenLineage that they begin and end; whatever becomes of that, they go on."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from shared.lm.fake import FakeServer
from shared.lm.fake_protocols import FakeAnswer
from shared.store.run_facts import run_facts
from shared.store.runs import begin_run
from shared.store.session import Sessions, make_engine
from shared.store.states import end_run, resume_run
from shared.store.tables.runs import RunState
from shared.store.transitions import Transition, listen
from shared.telemetry import run_events
from shared.telemetry.run_events import RunEvents, report_runs
from tests.integration.store.planted import new_run
from tests.integration.telemetry.lineage_server import lineage_server
from tests.integration.telemetry.openlineage_schema import check_event
from tests.integration.workers.driving import a_worker, begin, drive, small_job

TRANSPORT = "OPENLINEAGE__TRANSPORT__"
Events = list[dict[str, Any]]


@pytest.fixture
def lm() -> Iterator[FakeServer]:
    """A fake LM that answers plausibly and at once."""
    with FakeServer() as server:
        yield server


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that events go to, by the library's own variables."""
    path = tmp_path / "events.jsonl"
    for name, value in {"TYPE": "file", "LOG_FILE_PATH": str(path), "APPEND": "true"}.items():
        monkeypatch.setenv(TRANSPORT + name, value)
    return path


def http(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Send events there, with little patience."""
    settings = {"TYPE": "http", "URL": url, "TIMEOUT": "0.2", "RETRY": json.dumps({"total": 1, "backoff_factor": 0})}
    for name, value in settings.items():
        monkeypatch.setenv(TRANSPORT + name, value)


def told(path: Path) -> Events:
    """The events in the file, each of which is what OpenLineage's classes say."""
    events = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for event in events:
        check_event(event)
    return events


def a_run(database_url: str, redis_url: str, lm: FakeServer, **changes: Any) -> tuple[str, RunState]:
    """A small run by a worker that comes and goes: its id, and how it ended."""
    with a_worker(database_url, redis_url) as runtime:
        run = drive(runtime, begin(runtime, small_job(lm.url, targets={"output_only": 2}, **changes)))
    return str(run.id), RunState(run.state)


def test_a_run_tells_of_its_beginning_and_its_end(
    database_url: str, redis_url: str, lm: FakeServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "our-team")
    id, state = a_run(database_url, redis_url, lm, owner="the dialogue team")
    start, complete = told(file)
    assert state is RunState.COMPLETED
    assert [event["eventType"] for event in (start, complete)] == ["START", "COMPLETE"]
    assert {event["run"]["runId"] for event in (start, complete)} == {id}
    assert start["eventTime"] < complete["eventTime"]
    job = complete["job"]
    assert (job["namespace"], job["name"]) == ("our-team", "small")
    assert job["facets"]["jobType"]["processingType"] == "BATCH"
    assert job["facets"]["ownership"]["owners"] == [{"name": "the dialogue team"}]
    assert (
        "2 examples of type output_only, written by base (no licence" in job["facets"]["documentation"]["description"]
    )
    assert yaml.safe_load(job["facets"]["sourceCode"]["sourceCode"])["targets"] == {"output_only": 2}
    assert "errorMessage" not in complete["run"]["facets"]


def test_an_event_names_what_is_read_and_what_is_written(
    database_url: str, redis_url: str, lm: FakeServer, file: Path
) -> None:
    a_run(database_url, redis_url, lm)
    start, complete = told(file)
    url = make_url(database_url)
    ((seeds,), (examples,)) = complete["inputs"], complete["outputs"]
    assert (seeds["namespace"], seeds["name"]) == ("ensemble-instruct", "seeds/tasks.jsonl")
    assert seeds["inputFacets"]["inputStatistics"]["rowCount"] == 175
    assert [field["name"] for field in seeds["facets"]["schema"]["fields"]][:3] == ["id", "name", "instruction"]
    assert examples["namespace"] == f"postgres://127.0.0.1:{url.port}"
    assert examples["name"] == f"{url.database}.lineage.examples"
    assert examples["outputFacets"]["outputStatistics"]["rowCount"] == 2
    columns = {field["name"]: field for field in examples["facets"]["schema"]["fields"]}
    assert columns["output"]["type"] == "text"
    assert columns["output"]["description"] == "The chosen output."
    assert start["outputs"][0]["outputFacets"] == {}
    assert str(url.password) not in file.read_text()


def test_a_run_that_fails_says_why(database_url: str, redis_url: str, file: Path) -> None:
    with FakeServer(lambda _: FakeAnswer("")) as silent:
        _, state = a_run(database_url, redis_url, silent, instructions={"patience": 3})
    (_, fail) = told(file)
    assert (state, fail["eventType"]) == (RunState.FAILED, "FAIL")
    assert fail["run"]["facets"]["errorMessage"]["message"].startswith("failed: ")
    assert "led to no example" in fail["run"]["facets"]["errorMessage"]["message"]
    assert fail["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 0


def test_every_way_to_begin_go_on_and_end_is_told(engine: Engine, sessions: Sessions, file: Path) -> None:
    events = report_runs(engine, {f"{TRANSPORT}TYPE": "file"})
    assert events
    with sessions.begin() as session:
        run_id = begin_run(session, new_run("one")).id
    for state, reason in ((RunState.SPENT, "2 of 9"), (RunState.CANCELLED, "cancelled by command")):
        with sessions.begin() as session:
            end_run(session, run_id, state, reason)
        with sessions.begin() as session:
            resume_run(session, run_id)  # which a cancelled one does not
    events.close()
    seen = told(file)
    assert [event["eventType"] for event in seen] == ["START", "ABORT", "START", "ABORT"]
    messages = [event["run"]["facets"].get("errorMessage", {}).get("message") for event in seen]
    assert messages == [None, "spent: 2 of 9", None, "cancelled: cancelled by command"]


def test_what_is_not_committed_is_not_told(engine: Engine, sessions: Sessions) -> None:
    heard: list[Transition] = []
    listen(engine, heard.append)
    with sessions() as session:
        run_id = begin_run(session, new_run("one")).id
        session.rollback()
        session.commit()
        begin_run(session, new_run("two"))
        session.close()
        session.commit()
        assert heard == []
        run_id = begin_run(session, new_run("three")).id
        assert heard == []
        session.commit()
    assert [(each.run_id, each.state) for each in heard] == [(run_id, RunState.RUNNING)]


def test_other_databases_runs_are_not_told_of(engine: Engine, sessions: Sessions, database_url: str) -> None:
    heard: list[Transition] = []
    another = make_engine(database_url)
    listen(another, heard.append)
    with sessions.begin() as session:
        begin_run(session, new_run("one"))
    another.dispose()
    assert heard == []


def test_a_server_gets_them_with_its_key(
    database_url: str, redis_url: str, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lineage_server() as server:
        monkeypatch.setenv("OPENLINEAGE_URL", server.url)
        monkeypatch.setenv("OPENLINEAGE_API_KEY", "sesame")
        a_run(database_url, redis_url, lm)
        assert server.types == ["START", "COMPLETE"]
        assert set(server.keys) == {"Bearer sesame"}
        for event in server.received:
            check_event(event)
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE__")]:
        monkeypatch.delenv(name)  # the library's own doing


@pytest.mark.parametrize(
    ("behaviour", "said"), [({"hangs": True}, "timed out"), ({"status": 500}, "500"), ({"status": 403}, "403")]
)
def test_a_bad_server_costs_a_line_in_the_log_and_no_run(
    database_url: str,
    redis_url: str,
    lm: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: dict[str, Any],
    said: str,
) -> None:
    with lineage_server(**behaviour) as server, structlog.testing.capture_logs() as lines:
        http(monkeypatch, server.url)
        _, state = a_run(database_url, redis_url, lm)
        assert state is RunState.COMPLETED
        assert server.received
    failures = [line for line in lines if line["event"] == "run event not sent"]
    assert len(failures) == 2
    assert all(said in line["error"] and "\n" not in line["error"] for line in failures)


def test_a_server_that_is_not_there(
    database_url: str,
    redis_url: str,
    lm: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    http(monkeypatch, "http://127.0.0.1:1")
    with structlog.testing.capture_logs() as lines:
        _, state = a_run(database_url, redis_url, lm)
    assert state is RunState.COMPLETED
    assert len([line for line in lines if line["event"] == "run event not sent"]) == 2
    assert "urllib3" not in capfd.readouterr().err


def test_what_postgres_refuses_is_told_without_the_statement(engine: Engine, sessions: Sessions) -> None:
    def send(_: Transition) -> None:
        with sessions() as session:
            session.execute(text("SELECT prompt FROM nowhere"))

    events = RunEvents(engine, lambda: send)
    with structlog.testing.capture_logs() as lines:
        with sessions.begin() as session:
            begin_run(session, new_run("one"))
        events.close()
    assert [line["error"] for line in lines] == ['ProgrammingError: relation "nowhere" does not exist']


def test_nobody_waits_for_what_does_not_go(engine: Engine, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_events, "PATIENCE_S", 0.1)
    let_go = threading.Event()

    def send(_: Transition) -> None:
        let_go.wait(60)

    events = RunEvents(engine, lambda: send)
    with sessions.begin() as session:
        begin_run(session, new_run("one"))
    with structlog.testing.capture_logs() as lines:
        events.close()
    let_go.set()
    assert [line["event"] for line in lines] == ["run events not sent"]


def test_too_many_events_are_dropped(engine: Engine, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_events, "MOST_WAITING", 1)
    let_go, held = threading.Event(), threading.Event()
    sent: list[Transition] = []

    def send(transition: Transition) -> None:
        held.set()
        assert let_go.wait(60)
        sent.append(transition)

    events = RunEvents(engine, lambda: send)
    with structlog.testing.capture_logs() as lines:
        for name in ("one", "two", "three"):
            with sessions.begin() as session:
                begin_run(session, new_run(name))
            assert held.wait(60)
        let_go.set()
        events.close()
    assert len(sent) == 2
    assert [line["error"] for line in lines] == ["too many are waiting"]


def test_the_extra_is_missing(engine: Engine, sessions: Sessions, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "shared.telemetry.openlineage", raising=False)
    monkeypatch.setitem(sys.modules, "openlineage.client", None)
    events = report_runs(engine, {f"{TRANSPORT}TYPE": "file"})
    assert events
    with structlog.testing.capture_logs() as lines:
        with sessions.begin() as session:
            begin_run(session, new_run("one"))
        events.close()
    (line,) = lines
    assert "pip install 'ensemble-instruct[openlineage]'" in line["error"]
    assert told(file) == []


def test_settings_without_a_transport(engine: Engine, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_CONFIG", "/nowhere/openlineage.yml")
    events = report_runs(engine, {"OPENLINEAGE_CONFIG": "/nowhere/openlineage.yml"})
    assert events
    with structlog.testing.capture_logs() as lines:
        with sessions.begin() as session:
            begin_run(session, new_run("one"))
        events.close()
    assert "OpenLineage's settings name no transport" in lines[0]["error"]


def test_it_is_off_unless_it_is_configured(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert report_runs(engine, {}) is None
    assert report_runs(engine, {"OPENLINEAGE_URL": "http://127.0.0.1:1", "OPENLINEAGE_DISABLED": "True"}) is None
    (tmp_path / "openlineage.yml").write_text("transport: {type: console}")
    assert report_runs(engine, {}) is not None


def test_what_a_run_is_said_to_have_made(sessions: Sessions) -> None:
    with sessions.begin() as session:
        run_id = begin_run(session, new_run("one")).id
        facts = run_facts(session, run_id)
    assert (facts.name, facts.seeds, facts.examples) == ("one", 2, 0)
    assert "instruction" in [column.name for column in facts.columns]
