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
    retracted: bool

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.task_type, self.position)


COLUMNS = f"""
  e.id, e.task_type, e.position, left(e.instruction, {LONGEST}) AS instruction, left(e.input, {LONGEST}) AS input,
  left(e.output, {LONGEST}) AS output, e.chosen_voice AS voice, e.exact_match, e.surplus, e.retracted
"""
WALK = """
SELECT {columns} FROM lineage.instructions i CROSS JOIN LATERAL (
  SELECT * FROM lineage.examples e WHERE e.instruction_id = i.id AND e.judgement = :judgement OFFSET 0
) e
WHERE i.run_id = :run AND i.state = 'accepted' AND i.task_type = :task_type {conditions}
ORDER BY i.position {direction} LIMIT :most
"""
# Only keys are sorted, not the texts; the few that are left are looked up by them.
SORT = """
SELECT {columns} FROM lineage.examples e WHERE e.id = ANY (ARRAY(
  SELECT e.id FROM lineage.examples e
  WHERE e.run_id = :run AND e.judgement = :judgement {conditions}
  ORDER BY e.task_type {direction}, e.position {direction} LIMIT :most
))
ORDER BY e.task_type {direction}, e.position {direction}
"""


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
    if counted.fit == 0:
        return []
    walks = not counted.is_rare and wanted.kept is not Kept.SURPLUS  # which stand together, at the end
    direction = "DESC" if backwards else ""
    found: list[ExampleLine] = []
    for statement, values in (_walks if walks else _sorts)(wanted, start, backwards):
        asked = {"run": wanted.run_id, "judgement": wanted.judgement, "most": most - len(found), **values}
        rows = session.execute(text(statement.format(columns=COLUMNS, direction=direction)), asked)
        found += [ExampleLine(**{**row._mapping, "task_type": TaskType(row.task_type)}) for row in rows]
        if len(found) == most:
            break
    return found[::-1] if backwards else found


Question = tuple[str, dict[str, Any]]


def _walks(wanted: Wanted, start: Place | None, backwards: bool) -> Iterator[Question]:
    """A question for each task type that is still to be looked through, in their order."""
    conditions, values = _conditions(wanted)
    types = [wanted.task_type] if wanted.task_type else sorted(TaskType)
    for task_type in reversed(types) if backwards else types:
        beyond = f" AND i.position {'<' if backwards else '>'} :position"
        if start is None or (task_type < start.task_type if backwards else task_type > start.task_type):
            yield _with(WALK, conditions), {**values, "task_type": task_type}
        elif task_type == start.task_type:
            yield _with(WALK, conditions + beyond), {**values, "task_type": task_type, "position": start.position}


def _sorts(wanted: Wanted, start: Place | None, backwards: bool) -> Iterator[Question]:
    """One question for all task types, since each would go through all of the run's examples."""
    conditions, values = _conditions(wanted)
    if wanted.task_type:
        conditions += " AND e.task_type = :task_type"
        values |= {"task_type": wanted.task_type}
    if start:
        conditions += f" AND (e.task_type, e.position) {'<' if backwards else '>'} (:of_type, :position)"
        values |= {"of_type": start.task_type, "position": start.position}
    yield _with(SORT, conditions), values


def _with(statement: str, conditions: str) -> str:
    return statement.replace("{conditions}", conditions)


def _conditions(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """What an example has to be, wherever it stands."""
    of_state = {Kept.WANTED: " AND NOT e.surplus", Kept.SURPLUS: " AND e.surplus", Kept.RETRACTED: " AND e.retracted"}
    conditions, values = of_state.get(wanted.kept, ""), {}
    if wanted.voice:
        conditions += " AND e.chosen_voice = :voice"
        values["voice"] = wanted.voice
    if wanted.words:
        conditions += " AND (e.instruction ILIKE :pattern OR e.output ILIKE :pattern)"
        values["pattern"] = _pattern(wanted.words)
    return conditions, values


def _pattern(words: str) -> str:
    """For ILIKE: these words as they stand, wherever they do."""
    for special in "\\%_":
        words = words.replace(special, f"\\{special}")
    return f"%{words}%"
