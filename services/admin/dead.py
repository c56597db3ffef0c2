"""Commands about work that was given up: list it, put it back."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer

from services.admin.connections import open_session
from services.admin.console import out, print_json, printable, say, table
from services.admin.options import AsJson
from services.admin.runs import RunName
from shared.errors import UserError
from shared.shortening import shortened
from shared.store.dead import DeadWork, dead_work, put_back
from shared.store.runs import find_run
from shared.store.states import hold_run
from shared.store.tables.runs import GOING_ON, RunState

FOR_GOOD = (RunState.COMPLETED, RunState.CANCELLED)
LONGEST = 60  # characters of a text in the table


class DeadNotNeededError(UserError):
    """Run '{name}' is {state}, so nothing of it is worked on. {mend}"""


class NotDeadError(UserError):
    """Run '{name}' has no dead work {ids}; `ensemble-instruct dead {name}` lists what it has."""


class DeadAmbiguousError(UserError):
    """Several pieces of dead work have ids that begin with {ids}; write more of it."""


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
        listing.columns[0].no_wrap, listing.columns[0].min_width = True, len(str(items[0].id))
        out.print(listing)
        if found.state not in FOR_GOOD:
            say(f"have it tried anew: ensemble-instruct retry-dead {found.name} [ID…]")
    else:
        say(f"run {found.name} has given nothing up")


def _cells(item: DeadWork) -> tuple[str, ...]:
    told = (shortened(each or "", LONGEST) for each in (item.detail, item.instruction))
    who = item.voice or item.model or ""
    return (str(item.id), item.stage, item.task_type, who, str(item.tries), item.fault or "", *told)


def retry_dead(
    run: RunName,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]…", help="which of it, by ids or their beginnings; by default all"),
    ] = None,
) -> None:
    """Put back what a run has given up, so that it is tried anew."""
    with open_session() as session:
        found = find_run(session, run)
        state = hold_run(session, found.id)
        if state not in GOING_ON:
            mend = (
                "It has ended for good."
                if state in FOR_GOOD
                else f"Have it go on: ensemble-instruct resume {found.name}"
            )
            raise DeadNotNeededError(name=found.name, state=state, mend=mend)
        named = _named(found.name, [item.id for item in dead_work(session, found.id)], ids)
        result = put_back(session, found.id, named)
        session.commit()
    pieces = "piece" if result.count == 1 else "pieces"
    follow = "watch" if state == RunState.RUNNING else f"resume {found.name}, since it is paused; then watch"
    say(f"{result.count} {pieces} of work will be tried anew: ensemble-instruct {follow} {found.name}")
    if kept := len(named) - result.count:
        say(f"{kept} stay as they are: their task type has all its examples")
    if result.late:
        say(f"{result.late} of them are outputs that come after the verdict; a further judgement will see them")


def _named(run: str, known: Sequence[UUID], beginnings: Sequence[str] | None) -> list[UUID]:
    """The work whose ids begin so; all of it if none is named."""
    if not beginnings:
        return [*known]
    named = {each: [id for id in known if str(id).startswith(each.lower())] for each in beginnings}
    if unknown := [each for each, ids in named.items() if not ids]:
        raise NotDeadError(name=run, ids=", ".join(unknown))
    if several := [each for each, ids in named.items() if len(ids) > 1]:
        raise DeadAmbiguousError(ids=", ".join(several))
    return [id for ids in named.values() for id in ids]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(dead)
    app.command("retry-dead")(retry_dead)
