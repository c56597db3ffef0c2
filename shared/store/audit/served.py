"""Each call that an LM server answered is in the store, or is counted as an attempt that was lost.

A server's own account names each completion by its prompt's sha256 and its seed, as the fake LM's does. A call's seed
follows from its work item's place, so even of a call of which no row was left the work is known.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
from sqlalchemy import Integer, func, literal_column, select
from sqlalchemy.orm import Session

from shared.errors import UserError
from shared.method.sampling import call_seed
from shared.method.tasks import LM_STAGES, Stage, TaskType
from shared.store.audit.check import Finding
from shared.store.loading import RunContext
from shared.store.tables.records import Generation
from shared.store.tables.work import TRIED, WorkItem, WorkState

PAGE = 10_000  # rows


class ServedFileError(UserError):
    """{path}, line {line}: not an account of a served call; each line is JSON such as
    {{"prompt_sha256": "…", "seed": 7}}"""


@dataclass(frozen=True, slots=True)
class ServedCall:
    """What a server says of a completion that it sent whole."""

    prompt_sha256: str
    seed: int | None


def read_served(path: Path) -> Counter[ServedCall]:
    """How often a server served each call. Raises `ServedFileError`."""
    calls: Counter[ServedCall] = Counter()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                told = orjson.loads(line)
                calls[ServedCall(told["prompt_sha256"], told["seed"])] += 1
            except (ValueError, KeyError, TypeError):
                raise ServedFileError(path=path, line=number) from None
    return calls


def served(session: Session, context: RunContext, calls: Counter[ServedCall]) -> Finding:
    """The served calls of which the store knows nothing. All of them must have been made for this run."""
    unknown = calls - _recorded(session, context)
    return Finding.of(
        "served calls lost",
        "each call that a server answered is a generation, or a lost attempt of its work item",
        _unaccounted(session, context, unknown),
    )


def _recorded(session: Session, context: RunContext) -> Counter[ServedCall]:
    rows = session.execute(
        select(func.encode(func.sha256(func.convert_to(Generation.prompt, "UTF8")), "hex"), Generation.seed)
        .where(Generation.run_id == context.run_id, Generation.response.is_not(None))
        .execution_options(yield_per=PAGE)
    )
    with rows:
        return Counter(ServedCall(digest, seed) for digest, seed in rows)


def _unaccounted(session: Session, context: RunContext, unknown: Counter[ServedCall]) -> Iterator[str]:
    lost = _lost_attempts(session, context, {call.seed for call in unknown}) if unknown else {}
    for seed, count in _by_seed(unknown).items():
        if count > lost.get(seed, 0):
            yield f"seed {seed}: {count} served, {lost.get(seed, 0)} lost attempts"


def _by_seed(calls: Counter[ServedCall]) -> Counter[int | None]:
    counts: Counter[int | None] = Counter()
    for call, count in calls.items():
        counts[call.seed] += count
    return counts


def _lost_attempts(session: Session, context: RunContext, seeds: Iterable[int | None]) -> dict[int | None, int]:
    """How many attempts may have been lost of the work that has these seeds, one under way included."""
    wanted = set(seeds)
    lost: defaultdict[int | None, int] = defaultdict(int)
    rows = session.execute(
        select(
            *(WorkItem.stage, WorkItem.task_type, WorkItem.position, WorkItem.voice, WorkItem.state),
            literal_column(TRIED, Integer),
        )
        .where(WorkItem.run_id == context.run_id, WorkItem.stage.in_(LM_STAGES))
        .execution_options(yield_per=PAGE)
    )
    with rows:
        for stage, task_type, position, voice, state, attempts in rows:
            seed = call_seed(context.job.seed, Stage(stage), TaskType(task_type), position, voice)
            if seed in wanted:  # an attempt that is under way is not counted in its row
                lost[seed] += attempts + (state == WorkState.LEASED)
    return lost
