"""Commands that retract what went wrong, with all that came of it; undo that; and list what was retracted."""

import getpass
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Table
from sqlalchemy.orm import Session

from services.admin.connections import open_session
from services.admin.console import err, out, print_json, printable, say, table, warn
from services.admin.impact import listed_examples
from services.admin.options import AsJson
from services.admin.roots import Example, Instruction, Model, Origin, Prompt, Seed, the_one
from shared.errors import UserError
from shared.store import retractions as store
from shared.store.descent import KINDS, Root
from shared.store.reloading import Using
from shared.store.retractions import Extent, RetractionView
from shared.store.roots import find_roots, name_of
from shared.store.runs import names_of
from shared.store.tables.retractions import RootKind
from shared.store.tables.runs import RunState

By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="who does it; by default who is logged in here")]


class OneRootError(UserError):
    """Name one thing to retract: --seed, --model, --prompt, --instruction, --example or --origin."""


class NoReasonError(UserError):
    """Say why: --reason is empty, and is all that people will know of it later."""


class NobodyError(UserError):
    """It is not known who you are: say it with --by NAME."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was to be retracted, by whom and why."""

    roots: Sequence[Root]
    what: str
    reason: str
    by: str

    @property
    def kind(self) -> RootKind:
        """What it is."""
        return self.roots[0].kind

    def __str__(self) -> str:
        """As a person says it."""
        return f"{self.kind.replace('_', ' ')} {self.what}"


def retract(
    seed: Seed = None,
    model: Model = None,
    prompt: Prompt = None,
    instruction: Instruction = None,
    example: Example = None,
    origin: Origin = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="why, for those who ask later")] = "",
    by: By = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would be retracted, and write nothing")] = False,
    as_json: AsJson = False,
) -> None:
    """Retract something with all that came of it: exports leave it out, and no later prompt shows it.

    It is kept, with the reason; unretract undoes it.
    """
    named = the_one(seed=seed, model=model, prompt=prompt, instruction=instruction, example=example, origin=origin)
    if named is None:
        raise OneRootError
    if not reason.strip():
        raise NoReasonError
    kind, name = named
    who = _who(by)
    with open_session() as session:
        roots = find_roots(session, kind, name)
        asked = Asked(roots, name_of(session, roots, name), reason.strip(), who)
        extent = _dry(session, asked) if dry_run else _real(session, asked)
        runs = names_of(session, {each.run_id for each in extent.reached if each.run_id})
    if as_json:
        print_json(_as_json(asked, extent, runs))
    else:
        _show(extent, runs)
    _tell(asked, extent)


def _who(by: str | None) -> str:
    if by is None:
        with suppress(OSError, KeyError):  # a user without a name, as in a container
            by = getpass.getuser()
    if by is None or not by.strip():
        raise NobodyError
    return by.strip()


def _dry(session: Session, asked: Asked) -> Extent:
    store.refuse_again(session, asked.roots, asked.what)
    with err.status("tracing") as status:
        extent = store.survey(session, asked.roots, lambda step: status.update(f"tracing: {step}"))
    session.rollback()
    return extent


def _real(session: Session, asked: Asked) -> Extent:
    with err.status("retracting") as status:
        return store.retract(
            session, asked.roots, asked.what, asked.reason, asked.by, lambda step: status.update(f"retracting: {step}")
        )


def _records(extent: Extent, run_id: UUID | None = None) -> Counter[str]:
    """How many of each kind, in one run or in all."""
    counted: Counter[str] = Counter()
    for each in extent.reached:
        if run_id in (None, each.run_id):
            counted[each.kind] += each.records
    return counted


def _as_json(asked: Asked, extent: Extent, runs: Mapping[UUID, str]) -> dict[str, Any]:
    return {
        "retraction": extent.retraction,
        "dry_run": extent.retraction is None,
        "kind": asked.kind,
        "what": asked.what,
        "reason": asked.reason,
        "by": asked.by,
        "records": _records(extent),
        "runs": [{"run": name, "run_id": id, "records": _records(extent, id)} for id, name in runs.items()],
        "examples": extent.samples,
        "going_on": extent.using,
    }


def _show(extent: Extent, runs: Mapping[UUID, str]) -> None:
    in_all = _records(extent)
    kinds = [kind for kind in reversed(KINDS) if kind != "origin" or in_all[kind]]
    counts = table("run", numbers=tuple(f"{kind}s" for kind in kinds))
    for id, name in runs.items():
        counts.add_row(name, *_cells(_records(extent, id), kinds))
    if len(runs) != 1:
        counts.add_row("in all", *_cells(in_all, kinds))
    out.print(counts)
    if extent.samples:
        out.print()
        out.print(listed_examples(extent.samples))
        if more := in_all["example"] - len(extent.samples):
            say(f"and {more:,} examples more")


def _cells(records: Counter[str], kinds: Sequence[str]) -> list[str]:
    return [f"{records[kind]:,}" for kind in kinds]


def _tell(asked: Asked, extent: Extent) -> None:
    if extent.retraction is None:
        say(f"nothing was written; without --dry-run {asked} would be retracted with all of this")
    else:
        say(f"retraction {extent.retraction}: {asked} is retracted with all of this")
        say(f"undo it with: ensemble-instruct unretract {extent.retraction}")
    for each in extent.using:
        tell = warn if each.state == RunState.RUNNING else say
        tell(f"run {each.run} is {each.state} and {_goes_on(asked.kind, each, written=extent.retraction is not None)}")


def _goes_on(kind: RootKind, using: Using, *, written: bool) -> str:
    if kind is not RootKind.SEED:
        return (
            "goes on using it: what comes of it is retracted as it is written, and no verdict takes it into account. "
            f"To save the calls, cancel the run and enqueue its job without it: ensemble-instruct cancel {using.run}"
        )
    if using.exhausted:
        return f"has no seed task of type {using.exhausted} left to show, so it can't go on"
    return "shows it no more, in the calls that are yet to be made" if written else "would show it no more"


def unretract(
    id: Annotated[int, typer.Argument(metavar="ID", help="the retraction's number")],
    by: By = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="why, for those who ask later")] = None,
) -> None:
    """Undo a retraction; what another one marks as well stays retracted."""
    who = _who(by)
    with open_session() as session:
        undone = store.unretract(session, id, who, reason)
    say(f"retraction {id} of {undone.kind.replace('_', ' ')} {undone.what} is undone")


def retractions(as_json: AsJson = False) -> None:
    """List what was retracted: by whom, why, and how much."""
    with open_session() as session:
        store.renew_marks(session)
        found = store.retractions(session)
    if as_json:
        print_json(found)
    elif found:
        out.print(_listing(found))
    else:
        say("nothing was ever retracted")


def _listing(found: Sequence[RetractionView]) -> Table:
    listing = table("id", "what", "why", "by", "on", "undone", numbers=("examples", "records"))
    for each in found:
        undone = f"by {each.undone_by} on {each.undone_at:%Y-%m-%d}" if each.undone_at else ""
        what = f"{each.kind.replace('_', ' ')} {each.what}"
        told = (what, each.reason, each.retracted_by, f"{each.created_at:%Y-%m-%d}", undone)
        counts = (f"{each.examples:,}", f"{sum(each.records.values()):,}")
        listing.add_row(str(each.retraction), *map(printable, told), *counts)
    return listing


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (retract, unretract, retractions):
        app.command()(command)
