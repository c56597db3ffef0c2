"""Exports: choosing the rows, keeping the record, filling the folder. Either all of it happens, or nothing."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

from psycopg import errors
from sqlalchemy import exc
from sqlalchemy.orm import Session

from shared.dataset.card import write_card
from shared.dataset.card_facts import facts_to_json, gather_facts
from shared.dataset.choosing import Bar, Request, choose, no_bar, require_some
from shared.dataset.croissant import write_croissant
from shared.dataset.example_files import COLUMNAR, write_examples
from shared.dataset.export_folder import Folder, check_free
from shared.dataset.export_record import (
    ExportedFile,
    ExportOptions,
    ExportRecord,
    Fingerprint,
    export_key,
    record_of,
)
from shared.dataset.parquet_format import require_pyarrow
from shared.dataset.prov_file import write_prov
from shared.dataset.provenance_file import write_provenance
from shared.errors import WorldError
from shared.store import selection
from shared.store.exports import ExportedRun, write_export, write_rows
from shared.store.judgements import Told
from shared.store.retractions import renew_marks
from shared.store.session import limit_waits
from shared.store.tables.exports import Export

LOCK_S = 30
IDLE_S = 900  # writing a page, or bringing a large file to the disk, may take a while

Write: TypeAlias = Callable[[Session, ExportRecord, Folder, Told], None]
"""Writes some of an export's files from its record, which knows the files before them, and its rows.

What it writes has to follow from these alone, without a clock: it is compared with what was written the first time.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of an export's files: what making them is called, how they are made, and which exports have them."""

    doing: str
    write: Write
    wanted: Callable[[ExportOptions], bool] = lambda _: True


PARTS = (
    Part("writing", write_examples),
    Part("tracing", write_provenance, lambda options: options.provenance),
    Part("tracing", write_prov, lambda options: options.prov),
    Part("describing", write_croissant, lambda options: options.card),
    Part("describing", write_card, lambda options: options.card),
)


class ExportDiffersError(WorldError):
    """Export {id} would not be as it was: {path} is another file than the one recorded. It was {before}, it would be
    {now}. Nothing was written."""


class ExportedMeanwhileError(WorldError):
    """Another command has just written the same export; try again, and it will be made anew from its record."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to. `again`: its record was there before. `changed`: files that another version of a library
    wrote otherwise than the first time, with both versions."""

    record: ExportRecord
    again: bool = False
    changed: tuple[str, ...] = ()


def export(session: Session, request: Request, out: Path, bar: Bar = no_bar) -> Exported:
    """Write the examples that are asked for into the folder `out`, and keep a record; commits.

    Raises `FolderNotEmptyError`, `FolderInUseError`, `ExportFailedError`, `PyarrowMissingError`, `ExportDiffersError`,
    `ExportedMeanwhileError`, and what `choose` raises.
    """
    _check(request.options, out)
    renew_marks(session)
    _begin(session)
    choose(session, request, bar)
    return _written(session, request.runs, request.options, out, bar)


def export_again(session: Session, earlier: ExportRecord, out: Path, bar: Bar = no_bar) -> Exported:
    """Write an earlier export's examples anew, those retracted since left out; commits.

    With nothing retracted it is the same export. Raises what `export` raises, but for a condition's errors.
    """
    _check(earlier.options, out)
    renew_marks(session)
    _begin(session)
    kept = selection.gather_again(session, earlier.id)
    selection.leave_out_retracted(session)
    require_some(session, earlier.runs, earlier.options)
    same = selection.count_kept(session) == kept
    options = earlier.options if same else earlier.options.model_copy(update={"as_of": earlier.id})
    return _written(session, earlier.runs, options, out, bar)


def _check(options: ExportOptions, out: Path) -> None:
    if options.provenance or any(form in COLUMNAR for form in options.formats):
        require_pyarrow()
    check_free(out)


def _begin(session: Session) -> None:
    """A transaction in which nothing changes but by us."""
    session.rollback()
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    limit_waits(session, lock_s=LOCK_S, idle_s=IDLE_S)


