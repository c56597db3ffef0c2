"""The command that writes datasets."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from services.admin.connections import open_session
from services.admin.console import answer, print_json, progress_bar, say, warn
from services.admin.jobs import AsJson
from services.admin.runs import JudgementNumber
from shared.dataset.choosing import Request
from shared.dataset.conditions import read_condition
from shared.dataset.evaluation_sets import read_evaluation_sets
from shared.dataset.export import Exported, export, export_again
from shared.dataset.export_record import Column, ExportFormat, ExportOptions, ExportRecord, find_record_of
from shared.dataset.parquet_format import PyarrowMissingError, require_pyarrow
from shared.dataset.splits import read_splits
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


class NoLicenceError(UserError):
    """--licence '{given}' names no licence, so nothing could carry one of these; write it like apache-2.0,mit, or leave
    it out to take what has any."""


class PromptNowhereError(UserError):
    """--alpaca-prompt is for the format alpaca."""


def export_runs(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN…", help="runs, each by its name, id, or the beginning of its id")
    ] = None,
    formats: Annotated[
        list[ExportFormat] | None,
        typer.Option("--format", help="a format; give it several times for several formats; by default jsonl"),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="the folder to make; by default exports/RUN, with the judgement's number if not 0",
        ),
    ] = None,
    judgement: JudgementNumber = 0,
    surplus: Annotated[bool, typer.Option("--surplus", help="also those that came after the target was met")] = False,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="SQL", help="only those for which a condition over lineage.examples holds"),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence", metavar="A,B", help="only those all of whose models and imported files are under one of these"
        ),
    ] = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            metavar="0…1", min=0, max=1, help="only those whose output agrees that much with the other candidates"
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="NAME=X,…", help="e.g. train=0.95,test=0.05; near relatives stay together"),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="only the first so many")] = None,
    shuffle: Annotated[
        int | None,
        typer.Option(metavar="SEED", help="in an order that looks random, and is the same for the same number"),
    ] = None,
    decontaminate: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="leave out what has 13 words in a row in common with an evaluation set (JSONL or text); repeatable",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="A,B", help=f"also tell these in jsonl and messages: {', '.join(Column)}"),
    ] = None,
    alpaca_prompt: Annotated[
        bool, typer.Option("--alpaca-prompt", help="with alpaca: also `text`, the whole in Alpaca's prompt")
    ] = False,
    card: Annotated[
        bool | None,
        typer.Option("--card/--no-card", help="a dataset card with pictures, and Croissant metadata; by default"),
    ] = None,
    provenance: Annotated[
        bool | None,
        typer.Option(
            "--provenance/--no-provenance",
            help="provenance.parquet, where each example came from; by default if pyarrow is installed",
        ),
    ] = None,
    prov: Annotated[
        bool, typer.Option("--prov", help="provenance.prov.json, where they all came from in the W3C's words")
    ] = False,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="EXPORT", help="make an earlier export again, by its id or the beginning"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the examples of one run or several as a dataset, and print the paths of its files.

    The folder is made as a whole: it appears when all is in it. What was
    exported is kept as a record: `exports` lists them, `diff` compares two.
    """
    given = ExportOptions(
        formats=tuple(sorted(set(formats or [ExportFormat.JSONL]), key=list(ExportFormat).index)),
        columns=_columns(columns),
        alpaca_prompt=alpaca_prompt,
        surplus=surplus,
        licences=_licences(licence),
        min_agreement=min_agreement,
        split=_split(split),
        limit=limit,
        shuffle=shuffle,
        prov=prov,
    )
    if as_of is not None:
        flags = {_flag("card", card): card is not None, _flag("provenance", provenance): provenance is not None}
        more = {"--judgement": judgement, "--where": where, "--decontaminate": decontaminate}
        _refuse_beside(runs or [], given, {**more, **flags})
    else:
        given = given.model_copy(update={"card": card is not False, "provenance": _with_provenance(provenance)})
    with open_session() as session, _stoppable():
        if as_of is not None:
            earlier = find_record_of(session, as_of)
            folder = folder or FOLDER / str(earlier.id)[:8]
            done = export_again(session, earlier, folder, progress_bar)
        else:
            request = _request(session, runs or [], judgement, given, where, decontaminate or [])
            folder = folder or FOLDER / _folder_name(request.runs)
            done = export(session, request, folder, progress_bar)
    _tell(done, folder, as_json=as_json)
    if as_of is not None:
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


def _columns(given: str | None) -> tuple[Column, ...]:
    names = [each.strip() for each in (given or "").split(",") if each.strip()]
    for name in names:
        if name not in set(Column):
            raise typer.BadParameter(f"'{name}' is not one of {', '.join(Column)}", param_hint="--columns")
    return tuple(column for column in Column if column in names)


def _licences(given: str | None) -> tuple[str, ...]:
    if given is None:
        return ()
    names = {each.strip().lower() for each in given.split(",") if each.strip()}
    if not names:
        raise NoLicenceError(given=given)
    return tuple(sorted(names))


def _split(given: str | None) -> tuple[tuple[str, Decimal], ...]:
    return read_splits(given).fractions if given is not None else ()


def _refuse_beside(runs: Sequence[str], given: ExportOptions, more: Mapping[str, object]) -> None:
    called = {"formats": "format", "licences": "licence"}
    changed = given.model_dump(exclude_defaults=True)
    named = [*runs, *(f"--{called.get(name, name).replace('_', '-')}" for name in changed)]
    named += [name for name, value in more.items() if value]
    if named:
        raise AsOfAloneError(given=named[0])


def _flag(name: str, given: bool | None) -> str:
    return f"--no-{name}" if given is False else f"--{name}"


def _with_provenance(given: bool | None) -> bool:
    """Whether it was asked for, or, if that is left open, can be made."""
    if given is not None:
        return given
    try:
        require_pyarrow()
    except PyarrowMissingError:
        warn(
            "without pyarrow there is no provenance.parquet; pip install 'ensemble-instruct[dataset]', or say "
            "--no-provenance"
        )
        return False
    return True


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
