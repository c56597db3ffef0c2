"""What a person is told when a command fails, and the exit code that goes with it."""

import os

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.admin.console import complain
from shared.errors import EnsembleInstructError

TELLABLE = (EnsembleInstructError, DBAPIError, PoolTimeoutError, OSError)


def tell(error: Exception) -> int:
    """Say what went wrong in one message on stderr; returns the exit code."""
    if isinstance(error, OSError):
        return _tell_of_file(error)
    complain(_message(error))
    return error.exit_code if isinstance(error, EnsembleInstructError) else 1


def _message(error: Exception) -> str:
    if not isinstance(error, DBAPIError):
        return str(error)
    lines = str(error.orig).splitlines() or [type(error.orig).__name__]  # the rest may quote rows
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return f"Postgres went away: {lines[0]}. Try again when it is back; what was committed is there"
    return f"Postgres refused: {lines[0]}"


def _tell_of_file(error: OSError) -> int:
    """A file or pipe that can't be used; as a rule stdout, which Python must not try to flush once more."""
    if not isinstance(error, BrokenPipeError):  # a reader that has seen enough wants no message
        complain(f"{error.filename or 'the output'} can't be written or read: {error.strerror or error}")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 1
