"""The folder of an export: it appears when it is whole, with all its files, or not at all."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from shared.dataset.export_record import ExportedFile
from shared.errors import UserError, WorldError


class FolderNotEmptyError(UserError):
    """{path} exists already and is not empty; name another folder with --out, or remove it."""


class FolderInUseError(UserError):
    """{path} is {what}, which can't be replaced by a whole folder; name a folder in it with --out."""


class ExportFailedError(WorldError):
    """{path} can't be written: {reason}"""


class GrowingFile:
    """A file that is being written; knows its size and SHA-256 without reading it again.

    Libraries take it for a file of bytes opened for writing.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path  # where it will be
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        """Append. Raises `ExportFailedError`."""
        if self._file.closed:  # a library that is let go writes its last words, for nobody
            return len(data)
        with told(self._path):
            self._file.write(data)
        self._hash.update(data)
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """How much there is."""
        return self.bytes

    def flush(self) -> None:
        """Nothing: it is flushed when it is complete."""

    def complete(self) -> str:
        """Bring all to the disk and close it; returns the SHA-256."""
        with told(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Libraries close what they have written; it is we who complete it."""

    @property
    def closed(self) -> bool:
        """Never, for a library."""
        return False

    def abandon(self) -> None:
        """Close it, whatever is in it."""
        with suppress(OSError):
            self._file.close()


class Folder:
    """A folder that is being filled, under another name beside the one that it will have."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.files: list[ExportedFile] = []
        self._target = Path(os.path.realpath(out))
        self._partial = self._target.with_name(f".{self._target.name}.{os.getpid()}.partial")
        self._open: list[GrowingFile] = []
        self._parents: list[Path] = []

    def __enter__(self) -> Self:
        """Make it. Raises `ExportFailedError`."""
        with told(self.out):
            self._parents = [each for each in self._partial.parents if not each.exists()]
            self._partial.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what has not been published."""
        for file in self._open:
            file.abandon()
        if self._partial.exists():
            shutil.rmtree(self._partial, ignore_errors=True)
            for parent in self._parents:
                with suppress(OSError):  # somebody else's things are in it
                    parent.rmdir()

    def create(self, path: str) -> GrowingFile:
        """A new file at this path in the folder, for `add` when all is in it. Raises `ExportFailedError`."""
        there = self._partial / path
        with told(self.out / path):
            there.parent.mkdir(parents=True, exist_ok=True)
            file = GrowingFile(there.open("xb"), self.out / path)
        self._open.append(file)
        return file

    def add(
        self,
        path: str,
        file: GrowingFile,
        *,
        rows: int | None = None,
        format: str | None = None,
        split: str | None = None,
        written_by: str | None = None,
    ) -> None:
        """Complete a file that `create` gave. Raises `ExportFailedError`."""
        self.files.append(ExportedFile(path, file.bytes, file.complete(), rows, format, split, written_by))

    def publish(self) -> None:
        """Give it its name. Raises `ExportFailedError`."""
        with told(self.out):
            for folder, _, _ in os.walk(self._partial):
                _sync(Path(folder))
            self._partial.rename(self._target)
            _sync(self._target.parent)

    def withdraw(self) -> None:
        """Take away what was published."""
        shutil.rmtree(self._target, ignore_errors=True)


def check_free(out: Path) -> None:
    """Raises `FolderNotEmptyError`, `FolderInUseError`, `ExportFailedError`."""
    with told(out):
        if not out.is_dir():
            if os.path.lexists(out):
                raise NotADirectoryError
            return
        if any(out.iterdir()):
            raise FolderNotEmptyError(path=out)
        if os.path.ismount(os.path.realpath(out)):
            raise FolderInUseError(path=out, what="a mount point")
        if out.samefile(Path.cwd()):
            raise FolderInUseError(path=out, what="the current folder")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into a message for a person."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise ExportFailedError(path=path, reason="something in its path is a file, not a folder") from error
    except OSError as error:
        raise ExportFailedError(path=path, reason=error.strerror or error) from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
