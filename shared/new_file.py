"""Files that were not there before."""

from pathlib import Path


def write_new(path: Path, text: str) -> None:
    """Write a new file, whole or not at all. Raises `FileExistsError`, or the `OSError` for which it can't be."""
    content = text.encode()
    file = path.open("xb")
    try:
        with file:
            file.write(content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
