"""How a model's servers are, as each worker sees them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from shared.lm.health import CircuitState
from shared.store.base import Base, RunId, one_of


class EndpointState(Base):
    """One server of a model as a worker saw it at `updated_at`.

    `call_limit` of at most `ceiling` calls may be under way, if the circuit is closed; it is closed, or not, since
    `since`. `failing_since` is empty unless some call has failed and none was answered since.
    """

    __tablename__ = "endpoint_states"
    __table_args__ = (CheckConstraint(one_of("state", CircuitState), name="state"),)

    run_id: Mapped[RunId] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(Text, primary_key=True)
    endpoint: Mapped[str] = mapped_column(Text, primary_key=True)
    worker: Mapped[str] = mapped_column(Text, primary_key=True)
    state: Mapped[CircuitState] = mapped_column(Text)
    call_limit: Mapped[int]
    ceiling: Mapped[int]
    in_flight: Mapped[int]
    since: Mapped[datetime]
    failing_since: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    fault: Mapped[str | None]
    detail: Mapped[str | None]
    updated_at: Mapped[datetime]
