"""The command that writes datasets."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from sqlalchemy.orm import Session

from services.admin.connections import open_session
from services.admin.console import answer, print_json, progress_bar, say, warn
from services.admin.export_options import (
    AlpacaPrompt,
    AsOf,
    Card,
    Columns,
    Decontaminate,
    Folder,
    Formats,
    Licence,
    Limit,
    MinAgreement,
    Prov,
    Provenance,
    RunNames,
    Shuffle,
    Split,
    Surplus,
    Where,
    read_columns,
    read_formats,
    read_fractions,
    read_licences,
    with_provenance,
)
from services.admin.options import AsJson
from services.admin.runs import JudgementNumber
from shared.dataset.choosing import Request
from shared.dataset.conditions import read_condition
from shared.dataset.evaluation_sets import read_evaluation_sets
from shared.dataset.export import Exported, export, export_again
from shared.dataset.export_record import ExportFormat, ExportOptions, ExportRecord, find_record_of
from shared.errors import UserError
from shared.store.exports import ExportedRun
from shared.store.judgements import find_judgement
from shared.store.runs import find_run

FOLDER = Path("exports")
MOST_NAMES = 3  # in the name of a folder
WITH_COLUMNS = (ExportFormat.JSONL, ExportFormat.MESSAGES)


class NoRunError(UserError):
    """Name a run to export, or an earlier export with --as-of."""


class RunTwiceError(UserError):
    """Run '{run}' is named twice."""


class AsOfAloneError(UserError):
    """--as-of makes an export as it was, so it takes no run and no other option than --out and --json; {given} has no
    place beside it."""


class ColumnsNowhereError(UserError):
    """--columns is for the formats jsonl and messages; parquet and hf have all columns, alpaca has its own."""


class PromptNowhereError(UserError):
    """--alpaca-prompt is for the format alpaca."""


def export_runs(
    runs: RunNames = None,
    formats: Formats = None,
    folder: Folder = None,
    judgement: JudgementNumber = 0,
    surplus: Surplus = False,
    where: Where = None,
    licence: Licence = None,
    min_agreement: MinAgreement = None,
    split: Split = None,
    limit: Limit = None,
    shuffle: Shuffle = None,
    decontaminate: Decontaminate = None,
    columns: Columns = None,
    alpaca_prompt: AlpacaPrompt = False,
    card: Card = None,
    provenance: Provenance = None,
    prov: Prov = False,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Write the examples of one run or several as a dataset, and print the paths of its files.

    The folder is made as a whole: it appears when all is in it. What was
    exported is kept as a record: `exports` lists them, `diff` compares two.
    """
    given = ExportOptions(
        formats=read_formats(formats),
        columns=read_columns(columns),
        alpaca_prompt=alpaca_prompt,
        surplus=surplus,
        licences=read_licences(licence),
        min_agreement=min_agreement,
        split=read_fractions(split),
        limit=limit,
        shuffle=shuffle,
        prov=prov,
    )
    if as_of is not None:
        flags = {_flag("card", card): card is not None, _flag("provenance", provenance): provenance is not None}
        more = {"--judgement": judgement, "--where": where, "--decontaminate": decontaminate}
        _refuse_beside(runs or [], given, {**more, **flags})
        _export_again(as_of, folder, as_json=as_json)
        return
    given = given.model_copy(update={"card": card is not False, "provenance": with_provenance(provenance)})
    with open_session() as session, _stoppable():
        request = _request(session, runs or [], judgement, given, where, decontaminate or [])
        folder = folder or FOLDER / _folder_name(request.runs)
        done = export(session, request, folder, progress_bar)
    _tell(done, folder, as_json=as_json)


