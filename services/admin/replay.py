"""The command that sends a stored LM call again."""

from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.orm import Session

from services.admin.connections import open_session
from services.admin.console import print_json, progress_bar
from services.admin.listed import Listed
from services.admin.options import AsJson
from services.admin.replay_report import replay_report
from services.admin.replay_view import show
from services.admin.replaying import replay, servers_to_ask
from services.record_summary import summary
from shared.errors import UserError
from shared.store.lineage import find_record, lineage_of
from shared.store.stored_calls import StoredCall, calls_behind, stored_call

MOST_TIMES = 1000


class NotACallError(Listed, UserError):
    """{id} is the id of: {kind}. Only a generation, an LM call, can be replayed; it came from these:"""


class NoCallBehindError(UserError):
    """{id} is the id of: {kind}. Only a generation, an LM call, can be replayed, and none made this one{instead}."""


def replay_call(
    id: Annotated[str, typer.Argument(metavar="GENERATION", help="the id of an LM call, or its beginning")],
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="ask this server, with the model's key if its job names one; by default the one that answered then, "
            "or another of the job's when that one is gone",
        ),
    ] = None,
    times: Annotated[int, typer.Option(min=1, max=MOST_TIMES, help="how often, one after the other")] = 1,
    unified: Annotated[
        bool, typer.Option("--unified", help="show a unified diff, as a file or pipe gets, instead of two columns")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a stored LM call again, with its prompt, parameters and seed, and show what differs. Nothing is written."""
    with open_session() as session:
        stored = _find(session, id)
    servers = servers_to_ask(stored, endpoint)
    with progress_bar("replaying", times) as done:
        replays = replay(stored, servers, times, done)
    if as_json:
        print_json(replay_report(stored, replays))
    else:
        show(stored, replays, unified=unified)
    if replays.broken_off:
        raise replays.broken_off


def _find(session: Session, id: str) -> StoredCall:
    kind, key = find_record(session, id)
    if kind == "generation":
        return stored_call(session, key)
    named = {"id": str(key), "kind": kind.replace("_", " ")}
    behind = calls_behind(session, kind, key)
    if not behind:
        raise NoCallBehindError(**named, instead=_brought(session, kind, key))
    calls = [f"{call.id}  {summary(call)}; it wrote {made.kind}: {summary(made)}" for call, made in behind]
    raise NotACallError(calls, **named)


def _brought(session: Session, kind: str, key: UUID) -> str:
    """Where a record that no call made was imported from, if it was."""
    lineage = lineage_of(session, kind, key)
    origins = [*lineage.parents(key, "imported_from"), *(n for n in lineage.nodes.values() if n.kind == "origin")]
    return f": it was imported, from {summary(origins[0])}" if origins else ""


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("replay")(replay_call)
