"""The way to OpenLineage, by the library's own configuration (https://openlineage.io/docs/client/python)."""

from collections.abc import Callable, Mapping

from openlineage.client import OpenLineageClient, set_producer
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from shared.errors import WorldError
from shared.store.run_facts import run_facts
from shared.store.transitions import Transition
from shared.telemetry.openlineage_events import PRODUCER, Place, run_event
from shared.telemetry.openlineage_settings import DEFAULT_NAMESPACE, NAMESPACE, hush

MOST_S = 10  # for the questions to Postgres that an event takes


class NoTransportError(WorldError):
    """OpenLineage's settings name no transport: give OPENLINEAGE_URL, or OPENLINEAGE__TRANSPORT__TYPE and what belongs
    to it, or a configuration file that can be read"""


def connect(engine: Engine, environ: Mapping[str, str]) -> Callable[[Transition], None]:
    """What sends a run's event; it waits until that has gone. Raises `NoTransportError`, and whatever the library does
    about its settings."""
    hush()
    set_producer(PRODUCER)
    client = OpenLineageClient()
    if client.transport.kind == "console" and (client.config.transport or {}).get("type") != "console":
        raise NoTransportError  # the library would print events among a command's results
    url = engine.url
    place = Place(
        namespace=environ.get(NAMESPACE) or DEFAULT_NAMESPACE,
        store=f"postgres://{url.host or 'localhost'}:{url.port or 5432}",
        database=url.database or "",
    )

    def send(transition: Transition) -> None:
        with Session(engine) as session:
            session.execute(text(f"SET LOCAL statement_timeout = '{MOST_S}s'"))
            facts = run_facts(session, transition.run_id)
        client.emit(run_event(facts, transition, place))

    return send
