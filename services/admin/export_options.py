"""What can be said to `export`, and how it is read."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from services.admin.console import warn
from shared.dataset.export_record import Column, ExportFormat
from shared.dataset.parquet_format import PyarrowMissingError, require_pyarrow
from shared.dataset.splits import read_splits
from shared.errors import UserError

RunNames = Annotated[
    list[str] | None, typer.Argument(metavar="RUN…", help="runs, each by its name, id, or the beginning of its id")
]
Formats = Annotated[
    list[ExportFormat] | None,
    typer.Option("--format", help="a format; give it several times for several formats; by default jsonl"),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="the folder to make; by default exports/RUN, with the judgement's number if not 0"
    ),
]
Surplus = Annotated[bool, typer.Option("--surplus", help="also those that came after the target was met")]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="SQL", help="only those for which a condition over lineage.examples holds"),
]
Licence = Annotated[
    str | None,
    typer.Option(
        "--licence", metavar="A,B", help="only those all of whose models and imported files are under one of these"
    ),
]
MinAgreement = Annotated[
    float | None,
    typer.Option(
        metavar="0…1", min=0, max=1, help="only those whose output agrees that much with the other candidates"
    ),
]
Split = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME=X,…", help="e.g. train=0.95,test=0.05; near relatives stay together"),
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="only the first so many")]
Shuffle = Annotated[
    int | None,
    typer.Option(metavar="SEED", help="in an order that looks random, and is the same for the same number"),
]
Decontaminate = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="leave out what has 13 words in a row in common with an evaluation set (JSONL or text); repeatable",
    ),
]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="A,B", help=f"also tell these in jsonl and messages: {', '.join(Column)}"),
]
AlpacaPrompt = Annotated[
    bool, typer.Option("--alpaca-prompt", help="with alpaca: also `text`, the whole in Alpaca's prompt")
]
Card = Annotated[
    bool | None,
    typer.Option("--card/--no-card", help="a dataset card with pictures, and Croissant metadata; by default"),
]
Provenance = Annotated[
    bool | None,
    typer.Option(
        "--provenance/--no-provenance",
        help="provenance.parquet, where each example came from; by default if pyarrow is installed",
    ),
]
Prov = Annotated[bool, typer.Option("--prov", help="provenance.prov.json, where they all came from in the W3C's words")]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="EXPORT", help="make an earlier export again, by its id or the beginning"),
]


class NoLicenceError(UserError):
    """--licence '{given}' names no licence, so nothing could carry one of these; write it like apache-2.0,mit, or leave
    it out to take what has any."""


def read_formats(given: list[ExportFormat] | None) -> tuple[ExportFormat, ...]:
    """Each format once, in the order in which they are declared; JSONL if none was named."""
    named = given or [ExportFormat.JSONL]
    return tuple(each for each in ExportFormat if each in named)


def read_columns(given: str | None) -> tuple[Column, ...]:
    """Each column once, in the order in which they are declared. Raises `typer.BadParameter`."""
    if given is None:
        return ()
    names = [each.strip() for each in given.split(",") if each.strip()]
    for name in names or [given]:
        if name not in set(Column):
            raise typer.BadParameter(f"'{name}' is not one of {', '.join(Column)}", param_hint="--columns")
    return tuple(column for column in Column if column in names)


def read_licences(given: str | None) -> tuple[str, ...]:
    """Licences in lower case, sorted. Raises `NoLicenceError`."""
    if given is None:
        return ()
    names = {each.strip().lower() for each in given.split(",") if each.strip()}
    if not names:
        raise NoLicenceError(given=given)
    return tuple(sorted(names))


def read_fractions(given: str | None) -> tuple[tuple[str, Decimal], ...]:
    """The fraction of each split. Raises `SplitError`."""
    return read_splits(given).fractions if given is not None else ()


def with_provenance(given: bool | None) -> bool:
    """Whether provenance was asked for, or, if that is left open, can be written."""
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
