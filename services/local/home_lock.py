"""Who uses the state folder's database: one process at a time."""

import contextlib
import fcntl
import os
from pathlib import Path


class HomeLock:
    """A lock that the kernel gives back when its holder ends, however it ends. The file holds the holder's id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False if another process, or another object of this one, has it."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock back; harmless without it."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """The process that has the lock; None if none has."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # others who ask are no holders
            except BlockingIOError:
                return int(self.path.read_text() or 0) or None  # nothing yet: it was taken this instant
            finally:
                os.close(descriptor)
        return None
