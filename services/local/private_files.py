"""Files that only their owner may read, and the passwords kept in them."""

import os
import secrets
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, with mode 0600."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


def password_in(path: Path) -> str:
    """The password in `path`; a random one of 128 bits is made if there is no such file."""
    if not path.exists():
        write_private(path, secrets.token_hex(16))
    return path.read_text().strip()
