"""`ensemble-instruct audit`: whether a run lost nothing and holds nothing twice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.admin.connections import open_session
from services.admin.console import err, out, print_json, printable, say, table
from services.admin.options import AsJson
from services.admin.runs import RunName
from shared.errors import WorldError
from shared.store.audit.check import Finding
from shared.store.audit.run import audit
from shared.store.audit.served import ServedCall, read_served
from shared.store.runs import find_run

Served = Annotated[
    list[Path],
    typer.Option(
        "--served", metavar="FILE", exists=True, dir_okay=False, help="the calls that an LM server says it served"
    ),
]


class UnsoundRunError(WorldError):
    """Run '{name}' is not sound: {broken} of {checks} checks found {violations} violations."""


def audit_run(run: RunName, served: Served = [], as_json: AsJson = False) -> None:  # noqa: B006 - Typer copies it
    """Check that a run lost nothing, doubled nothing, and met its targets exactly; it may be going on."""
    calls = sum((read_served(path) for path in served), Counter[ServedCall]()) if served else None
    with open_session() as session:
        found = find_run(session, run)
        name, run_id, state = found.name, found.id, found.state
        session.rollback()
        with err.status("auditing") as status:
            findings = audit(session, run_id, lambda check: status.update(f"auditing: {check}"), calls)
    broken = [each for each in findings if each.violations]
    if as_json:
        print_json({"run": name, "run_id": run_id, "state": state, "sound": not broken, "checks": _plain(findings)})
    elif broken:
        _show(broken)
    if broken:
        violations = sum(each.violations for each in broken)
        raise UnsoundRunError(name=name, broken=len(broken), checks=len(findings), violations=f"{violations:,}")
    say(f"run {name}, which is {state}, is sound: {len(findings)} checks found nothing")


def _plain(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [asdict(each) for each in findings]


def _show(broken: Sequence[Finding]) -> None:
    listing = table("check", "what should hold", "violations", "for example")
    for each in broken:
        listing.add_row(each.name, each.holds, f"{each.violations:,}", printable("\n".join(each.shown)))
    out.print(listing)


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("audit")(audit_run)
