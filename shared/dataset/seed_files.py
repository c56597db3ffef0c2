"""Seed files on disk."""

from pathlib import Path

from shared.errors import UserError
from shared.method.seeds import SeedFault, SeedFileError, parse_seeds, seed_faults
from shared.method.tasks import SeedTask

SHIPPED_SEEDS = Path(__file__).parents[2] / "seeds" / "tasks.jsonl"


class UnreadableSeedFileError(UserError):
    """The seed file {path} can't be read: {reason}"""


def load_seeds(path: Path = SHIPPED_SEEDS) -> list[SeedTask]:
    """The seed tasks of a JSONL file. Raises `SeedFileError` or `UnreadableSeedFileError`."""
    return parse_seeds(_lines(path), str(path))


def check_seeds(path: Path) -> list[SeedFault]:
    """Every fault of a seed file, none for a good one. Raises `UnreadableSeedFileError`."""
    try:
        return seed_faults(_lines(path))
    except SeedFileError as error:  # not UTF-8
        return list(error.faults)


def _lines(path: Path) -> list[str]:
    """The file's lines. Only a line feed ends one: JSON text may hold other separators."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableSeedFileError(path=path, reason=error.strerror) from error
    try:
        return content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SeedFileError(str(path), [SeedFault(line, "", "is not UTF-8")]) from error
