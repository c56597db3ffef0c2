"""What a worker does before its first task."""

import os
import subprocess
import sys

import pytest

BEGINNING = """
import sys
from workers import app
app.app.amqp.queues.select([sys.argv[1]])
try:
    app._open_runtime()  # it ends the process here: the database has no tables
finally:
    print("nltk" in sys.modules)
"""


@pytest.mark.parametrize(("queue", "loaded"), [("consensus", "True"), ("instances", "False")])
def test_what_stems_words_is_loaded_by_who_judges_and_before_calls_are_under_way(
    queue: str, loaded: str, empty_database_url: str, redis_url: str
) -> None:
    environment = {**os.environ, "DATABASE_URL": empty_database_url, "REDIS_URL": redis_url}
    command = [sys.executable, "-c", BEGINNING, queue]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (1, loaded)
    assert "ensemble-instruct db upgrade" in ended.stderr
