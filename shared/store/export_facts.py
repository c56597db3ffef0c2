"""What is true of an export's examples, counted in Postgres from what the schema `lineage` shows to anybody."""

import uuid
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.method.tasks import TaskType


@dataclass(frozen=True, slots=True)
class ExampleGroup:
    """How many of the examples are alike in these."""

    run: str
    split: str | None
    task_type: TaskType
    voice: str
    exact_match: bool
    examples: int


@dataclass(frozen=True, slots=True)
class Words:
    """How many examples have a text of so many words; `part` is instruction, input or output.

    A word is a run of characters that are no spaces; examples without an input have no part in `input`.
    """

    part: str
    words: int
    examples: int


@dataclass(frozen=True, slots=True)
class FirstWord:
    """With how many examples' instructions a word begins, in lower case."""

    word: str
    examples: int


def example_groups(session: Session, export_id: uuid.UUID) -> list[ExampleGroup]:
    """An export's examples, counted."""
    rows = session.execute(
        text(
            """
            SELECT e.run, x.split, e.task_type, e.chosen_voice, e.exact_match, count(*)
            FROM lineage.export_rows x JOIN lineage.examples e ON e.id = x.example_id WHERE x.export_id = :export
            GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2 NULLS FIRST, 3, 4, 5
            """
        ),
        {"export": export_id},
    )
    return [ExampleGroup(run, split, TaskType(kind), *rest) for run, split, kind, *rest in rows]


def mean_agreement(session: Session, export_id: uuid.UUID) -> float | None:
    """Over the examples that had another output to agree with."""
    mean: float | None = session.scalar(
        text(
            "SELECT avg(e.agreement) FROM lineage.export_rows x JOIN lineage.examples e ON e.id = x.example_id "
            "WHERE x.export_id = :export"
        ),
        {"export": export_id},
    )
    return mean


def words_of(session: Session, export_id: uuid.UUID) -> list[Words]:
    """How long the texts of an export's examples are."""
    rows = session.execute(
        text(
            r"""
            SELECT p.part, p.words, count(*) FROM lineage.export_rows x
            JOIN lineage.examples e ON e.id = x.example_id
            CROSS JOIN LATERAL (VALUES
              ('instruction', regexp_count(e.instruction, '\S+')),
              ('input', CASE WHEN e.input <> '' THEN regexp_count(e.input, '\S+') END),
              ('output', regexp_count(e.output, '\S+'))
            ) p (part, words)
            WHERE x.export_id = :export AND p.words IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2
            """
        ),
        {"export": export_id},
    )
    return [Words(*row) for row in rows]


def first_words(session: Session, export_id: uuid.UUID, most: int) -> list[FirstWord]:
    """The words that most of an export's instructions begin with."""
    rows = session.execute(
        text(
            r"""
            SELECT word, examples FROM (
              SELECT lower((regexp_match(e.instruction, '\w+'))[1]) AS word, count(*) AS examples
              FROM lineage.export_rows x JOIN lineage.examples e ON e.id = x.example_id
              WHERE x.export_id = :export AND e.instruction ~ '\w' GROUP BY 1
            ) begun ORDER BY examples DESC, word COLLATE "C" LIMIT :most
            """
        ),
        {"export": export_id, "most": most},
    )
    return [FirstWord(*row) for row in rows]
