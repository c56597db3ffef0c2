"""The files that a folder holds, by their content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from shared.errors import UserError

CHUNK = 1 << 20  # bytes


class UnreadableFolderError(UserError):
    """{path} can't be read: {reason}"""


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file by its path in the folder."""

    path: str
    bytes: int
    sha256: str


def folder_files(folder: Path) -> tuple[FolderFile, ...]:
    """All files of a folder, at whatever depth. Raises `UnreadableFolderError`."""
    try:
        return tuple(_file(folder, path) for path in sorted(folder.rglob("*")) if not path.is_dir())
    except OSError as error:
        raise UnreadableFolderError(path=error.filename or folder, reason=error.strerror) from error


def _file(folder: Path, path: Path) -> FolderFile:
    content, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            content.update(chunk)
            size += len(chunk)
    return FolderFile(path.relative_to(folder).as_posix(), size, content.hexdigest())