def _export_again(id: str, folder: Path | None, *, as_json: bool) -> None:
    with open_session() as session, _stoppable():
        earlier = find_record_of(session, id)
        folder = folder or FOLDER / str(earlier.id)[:8]
        done = export_again(session, earlier, folder, progress_bar)
    _tell(done, folder, as_json=as_json)
    tell_of_retracted(earlier, done.record)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Says to whoever stops it what that has left behind."""
    try:
        yield
    except KeyboardInterrupt:
        say("the export was stopped; nothing was written")
        raise


def _request(
    session: Session,
    names: Sequence[str],
    judgement: int,
    options: ExportOptions,
    where: str | None,
    evaluation_files: Sequence[Path],
) -> Request:
    _check_formats(options)
    if not names:
        raise NoRunError
    condition = read_condition(where) if where is not None else None
    runs = tuple(_run(session, name, judgement) for name in names)
    for run in runs:
        if [each.run_id for each in runs].count(run.run_id) > 1:
            raise RunTwiceError(run=run.run)
    evaluation = read_evaluation_sets(evaluation_files) if evaluation_files else None
    known = {
        "where": condition.sql if condition else None,
        "decontaminate": evaluation.files if evaluation else (),
    }
    return Request(runs, options.model_copy(update=known), condition, evaluation)


def _run(session: Session, name: str, judgement: int) -> ExportedRun:
    run = find_run(session, name)
    found = find_judgement(session, run.id, run.name, judgement)
    return ExportedRun(run.id, run.name, found.id, found.number)


def _check_formats(options: ExportOptions) -> None:
    if options.columns and not set(options.formats) & set(WITH_COLUMNS):
        raise ColumnsNowhereError
    if options.alpaca_prompt and ExportFormat.ALPACA not in options.formats:
        raise PromptNowhereError


def _refuse_beside(runs: Sequence[str], given: ExportOptions, more: Mapping[str, object]) -> None:
    called = {"formats": "format", "licences": "licence"}
    changed = given.model_dump(exclude_defaults=True)
    named = [*runs, *(f"--{called.get(name, name).replace('_', '-')}" for name in changed)]
    named += [name for name, value in more.items() if value]
    if named:
        raise AsOfAloneError(given=named[0])


def _flag(name: str, given: bool | None) -> str:
    return f"--no-{name}" if given is False else f"--{name}"


def _folder_name(runs: Sequence[ExportedRun]) -> str:
    names = [run.run for run in runs[:MOST_NAMES]]
    more = [f"{len(runs) - MOST_NAMES}-more"] if len(runs) > MOST_NAMES else []
    name = "+".join([*names, *more])
    return f"{name}-judgement-{runs[0].judgement}" if runs[0].judgement else name


def _tell(done: Exported, folder: Path, *, as_json: bool) -> None:
    record = done.record
    if as_json:
        print_json({"folder": str(folder), **as_json_record(record)})
    else:
        for file in record.files:
            if file.format:
                answer(str(folder / file.path))
    left_out = ", ".join(f"{reason} {count}" for reason, count in record.left_out.items())
    again = ", the same as before" if done.again else ""
    say(f"export {str(record.id)[:8]}: {record.rows} examples{again}{f'; left out: {left_out}' if left_out else ''}")
    for name in record.options.splits.names if record.options.splits else []:
        if not any(file.split == name for file in record.files):
            warn(f"the split {name} got no example, so it has no file")
    for change in done.changed:
        warn(f"not the same bytes as the first time: {change}")


def tell_of_retracted(earlier: ExportRecord, now: ExportRecord) -> None:
    """Say what is not in an export that was made again."""
    if now.id != earlier.id:
        gone = earlier.rows - now.rows
        warn(f"{gone} of its {earlier.rows} examples were retracted since, so this is another export than {earlier.id}")


def as_json_record(record: ExportRecord) -> dict[str, object]:
    """An export for a program."""
    return {
        "id": record.id,
        "fingerprint": record.fingerprint,
        "runs": list(record.runs),
        "options": record.options,
        "rows": record.rows,
        "left_out": {str(reason): count for reason, count in record.left_out.items()},
        "files": list(record.files),
        "created_at": record.created_at,
    }


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("export")(export_runs)
