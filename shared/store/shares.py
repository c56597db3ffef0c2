"""How runs and their workers share the window of a model's servers: no more calls under way than the jobs allow.

Each worker tells how many calls it has use for, and gets a share, which it may never exceed. A share that is to
become smaller does so as its calls end, and only then can it be given to another. Runs whose models are the same
behind the same servers share one window, called a pool.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.method.division import due
from shared.store.fair_division import divide_by_weight
from shared.store.locks import lock
from shared.store.session import limit_waits, seconds
from shared.store.tables.work import ModelShare

EXPIRES_S = 15.0  # after which the share of a worker that does not renew it goes to others
FORGOTTEN_S = 3600.0
LOCK_S = 1.0  # how long a worker waits for those who agree before it
STANDSTILL_S = 3.0  # after which Postgres takes it to stand still, and ends its transaction
TURN_S = 10.0  # how long a slot that can't be divided is one run's


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker with calls of a run's model: at most `size` of them over all workers, from the window of `pool`.

    While there are too few slots, runs get them in proportion to their `weight`.
    """

    run_id: uuid.UUID
    model: str
    worker: str
    pool: uuid.UUID
    size: int
    weight: float = 1


@dataclass(frozen=True, slots=True)
class Share:
    """How many calls of a model a worker may have under way, and whether other workers want some too."""

    slots: int
    alone: bool


@dataclass(frozen=True, slots=True)
class Bid:
    """What a worker wants, by stage, and how many slots nobody else may have because of it."""

    run_id: uuid.UUID
    model: str
    worker: str
    size: int
    weight: float
    wanted: Sequence[int]
    reserved: int


class Pool:
    """A window and those who share it."""

    def __init__(self, bids: Iterable[Bid]) -> None:
        self._runs: defaultdict[uuid.UUID, defaultdict[str, list[Bid]]] = defaultdict(lambda: defaultdict(list))
        for bid in bids:
            self._runs[bid.run_id][bid.model].append(bid)

    @property
    def size(self) -> int:
        """How many calls may be under way: as many as the one allows that allows most."""
        return max(_limit(bids) for models in self._runs.values() for bids in models.values())

    def allotted(self, run_id: uuid.UUID, model: str, turn: int) -> int:
        """How many of them are due to a run's model: the runs share by weight, the models of one run alike."""
        wanted = {run: {name: _wanted(bids) for name, bids in models.items()} for run, models in self._runs.items()}
        totals = {run: sum(counts.values()) for run, counts in wanted.items()}
        due = divide_by_weight(self.size, totals, {run: self._weight(run) for run in totals}, turn)
        return divide_by_weight(due[run_id], wanted[run_id], dict.fromkeys(wanted[run_id], 1.0), turn)[model]

    def _weight(self, run_id: uuid.UUID) -> float:
        return max(bid.weight for bids in self._runs[run_id].values() for bid in bids)


def _limit(bids: Sequence[Bid]) -> int:
    return min(bid.size for bid in bids)  # they differ for a moment when the job was changed


def _wanted(bids: Sequence[Bid]) -> int:
    return min(_limit(bids), sum(sum(bid.wanted) for bid in bids))


def renew(
    session: Session, holder: Holder, *, wanted: Sequence[int], share: int, holding: int, may_grow: bool = True
) -> Share:
    """Tell what a worker wants of a model's slots, by stage, and learn what it may have.

    `share` is what it had until now, `holding` the highest number of calls that it may have under way at this
    moment. A worker that could not renew for a while may not grow at once: others in its case must come back first.
    """
    # A worker that stands still in here, or waits for one, must not keep the others from agreeing in time.
    limit_waits(session, lock_s=LOCK_S, idle_s=STANDSTILL_S)
    lock(session, "share", holder.pool)
    others, turn = _others(session, holder)
    fellows = [bid for bid in others if (bid.run_id, bid.model) == (holder.run_id, holder.model)]
    own = Bid(holder.run_id, holder.model, holder.worker, holder.size, holder.weight, wanted, holding)
    pool = Pool([own, *others])
    allotted = pool.allotted(holder.run_id, holder.model, turn)
    bidders = {bid.worker: bid for bid in [own, *fellows]}
    slots = due(holder.worker, bidders, allotted=allotted, share=share)
    of_fellows = sum(bid.reserved for bid in fellows)
    free = min(pool.size - sum(bid.reserved for bid in others), holder.size - of_fellows)
    reserved = max(holding, min(slots, free)) if may_grow else holding
    _write(session, holder, wanted, reserved)
    # After a lapse others may have been given what this one still reserves: then it waits until they have given way.
    return Share(max(0, min(slots, reserved, free)), alone=not others)


def _others(session: Session, holder: Holder) -> tuple[list[Bid], int]:
    """Those who share the window with a worker, and whose turn it is."""
    row = ModelShare
    columns = (row.run_id, row.model, row.worker, row.size, row.weight, row.wanted, row.slots)
    of_holder = (row.run_id == holder.run_id) & (row.model == holder.model) & (row.worker == holder.worker)
    found = session.execute(select(*columns).where(row.pool == holder.pool, row.expires_at > func.now(), ~of_holder))
    turn = session.scalars(select(func.floor(func.extract("epoch", func.now()) / TURN_S))).one()
    return [Bid(*each) for each in found], int(turn)


def _write(session: Session, holder: Holder, wanted: Sequence[int], reserved: int) -> None:
    place = {"run_id": holder.run_id, "model": holder.model, "worker": holder.worker}
    values = {
        "pool": holder.pool,
        "size": holder.size,
        "weight": holder.weight,
        "wanted": list(wanted),
        "slots": reserved,
        "expires_at": func.now() + seconds(EXPIRES_S),
    }
    row = insert(ModelShare).values(**place, **values)
    session.execute(row.on_conflict_do_update(index_elements=list(place), set_=values))


def forget_vanished(session: Session) -> None:
    """Delete the shares of workers that are long gone."""
    session.execute(delete(ModelShare).where(ModelShare.expires_at < func.now() - seconds(FORGOTTEN_S)))


def release(session: Session, holder: Holder) -> None:
    """Give a share back: the worker has no call of the model under way."""
    row = ModelShare
    of_holder = (row.run_id == holder.run_id, row.model == holder.model, row.worker == holder.worker)
    session.execute(delete(row).where(*of_holder))
