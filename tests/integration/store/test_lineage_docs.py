"""docs/lineage.md: its questions can be asked by a reader, and its columns are the database's."""

import re
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.integration.store.test_schema import as_reader

DOCS = Path(__file__).parents[3] / "docs" / "lineage.md"
QUESTIONS = re.findall(r"^### \d+\. (.*?)\n\n```sql\n(SELECT.*?);\n```", DOCS.read_text(), re.DOTALL | re.MULTILINE)


def test_there_are_ten_questions_at_least() -> None:
    assert len(QUESTIONS) >= 10


@pytest.mark.parametrize(("title", "query"), QUESTIONS)
def test_a_dataset_reader_may_ask(engine: Engine, title: str, query: str) -> None:
    assert as_reader(engine, query) == []


def test_what_is_said_of_a_column_is_what_the_database_says(engine: Engine) -> None:
    statement = text(
        """
        SELECT c.relname, a.attname, col_description(c.oid, a.attnum) FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'lineage'
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 ORDER BY c.relname, a.attnum
        """
    )
    with engine.connect() as connection:
        known = [tuple(row) for row in connection.execute(statement)]
    sections = re.split(r"^### lineage\.(\w+)\n", DOCS.read_text(), flags=re.MULTILINE)[1:]
    told = [
        (view, column, said)
        for view, section in zip(sections[::2], sections[1::2], strict=True)
        for column, said in re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    ]
    assert told == known


def test_every_function_is_told_of_here_and_in_the_database(engine: Engine) -> None:
    statement = text(
        "SELECT proname, obj_description(oid, 'pg_proc') FROM pg_proc WHERE pronamespace = 'lineage'::regnamespace"
    )
    with engine.connect() as connection:
        known = {str(name): said for name, said in connection.execute(statement)}
    assert set(re.findall(r"`lineage\.(\w+)\(", DOCS.read_text())) == set(known)
    assert all(known.values())
