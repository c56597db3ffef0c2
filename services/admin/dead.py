"""Commands about work that was given up: list it, put it back."""

from typing import Annotated
from uuid import UUID

import typer

from services.admin.connections import open_session
from services.admin.console import err, out, print_json, printable, say, table
from services.admin.jobs import AsJson
from services.admin.runs import RunName
from shared.errors import UserError
from shared.store.dead import DeadWork, dead_work, put_back
from shared.store.runs import find_run
from shared.store.states import hold_run
from shared.store.tables.runs import GOING_ON, RunState

LONGEST = 60  # characters of a text in the table


class DeadNotNeededError(UserError):
    """Run '{name}' is {state}, so nothing of it is worked on. {mend}"""


class NotDeadError(UserError):
    """Run '{name}' has no dead work {ids}; `ensemble-instruct dead {name}` lists what it has."""


def dead(run: RunName, as_json: AsJson = False) -> None:
    """List the work of a run that was given up, and why."""
    with open_session() as session:
        found = find_run(session, run)
        items = dead_work(session, found.id)
    if as_json:
        print_json(items)
        return
    if items:
        listing = table("id", "stage", "type", "voice or model", "tries", "fault", "detail", "instruction")
        for item in items:
            listing.add_row(*(printable(cell) for cell in _cells(item)))
        out.print(listing)
        err.print(f"have it tried anew: ensemble-instruct retry-dead {found.name} [ID…]")
    else:
        say(f"run {found.name} has given nothing up")


def _cells(item: DeadWork) -> tuple[str, ...]:
    told = (item.detail or "", item.instruction or "")
    who = item.voice or item.model or ""
    return (str(item.id), item.stage, item.task_type, who, str(item.tries), item.fault or "", *map(_shortened, told))


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def retry_dead(
    run: RunName,
    ids: Annotated[list[UUID] | None, typer.Argument(metavar="[ID]…", help="which of it; by default all")] = None,
) -> None:
    """Put back what a run has given up, so that it is tried anew."""
    with open_session() as session:
        found = find_run(session, run)
        state = hold_run(session, found.id)
        if state not in GOING_ON:
            over = state in (RunState.COMPLETED, RunState.CANCELLED)
            mend = "It has ended for good." if over else f"Have it go on: ensemble-instruct resume {found.name}"
            raise DeadNotNeededError(name=found.name, state=state, mend=mend)
        known = {item.id for item in dead_work(session, found.id)}
        if unknown := set(ids or ()) - known:
            raise NotDeadError(name=found.name, ids=", ".join(map(str, sorted(unknown))))
        result = put_back(session, found.id, ids or None)
        session.commit()
    pieces = "piece" if result.count == 1 else "pieces"
    say(f"{result.count} {pieces} of work will be tried anew: ensemble-instruct watch {found.name}")
    if kept := len(ids or known) - result.count:
        say(f"{kept} stay as they are: their task type has all its examples")
    if result.late:
        say(f"{result.late} of them are outputs that come after the verdict; a further judgement will see them")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(dead)
    app.command("retry-dead")(retry_dead)
