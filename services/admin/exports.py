"""Commands about what was exported: list it, compare two."""

from collections import Counter
from typing import Annotated, Any

import typer

from services.admin.connections import open_session
from services.admin.console import out, print_json, printable, say, table
from services.admin.exporting import as_json_record
from services.admin.options import AsJson
from shared.dataset.export_record import ExportRecord, find_record_of, record_of
from shared.shortening import shortened
from shared.store.export_differences import Difference, Kind, Why, differences
from shared.store.exports import list_exports
from shared.store.tables.exports import LeftOut

SHOWN = 20
LONGEST = 60  # characters of an instruction in the table
WHYS: dict[LeftOut | Why, str] = {
    LeftOut.RETRACTED: "retracted",
    LeftOut.WHERE: "the condition of --where does not hold",
    LeftOut.LICENCE: "a model without one of the licences of --licence",
    LeftOut.AGREEMENT: "agreement below --min-agreement",
    LeftOut.CONTAMINATED: "words in common with an evaluation set",
    LeftOut.LIMIT: "beyond --limit",
    Why.RUN_MISSING: "its run is not in the other",
    Why.DISCARDED: "the other's judgement discarded it",
    Why.UNDECIDED: "the other's judgement did not decide on it",
    Why.SURPLUS: "surplus, and the other has no --surplus",
    Why.LATER: "made after the other",
    Why.UNKNOWN: "not there, or surplus, when the other was made",
    Why.OTHER_OUTPUT: "another judgement chose another output",
    Why.MOVED: "in another split",
}

ExportId = Annotated[str, typer.Argument(metavar="EXPORT", help="an export, by its id or the beginning of it")]


def exports(as_json: AsJson = False) -> None:
    """List all exports, the newest first."""
    with open_session() as session:
        records = [record_of(session, each) for each in list_exports(session)]
    if as_json:
        print_json([as_json_record(record) for record in records])
        return
    if not records:
        say("nothing was exported yet; write a dataset with: ensemble-instruct export RUN")
        return
    listing = table("export", "runs", "formats", "made", numbers=("examples", "left out"))
    for record in records:
        made = record.created_at.astimezone().isoformat(sep=" ", timespec="minutes")[:16]
        runs = ", ".join(run.run + (f" (judgement {run.judgement})" if run.judgement else "") for run in record.runs)
        counts = (str(record.rows), str(sum(record.left_out.values())))
        listing.add_row(str(record.id)[:8], runs, ", ".join(record.options.formats), made, *counts)
    out.print(listing)


def diff(first: ExportId, second: ExportId, as_json: AsJson = False) -> None:
    """Say which examples went, came and changed from one export to another, and why."""
    with open_session() as session:
        before, after = (find_record_of(session, each) for each in (first, second))
        found = differences(session, before.id, after.id)
    if as_json:
        print_json({"first": before.id, "second": after.id, "options": _options(before, after), "differences": found})
        return
    for name, (was, is_) in _options(before, after).items():
        say(f"{name}: {_written(was)} → {_written(is_)}")
    say(_headline(before, after, found))
    if found:
        _show(found)


def _options(before: ExportRecord, after: ExportRecord) -> dict[str, tuple[Any, Any]]:
    """What was asked for otherwise."""
    one, two = (each.options.model_dump(mode="json") for each in (before, after))
    return {name: (one[name], two[name]) for name in one if one[name] != two[name]}


def _written(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_written, value)) or "none"
    if isinstance(value, dict):
        return " ".join(map(_written, value.values()))
    return "none" if value is None else str(value)


def _headline(before: ExportRecord, after: ExportRecord, found: list[Difference]) -> str:
    counts = Counter(each.kind for each in found)
    told = ", ".join(f"{counts[kind]} {kind}" for kind in Kind)
    return f"from {str(before.id)[:8]} ({before.rows} examples) to {str(after.id)[:8]} ({after.rows}): {told}"


def _show(found: list[Difference]) -> None:
    counts = table("", "run", "why", numbers=("examples",))
    for (kind, run, why), count in Counter((each.kind, each.run, each.why) for each in found).items():
        counts.add_row(kind, run, WHYS[why], str(count))
    out.print(counts)
    listing = table("", "example", "why", "instruction")
    for each in found[:SHOWN]:
        listing.add_row(each.kind, str(each.example_id), printable(_why(each)), _short(each.instruction))
    out.print()
    out.print(listing)
    if len(found) > SHOWN:
        say(f"and {len(found) - SHOWN} more: --json lists them all")


def _why(each: Difference) -> str:
    detail = each.detail or {}
    match each.why:
        case LeftOut.CONTAMINATED:
            return f"{detail['file']}:{detail['line']}: {_short(detail['ngram'])}"
        case LeftOut.AGREEMENT:
            return f"agreement {detail['agreement']:.2f}" if detail["agreement"] is not None else "no other candidate"
        case Why.DISCARDED:
            return f"judgement {detail['judgement']}: {detail['reason']}"
        case Why.OTHER_OUTPUT:
            return " → ".join(_short(each) for each in detail["output"])
        case Why.MOVED:
            return " → ".join(detail["split"])
        case _:
            return str(each.why)


def _short(text: str) -> str:
    return printable(shortened(text, LONGEST))


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (exports, diff):
        app.command()(command)
