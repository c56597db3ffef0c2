"""A log line: what it tells, wherever it is written, and what it must not."""

import asyncio
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import structlog

from shared.telemetry.logging import bound, configure_logging, context_without, name_process, told
from workers.runtime import EventLoop

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What was logged so far, with logging as a worker has it."""
    root = logging.getLogger()
    before, configured = (list(root.handlers), root.level), structlog.get_config()
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logging("INFO", ["hunter-2-hunter-2", "p%40ss%20word-1", "short"])
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers, level = before
    root.setLevel(level)
    structlog.configure(**configured)


def log(event: str, **fields: object) -> None:
    structlog.get_logger("test").warning(event, **fields)


def test_what_is_bound_goes_along_into_the_loop_its_tasks_and_its_threads(lines: Lines) -> None:
    async def work() -> None:
        log("in the loop")
        await asyncio.create_task(elsewhere())
        await asyncio.to_thread(log, "in a thread")

    async def elsewhere() -> None:
        log("in a task")

    loop = EventLoop()
    try:
        with bound(run="mine", queue="outputs.a"):
            loop.run(work())
        loop.run(elsewhere())
    finally:
        loop.close()
    about = [(line["event"], line.get("run"), line.get("queue")) for line in lines()]
    assert about == [
        ("in the loop", "mine", "outputs.a"),
        ("in a task", "mine", "outputs.a"),
        ("in a thread", "mine", "outputs.a"),
        ("in a task", None, None),
    ]


def test_a_context_may_leave_something_out(lines: Lines) -> None:
    with bound(run="mine", queue="outputs.a"):
        context_without("queue").run(log, "of the run")
        log("of the queue")
    assert [(line["run"], line.get("queue")) for line in lines()] == [("mine", None), ("mine", "outputs.a")]


def test_every_line_names_the_process_a_librarys_too(lines: Lines) -> None:
    name_process(worker="host:1")
    log("ours")
    logging.getLogger("celery").warning("theirs %s", 1)
    ours, theirs = lines()
    assert ours["worker"] == theirs["worker"] == "host:1"
    assert theirs["event"] == "theirs 1"
    assert {"timestamp", "level", "logger"} <= ours.keys() & theirs.keys()


def test_no_secret_is_told_in_whatever_form(lines: Lines) -> None:
    log("opened redis://:hunter-2-hunter-2@h", detail='p%40ss%20word-1 or "p@ss word-1"', key="a short word")
    try:
        raise RuntimeError("hunter-2-hunter-2")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    opened, failed = lines()
    assert opened["event"] == "opened redis://:***@h"
    assert opened["detail"] == '*** or "***"'
    assert opened["key"] == "a short word"  # or half of the language would be starred out
    assert "hunter" not in failed["exception"]


def test_of_a_row_that_postgres_quotes_nothing_is_told(lines: Lines) -> None:
    quoted = (
        'null value\nDETAIL:  Failing row contains (Write a poem.\nInput: none).\nCONTEXT:  COPY t, line 1: "Write a'
    )
    try:
        raise psycopg.errors.NotNullViolation(quoted)
    except psycopg.Error:
        structlog.get_logger().exception("failed")
    (failed,) = lines()
    assert "NotNullViolation: null value" in failed["exception"]
    assert "Write a" not in failed["exception"]
    assert "Input" not in failed["exception"]


def test_threads_of_ours_tell_nothing_of_what_others_are_about(lines: Lines) -> None:
    with bound(run="mine"):
        thread = threading.Thread(target=log, args=("of its own",))
        thread.start()
        thread.join()
    assert "run" not in lines()[0]


def test_of_many_ids_the_first_are_told() -> None:
    assert told(range(3)) == ["0", "1", "2"]
    assert len(told(range(1000))) == 20
