"""A run's examples in pages, in the order in which the run keeps them.

A page goes on from a place in that order, so the last is as quick as the first. What many examples fit is found by
walking the run's accepted instructions in their order, which an index knows; for what is rare (words, a voice that
seldom wins) Postgres goes through the run's examples and sorts what fits.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.method.tasks import TaskType

RARE = 0.02  # of a run's examples: below that, walking would pass over too many
LONGEST = 400  # characters of a text in a list


class Kept(StrEnum):
    """Which examples: those up to the target, those beyond it, those retracted, or all."""

    WANTED = "wanted"
    SURPLUS = "surplus"
    RETRACTED = "retracted"
    ALL = "all"


class Place(NamedTuple):
    """Where an example stands in its run."""

    task_type: TaskType
    position: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for among the examples of a run's judgement; `words` stand in the instruction or the output."""

    run_id: uuid.UUID
    judgement: int = 0
    kept: Kept = Kept.WANTED
    task_type: TaskType | None = None
    voice: str | None = None
    words: str | None = None


@dataclass(frozen=True, slots=True)
class ExampleLine:
    """An example in a list, its texts cut at `LONGEST` characters."""

    id: uuid.UUID
    task_type: TaskType
    position: int
    instruction: str
    input: str
    output: str
    voice: str
    exact_match: bool
    surplus: bool
    retracted: bool = False

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.task_type, self.position)


COLUMNS = f"""
  e.id, e.task_type, e.position, left(e.instruction, {LONGEST}) AS instruction, left(e.input, {LONGEST}) AS input,
  left(e.output, {LONGEST}) AS output, e.chosen_voice AS voice, e.exact_match, e.surplus
"""
WALK = """
SELECT {columns} FROM lineage.instructions i CROSS JOIN LATERAL (
  SELECT * FROM lineage.examples e WHERE e.instruction_id = i.id AND e.judgement = :judgement OFFSET 0
) e
WHERE i.run_id = :run AND i.state = 'accepted' AND i.task_type = :task_type {conditions}
ORDER BY i.position {direction} LIMIT :most
"""
SORT = """
SELECT {columns} FROM lineage.examples e
WHERE e.run_id = :run AND e.judgement = :judgement AND e.task_type = :task_type {conditions}
ORDER BY e.position {direction} LIMIT :most
"""


def knows_retractions(session: Session) -> bool:
    """Whether the database's examples say if they are retracted; older ones don't."""
    return "retracted" in session.execute(text("SELECT * FROM lineage.examples LIMIT 0")).keys()  # noqa: SIM118


@dataclass(frozen=True, slots=True)
class Counted:
    """How many examples fit, and of how many; `fit` is `None` where the totals don't tell."""

    fit: int | None
    all: int

    @property
    def is_rare(self) -> bool:
        """Whether most examples don't fit, as far as is known."""
        return self.fit is None or self.fit < RARE * self.all


def count(session: Session, wanted: Wanted) -> Counted:
    """How many examples there are, and how many fit, from the run's totals."""
    rows = session.execute(
        text(
            """
            SELECT task_type, voice, state, records FROM lineage.yields
            WHERE run_id = :run AND judgement = :judgement AND kind = 'example'
            """
        ),
        {"run": wanted.run_id, "judgement": wanted.judgement},
    ).all()
    of_type = [row for row in rows if wanted.task_type in (None, row.task_type)]
    fit = None
    if not wanted.words and wanted.kept is not Kept.RETRACTED:
        states = [wanted.kept] if wanted.kept is not Kept.ALL else [Kept.WANTED, Kept.SURPLUS]
        fit = sum(row.records for row in of_type if wanted.voice in (None, row.voice) and row.state in states)
    return Counted(fit, sum(row.records for row in of_type))


def page(
    session: Session, wanted: Wanted, counted: Counted, start: Place | None, most: int, *, backwards: bool = False
) -> list[ExampleLine]:
    """The next examples after `start`, or the last ones before it; always in the run's order."""
    retractions = knows_retractions(session)
    if counted.fit == 0 or (wanted.kept is Kept.RETRACTED and not retractions):
        return []
    walks = not counted.is_rare and wanted.kept is not Kept.SURPLUS  # which stand together, at the end
    columns = f"{COLUMNS}, e.retracted" if retractions else COLUMNS
    found: list[ExampleLine] = []
    for task_type, position in _stretches(wanted.task_type, start, backwards):
        conditions, values = _conditions(wanted, "i" if walks else "e", position, backwards)
        statement = (WALK if walks else SORT).format(
            columns=columns, conditions=conditions, direction="DESC" if backwards else ""
        )
        values |= {"run": wanted.run_id, "judgement": wanted.judgement, "task_type": task_type}
        rows = session.execute(text(statement), {**values, "most": most - len(found)})
        found += [ExampleLine(**{**row._mapping, "task_type": task_type}) for row in rows]
        if len(found) == most:
            break
    return found[::-1] if backwards else found


def _stretches(only: TaskType | None, start: Place | None, backwards: bool) -> Iterator[tuple[TaskType, int | None]]:
    """The task types still to be looked through, in order; the position from which on, where it is not all of one."""
    types = [only] if only else sorted(TaskType)
    for task_type in reversed(types) if backwards else types:
        if start is None or (task_type < start.task_type if backwards else task_type > start.task_type):
            yield task_type, None
        elif task_type == start.task_type:
            yield task_type, start.position


def _conditions(wanted: Wanted, order: str, position: int | None, backwards: bool) -> tuple[str, dict[str, Any]]:
    parts = {
        f"{order}.position {'<' if backwards else '>'} :position": position,
        "e.chosen_voice = :voice": wanted.voice,
        "(e.instruction ILIKE :pattern OR e.output ILIKE :pattern)": wanted.words and _pattern(wanted.words),
    }
    given = {condition: value for condition, value in parts.items() if value is not None}
    values = {condition.rpartition(":")[2].rstrip(")"): value for condition, value in given.items()}
    of_state = {Kept.WANTED: ["NOT e.surplus"], Kept.SURPLUS: ["e.surplus"], Kept.RETRACTED: ["e.retracted"]}
    return "".join(f" AND {each}" for each in [*given, *of_state.get(wanted.kept, [])]), values


def _pattern(words: str) -> str:
    """For ILIKE: these words as they stand, wherever they do."""
    for special in "\\%_":
        words = words.replace(special, f"\\{special}")
    return f"%{words}%"