def _written(session: Session, runs: tuple[ExportedRun, ...], options: ExportOptions, out: Path, bar: Bar) -> Exported:
    record, again = _recorded(session, runs, options, bar)
    with Folder(out) as folder:
        for part in PARTS:
            if part.wanted(options):
                with bar(part.doing, record.rows) as told:
                    part.write(session, replace(record, files=tuple(folder.files)), folder, told)
        changed = _compare(record, folder.files) if again else []
        _keep(session, record, folder, again=again)
    return Exported(record if again else replace(record, files=tuple(folder.files)), again, tuple(changed))


def _keep(session: Session, record: ExportRecord, folder: Folder, *, again: bool) -> None:
    """Folder and record appear together."""
    if not again:
        session.get_one(Export, record.id).files = [asdict(file) for file in folder.files]
        session.flush()
    folder.publish()
    try:
        session.commit()
    except BaseException:
        folder.withdraw()
        raise


def _recorded(
    session: Session, runs: tuple[ExportedRun, ...], options: ExportOptions, bar: Bar
) -> tuple[ExportRecord, bool]:
    """The record of the selection, and whether it was there before."""
    fingerprint = _fingerprint(session, runs, options)
    id = export_key(fingerprint)
    there = session.get(Export, id)
    if there:
        return record_of(session, there), True
    counts = selection.count_left_out(session)
    export = Export(
        id=id,
        fingerprint=fingerprint,
        options=options.model_dump(mode="json"),
        rows=selection.count_kept(session),
        left_out={str(reason): count for reason, count in counts.items()},
        files=[],
    )
    try:
        write_export(session, export, [run.judgement_id for run in runs])
        write_rows(session, id, _splitted(session, options))
    except exc.DBAPIError as error:
        if isinstance(error.orig, errors.UniqueViolation | errors.SerializationFailure):
            raise ExportedMeanwhileError from error
        raise
    if options.card:
        _keep_facts(session, export, runs, bar)
    return record_of(session, session.get_one(Export, id)), False


def _keep_facts(session: Session, export: Export, runs: tuple[ExportedRun, ...], bar: Bar) -> None:
    """What the card tells is found out once; the session forgets all that it held."""
    facts = facts_to_json(gather_facts(session, export.id, runs, bar))
    session.get_one(Export, export.id).facts = facts
    session.flush()
    session.expire_all()  # what is rendered is what will be read


def _fingerprint(session: Session, runs: tuple[ExportedRun, ...], options: ExportOptions) -> str:
    fingerprint = Fingerprint(options, runs)
    for page in _splitted(session, options):
        fingerprint.add(page)
    for left_out in selection.left_out_pages(session):
        fingerprint.leave_out(left_out)
    return fingerprint.digest()


def _splitted(session: Session, options: ExportOptions) -> Iterator[Sequence[tuple[uuid.UUID, str | None]]]:
    """What stays in, in its order, with its splits."""
    splits = options.splits
    for page in selection.kept_pages(session):
        yield [(each.example_id, splits.of(each.root_id) if splits else None) for each in page]


def _compare(record: ExportRecord, files: Sequence[ExportedFile]) -> list[str]:
    """Which files another version of a library wrote otherwise. Raises `ExportDiffersError` if more differs."""
    before, now = ({each.path: each for each in every} for every in (record.files, files))
    changed = []
    for path in sorted(before.keys() | now.keys()):
        was, is_ = before.get(path), now.get(path)
        if was == is_ or (was and is_ and (was.sha256, was.rows) == (is_.sha256, is_.rows)):
            continue
        if was and is_ and was.rows == is_.rows and was.written_by != is_.written_by:
            changed.append(f"{path}: by {is_.written_by}, the first time by {was.written_by}")
            continue
        raise ExportDiffersError(id=record.id, path=path, before=_told(was), now=_told(is_))
    return changed


def _told(file: ExportedFile | None) -> str:
    return f"{file.bytes} bytes, sha256 {file.sha256[:12]}…" if file else "not there"
