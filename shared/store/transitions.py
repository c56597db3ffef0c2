"""Who wants to know when a run begins, goes on or ends: told once that is committed, and only then."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session, SessionTransaction

from shared.store.tables.runs import RunState

_ANNOUNCED = "announced transitions"


@dataclass(frozen=True, slots=True)
class Transition:
    """A run took up this state, by the database's clock."""

    run_id: uuid.UUID
    state: RunState
    reason: str | None
    at: datetime


Listener = Callable[[Transition], None]
"""It must neither wait nor raise: whoever commits calls it."""

_listeners: WeakKeyDictionary[Engine, list[Listener]] = WeakKeyDictionary()


def listen(engine: Engine, listener: Listener) -> None:
    """Have a listener called after each transaction on this engine in which a run changed its state."""
    _listeners.setdefault(engine, []).append(listener)


def announce(session: Session, transition: Transition) -> None:
    """Tell the listeners when the session's transaction is committed; if it never is, nobody."""
    session.info.setdefault(_ANNOUNCED, []).append(transition)


@event.listens_for(Session, "after_commit")
def _tell(session: Session) -> None:
    if _ANNOUNCED not in session.info or session.in_nested_transaction():
        return
    engine = session.get_bind()
    listeners = _listeners.get(engine, []) if isinstance(engine, Engine) else []
    for transition in session.info.pop(_ANNOUNCED):
        for listener in listeners:
            listener(transition)


@event.listens_for(Session, "after_transaction_end")
def _forget(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_ANNOUNCED, None)
