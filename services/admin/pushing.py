"""The command that sends a dataset to the hub."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from services.admin.connections import open_session
from services.admin.console import answer, err, print_json, progress_bar, say, warn
from services.admin.exporting import tell_of_retracted
from services.admin.options import AsJson
from shared.dataset.export import export_again
from shared.dataset.export_record import ExportRecord, find_record_of
from shared.dataset.folder_files import folder_files
from shared.dataset.hub import Hub, TokenMissingError, Uploaded, check_repository
from shared.dataset.pushing import ExportFolder, export_in
from shared.dataset.pushing import push as push_to_hub
from shared.settings import settings


def push(
    export: Annotated[
        str,
        typer.Argument(
            metavar="EXPORT", help="an export, by its id or the beginning of it, or the folder that it was written to"
        ),
    ],
    repository: Annotated[str, typer.Argument(metavar="REPO", help="a dataset repository of the hub, NAMESPACE/NAME")],
    public: Annotated[bool, typer.Option("--public", help="let anybody read it; a repository is private else")] = False,
    as_json: AsJson = False,
) -> None:
    """Send an export to a dataset repository of the hub, and print its address.

    An export that is named by its id is made again for it, but for what was
    retracted since; a folder has to be as it was written. The token is read
    from HF_TOKEN, another hub's address from HF_ENDPOINT.
    """
    check_repository(repository)
    hub = _hub()
    with open_session() as session, _folder(session, export) as folder:
        pushed = push_to_hub(session, folder, hub, repository, public=public, quiet=not err.is_terminal)
    _tell(pushed, folder.record, public=public, as_json=as_json)


def _hub() -> Hub:
    token = settings().hf_token
    if token is None or not token.get_secret_value().strip():
        raise TokenMissingError
    return Hub(token.get_secret_value().strip(), settings().hf_endpoint or None)


@contextmanager
def _folder(session: Session, export: str) -> Iterator[ExportFolder]:
    """The folder that was named, or one that goes again, with what was exported then."""
    if Path(export).is_dir():
        yield export_in(session, Path(export))
        return
    earlier = find_record_of(session, export)
    with tempfile.TemporaryDirectory(prefix="ensemble-instruct-") as temporary:
        out = Path(temporary) / "export"
        done = export_again(session, earlier, out, progress_bar)
        for change in done.changed:
            warn(f"not the same bytes as the first time: {change}")
        tell_of_retracted(earlier, done.record)
        yield ExportFolder(out, done.record, folder_files(out))


def _tell(pushed: Uploaded, record: ExportRecord, *, public: bool, as_json: bool) -> None:
    if as_json:
        print_json({"export": record.id, **asdict(pushed)})
    else:
        answer(pushed.url)
    seen = "private" if pushed.private else "public"
    done = "now holds" if pushed.changed else "already held"
    say(f"{pushed.repository}, {seen}, {done} export {str(record.id)[:8]} ({record.rows} examples)")
    if pushed.removed:
        say(f"removed there, of earlier exports: {', '.join(pushed.removed)}")
    if public and pushed.private:
        warn(f"{pushed.repository} was there and is private; make it public in its settings on the hub")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(push)
