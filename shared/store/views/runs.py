"""Runs as a reader sees them: all of them in pages, or one by its name, and what it decides by."""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.errors import UserError
from shared.job import OWN_VOICE
from shared.store.tables.runs import GOING_ON

COLUMNS = "id, run AS name, job, fingerprint, state, reason, created_at, finished_at"


class RunNotThereError(UserError):
    """There is no run '{name}'."""


class JudgementNotThereError(UserError):
    """Run '{run}' has no judgement {number}; it has {numbers}."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run; in a list also the names of its models, and its own judgement's wanted examples by task type."""

    id: uuid.UUID
    name: str
    job: Mapping[str, Any]
    fingerprint: str
    state: str
    reason: str | None
    created_at: datetime
    finished_at: datetime | None
    models: Sequence[str] = ()
    examples: Mapping[str, int] | None = None

    @property
    def goes_on(self) -> bool:
        """Whether more may come of it."""
        return self.state in GOING_ON

    @property
    def files(self) -> Sequence[str]:
        """What it was imported from; nothing if its models made it."""
        imported = self.job.get("imported") or {}
        return [each["name"] for each in imported.get("files", ())]

    @property
    def targets(self) -> Mapping[str, int]:
        """How many examples its job asks for, by task type in their order."""
        return dict(sorted((self.job.get("targets") or {}).items()))


@dataclass(frozen=True, slots=True)
class JudgementView:
    """What a judgement decides by; `weights` holds every voice, `families` those that belong to one."""

    number: int
    rule: str
    threshold: float
    min_candidates: int
    weights: Mapping[str, float]
    families: Mapping[str, str]
    created_at: datetime

    @property
    def voices(self) -> list[str]:
        """Every voice, the instance's own first."""
        return sorted(self.weights, key=lambda voice: (voice != OWN_VOICE, voice))


Began = tuple[datetime, uuid.UUID]
"""Where a run stands in the list of all, which are in the order in which they began."""


def list_runs(session: Session, before: Began | None, most: int) -> list[RunView]:
    """The newest runs that began before that one, with their models and examples."""
    since = "WHERE (created_at, id) < (:at, :id)" if before else ""
    at, id = before or (None, None)
    rows = session.execute(
        text(f"SELECT {COLUMNS} FROM lineage.runs {since} ORDER BY created_at DESC, id DESC LIMIT :most"),  # noqa: S608 - our words
        {"most": most} | ({"at": at, "id": id} if before else {}),
    )
    runs = [RunView(**row._mapping) for row in rows]
    ids = [run.id for run in runs]
    models, examples = _models(session, ids), _examples(session, ids)
    return [replace(run, models=models[run.id], examples=examples[run.id]) for run in runs]


def _models(session: Session, runs: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    found: dict[uuid.UUID, list[str]] = defaultdict(list)
    statement = text("SELECT run_id, model FROM lineage.models WHERE run_id = ANY(:runs) ORDER BY model")
    for run, model in session.execute(statement, {"runs": runs}):
        found[run].append(model)
    return found


def _examples(session: Session, runs: Sequence[uuid.UUID]) -> dict[uuid.UUID, dict[str, int]]:
    found: dict[uuid.UUID, dict[str, int]] = defaultdict(dict)
    statement = text(
        """
        SELECT run_id, task_type, CAST(sum(records) AS bigint) FROM lineage.yields
        WHERE run_id = ANY(:runs) AND kind = 'example' AND state = 'wanted' AND judgement = 0 GROUP BY 1, 2
        """
    )
    for run, task_type, count in session.execute(statement, {"runs": runs}):
        found[run][task_type] = count
    return found


def find_run(session: Session, name: str) -> RunView:
    """The run with this name or id. Raises `RunNotThereError`."""
    rows = session.execute(
        text(f"SELECT {COLUMNS} FROM lineage.runs WHERE run = :name OR CAST(id AS text) = lower(:name)"),  # noqa: S608 - our words
        {"name": name},
    )
    found = sorted((RunView(**row._mapping) for row in rows), key=lambda run: run.name != name)
    if not found:
        raise RunNotThereError(name=name)
    return found[0]


def list_judgements(session: Session, run_id: uuid.UUID) -> list[JudgementView]:
    """A run's judgements, its own first."""
    rows = session.execute(
        text(
            """
            SELECT judgement AS number, rule, threshold, min_candidates, weights, families, created_at
            FROM lineage.judgements WHERE run_id = :run ORDER BY judgement
            """
        ),
        {"run": run_id},
    )
    return [JudgementView(**row._mapping) for row in rows]


def pick_judgement(run: RunView, judgements: Sequence[JudgementView], number: int) -> JudgementView:
    """The judgement of this number. Raises `JudgementNotThereError`."""
    for each in judgements:
        if each.number == number:
            return each
    numbers = ", ".join(str(each.number) for each in judgements) or "none"
    raise JudgementNotThereError(run=run.name, number=number, numbers=numbers)
