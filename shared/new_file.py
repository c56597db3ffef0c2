"""Files that were not there before."""

from pathlib import Path


def write_new(path: Path, text: str) -> None:
    """Write a new file, whole or not at all. Raises `FileExistsError`, or the `OSError` for which it can't be."""
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise
