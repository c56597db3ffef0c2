"""`ensemble-instruct explorer` as a process."""

import os
import signal
import sys
import urllib.request

import pytest

from tests.integration.admin.command_line import CommandLine, start
from tests.integration.admin.conftest import Finished


def test_it_says_where_it_is_and_stops_when_told(later_command: CommandLine, finished: Finished) -> None:
    process = start("explorer", "--port", 0, environment={**os.environ, "DATABASE_URL": finished.database_url})
    try:
        assert process.stderr
        address = process.stderr.readline().strip()
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - our own
            assert finished.name in answer.read().decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_an_address_that_is_taken_or_none_is_named(later_command: CommandLine) -> None:
    assert "[::1:2:3]:8000 can't be listened on" in later_command.refused(1, "explorer", "--host", "::1:2:3")
    assert "Choose another with --port" in later_command.refused(1, "explorer", "--host", "192.0.2.1", "--port", 1)


def test_without_its_libraries_it_names_the_extra(later_command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("services.explorer")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert "pip install 'ensemble-instruct[explorer]'" in later_command.refused(2, "explorer")
