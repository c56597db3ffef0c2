"""How the workers share a model's window: no more calls under way in a run than its job allows.

Each worker tells how many calls it has use for, and gets a share, which it may never exceed. A share that is to
become smaller does so as its calls end, and only then can it be given to another.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.store.locks import lock
from shared.store.session import seconds
from shared.store.tables.work import ModelShare

TOLERANCE = 8  # one part in so many of a window more than is fair is not passed on: it would be idle on its way
EXPIRES_S = 15.0  # after which the share of a worker that does not renew it goes to others


@dataclass(frozen=True, slots=True)
class Share:
    """How many calls of a model a worker may have under way, and whether other workers want some too."""

    slots: int
    alone: bool


def divide(size: int, wanted: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Divide `size` slots among workers, each of which wants some for each stage, the first stage first.

    The last stage is served first, since its work is nearest to an example; within a stage nobody gets more while
    another who wants more has less.
    """
    given = dict.fromkeys(wanted, 0)
    stages = max((len(each) for each in wanted.values()), default=0)
    for stage in reversed(range(stages)):
        left = size - sum(given.values())
        asking = sorted((each[stage], worker) for worker, each in wanted.items())
        for others, (count, worker) in zip(range(len(asking), 0, -1), asking, strict=True):
            got = min(count, left // others)
            given[worker] += got
            left -= got
    return given


def renew(
    session: Session,
    run_id: uuid.UUID,
    model: str,
    size: int,
    *,
    worker: str,
    wanted: Sequence[int],
    holding: int,
    may_grow: bool = True,
) -> Share:
    """Tell what `worker` wants of a model's `size` slots, by stage, and learn what it may have.

    `holding` is the highest number of calls that it may have under way at this moment. A worker that could not
    renew for a while may not grow at once: others in its case must come back first. What workers want changes from
    moment to moment, so one that has a little more than is fair keeps it, unless another has less than half.
    """
    lock(session, "share", run_id, model)
    others = session.execute(
        select(ModelShare.worker, ModelShare.wanted, ModelShare.slots).where(
            ModelShare.run_id == run_id,
            ModelShare.model == model,
            ModelShare.worker != worker,
            ModelShare.expires_at > func.now(),
        )
    ).all()
    fair = divide(size, {worker: wanted, **{name: theirs for name, theirs, _ in others}})
    settled = all(2 * theirs >= fair[name] for name, _, theirs in others)
    due = fair[worker]
    if settled and holding - due <= size // TOLERANCE:
        due = max(due, min(holding, sum(wanted)))
    free = size - sum(slots for _, _, slots in others)
    slots = max(holding, min(due, free)) if may_grow else holding
    values = {"wanted": list(wanted), "slots": slots, "expires_at": func.now() + seconds(EXPIRES_S)}
    row = insert(ModelShare).values(run_id=run_id, model=model, worker=worker, **values)
    session.execute(row.on_conflict_do_update(index_elements=["run_id", "model", "worker"], set_=values))
    return Share(min(due, slots), alone=not others)


def release(session: Session, run_id: uuid.UUID, model: str, worker: str) -> None:
    """Give a share back: the worker has no call of the model under way."""
    of_worker = (ModelShare.run_id == run_id, ModelShare.model == model, ModelShare.worker == worker)
    session.execute(delete(ModelShare).where(*of_worker))
