"""Sending an export to the hub: one that is made again for it, or a folder that is still as its record says."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from shared.dataset.export_record import ExportRecord, record_of
from shared.dataset.folder_files import FolderFile, folder_files
from shared.dataset.hub import Hub, Upload, Uploaded, upload
from shared.errors import UserError
from shared.store.export_files import count_retracted, export_with, recorded_paths
from shared.store.retractions import renew_marks
from shared.store.tables.exports import Export

MOST_NAMES = 5


class NotAnExportError(UserError):
    """Nothing in {path} is a file of an export that this database knows; `ensemble-instruct exports` lists them"""


class FolderChangedError(UserError):
    """{path} is not as export {id} was written: {differences}. Only what is recorded is pushed: write it anew with
    ensemble-instruct export --as-of {short} --out DIR, or push {short} itself"""


class RetractedSinceError(UserError):
    """{count} of the {rows} examples in {path} were retracted since it was written; `push {short}` sends the export
    without them"""


@dataclass(frozen=True, slots=True)
class ExportFolder:
    """A folder that holds an export, and all of its files as they are."""

    path: Path
    record: ExportRecord
    files: tuple[FolderFile, ...]


def export_in(session: Session, path: Path) -> ExportFolder:
    """The export that a folder holds.

    Raises `NotAnExportError`, `FolderChangedError`, `RetractedSinceError`, `UnreadableFolderError`.
    """
    files = folder_files(path)
    id = export_with(session, {file.path: file.sha256 for file in files})
    if id is None:
        raise NotAnExportError(path=path)
    record = record_of(session, session.get_one(Export, id))
    differences = list(_differences(record, files))
    if differences:
        told = ", ".join(differences[:MOST_NAMES]) + (", …" if len(differences) > MOST_NAMES else "")
        raise FolderChangedError(path=path, id=id, short=str(id)[:8], differences=told)
    _refuse_retracted(session, path, record)
    return ExportFolder(path, record, files)


def _differences(record: ExportRecord, files: tuple[FolderFile, ...]) -> Iterator[str]:
    recorded, there = ({file.path: file.sha256 for file in every} for every in (record.files, files))
    for path in sorted(recorded.keys() | there.keys()):
        if path not in there:
            yield f"{path} is missing"
        elif path not in recorded:
            yield f"{path} is not part of it"
        elif there[path] != recorded[path]:
            yield f"{path} is another file"


def _refuse_retracted(session: Session, path: Path, record: ExportRecord) -> None:
    renew_marks(session)
    count = count_retracted(session, record.id)
    if count:
        raise RetractedSinceError(count=count, rows=record.rows, path=path, short=str(record.id)[:8])


def push(session: Session, export: ExportFolder, hub: Hub, repository: str, *, public: bool, quiet: bool) -> Uploaded:
    """Have a repository hold the export, in place of whatever earlier exports it held. Raises the hub's errors."""
    record = export.record
    runs = ", ".join(run.run for run in record.runs)
    what = Upload(
        folder=export.path,
        files=export.files,
        earlier=recorded_paths(session),
        message=f"Export {record.id}",
        description=f"{record.rows} examples of {runs}. Fingerprint {record.fingerprint}.",
    )
    session.rollback()  # sending may take long, and nothing is asked meanwhile
    return upload(hub, repository, what, public=public, quiet=quiet)
